"""How long it took until the system worked again after a fault."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from journey import Span

from tests.chaos.audit import record_of
from tests.chaos.findings import Fault, Record
from tests.chaos.ledger import Entry, Verdict


@dataclass(frozen=True)
class Recovery:
    """Seconds from the end of a disturbance until what was started said that it is ready (`start`), and from then
    until the first record was handled (`first`); None where nothing was started, or nothing was to be handled.

    After poison `first` is how long a record of it held up its partition at most.
    """

    fault: str
    target: str
    start: float | None
    first: float | None


@dataclass(frozen=True)
class Work:
    """When each part did something, in seconds since the epoch, and how long each record was in hand, in seconds."""

    by_part: Mapping[str, Sequence[float]]
    by_record: Mapping[Record, float]

    def recoveries(self, faults: Iterable[Fault]) -> Iterator[Recovery]:
        """Measure each fault after which something was started, or set aside."""
        for fault in faults:
            if fault.written:
                held_up = [self.by_record[each] for each in fault.written.values() if each in self.by_record]
                yield Recovery(fault.name, fault.target, None, max(held_up, default=None))
            if fault.ready is not None:
                first = min((time for time in self._of(fault.target) if time > fault.ended), default=None)
                since = None if first is None else max(0.0, first - fault.ready)
                yield Recovery(fault.name, fault.target, fault.ready - fault.ended, since)

    def _of(self, target: str) -> Sequence[float]:
        if target == "kafka":  # whoever handles a record shows that it is back
            return [time for part, times in self.by_part.items() if part != "orders" for time in times]
        return self.by_part.get(target, ())


def work(spans: Iterable[Span], ledger: Iterable[Entry], instances: Mapping[str, str]) -> Work:
    """Tell what was done when: orders accepted, records relayed by the orders workers and processed by the others.

    *instances* names the parts by their names in Kafka.
    """
    by_part: dict[str, list[float]] = {part: [] for part in instances.values()}
    by_part["orders"] = [entry.answered for entry in ledger if entry.verdict is Verdict.MUST]
    by_record = {}
    for span in spans:
        client = span.tags.get("messaging.client.id", "")
        part = instances.get(client.removesuffix("-relay") if span.service == "orders" else client)
        if part and span.end:
            by_part[part].append(span.end / 1e6)
        if span.kind == "CONSUMER" and (record := record_of(span)):
            by_record[record] = (span.duration or 0) / 1e6
    return Work(by_part, by_record)
