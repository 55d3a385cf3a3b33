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

    After poison `first` is how long a record of it held up its partition at most; where another relay takes over it
    counts from the end of the disturbance, and after an outage of the Collector until all spans that waited are there.
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
                relays = [part for part in self.by_part if part.startswith("orders-worker")]
                # Of several relays another one takes over, whether what was killed starts again or not.
                taken_over = fault.target in relays and len(relays) > 1
                since = fault.ended if taken_over else fault.ready
                who = relays if taken_over else self._who(fault.target)
                first = fault.caught_up or self._first(who, fault.ended)
                start = None if taken_over else fault.ready - fault.ended
                yield Recovery(fault.name, fault.target, start, None if first is None else max(0.0, first - since))

    def _who(self, target: str) -> list[str]:
        # Whoever handles a record shows that the broker is back, and the database.
        shared = target in ("kafka", "postgres")
        return [part for part in self.by_part if part != "orders"] if shared else [target]

    def _first(self, parts: Iterable[str], after: float) -> float | None:
        times = [time for part in parts for time in self.by_part.get(part, ()) if time > after]
        return min(times, default=None)


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
