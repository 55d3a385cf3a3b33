"""What a run can be reproached with, and what is excused by a fault."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

KINDS: Final = {
    "lost-order": "accepted, or stored, and not billed or not mailed",
    "phantom-bill": "billed or mailed although it was refused, or never ordered",
    "duplicate-bill": "more than one order, invoice or invoice number for one request",
    "duplicate-mail": "more than one e-mail that no crash explains, or with another Message-ID",
    "stuck": "not done long after the last fault, and still on its way",
    "refused-order": "a good order not accepted although nothing that accepts orders was disturbed",
    "unkept-poison": "a poison record that is not in the dead letters",
    "trace-missing-hop": "a declared hop is not in the order's trace",
    "trace-orphan": "a span whose parent does not exist",
    "trace-wrong-parent": "a span whose parent is not the step before",
    "trace-split": "a step of an order outside of the order's trace",
    "trace-merged": "two orders in one trace",
    "trace-junk": "a trace that belongs to no order",
}

Record = tuple[str, int, int]  # topic, partition, offset


@dataclass(frozen=True, order=True)
class Finding:
    """One fault of the system: what it is, of which order or trace, and what was seen."""

    kind: str
    subject: str
    detail: str


@dataclass(frozen=True)
class Fault:
    """One disturbance. Times are seconds since the epoch.

    From `began` to `ended` something was disturbed; `ready` is when what was started instead said so, `caught_up` when
    what had waited meanwhile was there.
    """

    name: str
    target: str
    began: float
    ended: float
    ready: float | None = None
    caught_up: float | None = None
    note: str = ""
    written: Mapping[str, Record] = field(default_factory=dict, repr=False)
    """What was written into topics by hand: by its key, where it is."""

    def overlaps(self, began: float, ended: float) -> bool:
        """Tell whether anything was disturbed, or not yet ready again, within a period."""
        return self.began <= ended and max(self.ended, self.ready or 0.0) >= began


class Excuses:
    """What the faults of a run explain.

    A kill -9 of the web process may cost its last SERVER spans, and an outage of the Collector longer than the
    exporter's back-off the spans that were waiting: both are counted apart. An e-mail may be repeated with the same
    Message-ID where the notifier died, lost its partition, or could not write between sending and remembering. An
    order may be refused where the web process or its database was disturbed, or the machine so busy that the load
    itself was late (*starved* has when).
    """

    SPANS_WAIT_S = 3.0
    OUTAGE_S = 25.0
    AFTER_OUTAGE_S = 40.0
    CLOCK_S = 0.05
    REFUSED_S = 15.0
    REFUSING = frozenset({("kill", "orders"), ("term", "orders"), ("lock", "orders"), ("away", "postgres")})

    def __init__(self, faults: Sequence[Fault], *, replicas: int = 1, starved: Iterable[float] = ()) -> None:
        moves = {"term"} if replicas > 1 else set()
        self._web_kills = [fault for fault in faults if fault.name == "kill" and fault.target == "orders"]
        self._refusing = [fault for fault in faults if (fault.name, fault.target) in self.REFUSING]
        self._starved = sorted(starved)
        self._outages = [
            fault for fault in faults if fault.target == "collector" and fault.ended - fault.began > self.OUTAGE_S
        ]
        self._repeats = [
            fault
            for fault in faults
            if fault.target in ("kafka", "postgres")
            or (fault.target.startswith("notifier") and fault.name in {"kill", "pause", "lock"} | moves)
        ]

    def refused(self, sent: float, answered: float) -> bool:
        """Tell whether an order may not have been accepted."""
        since = bisect_left(self._starved, sent - self.REFUSED_S)
        busy = since < len(self._starved) and self._starved[since] <= answered
        return busy or _any(self._refusing, sent - self.REFUSED_S, answered)

    def lost_server_span(self, sent: float, answered: float) -> bool:
        """Tell whether a request's SERVER span may have died with the web process."""
        return _any(self._web_kills, sent, answered + self.SPANS_WAIT_S)

    def lost_in_outage(self, sent: float, done: float) -> bool:
        """Tell whether spans of an order may have been dropped by an exporter that waited in vain.

        *done* is when its e-mail was sent: its last spans end, and are exported, after that.
        """
        return any(f.began <= done + self.SPANS_WAIT_S and sent <= f.ended + self.AFTER_OUTAGE_S for f in self._outages)

    def repeated_mail(self, first: float, second: float) -> bool:
        """Tell whether a fault explains a second e-mail."""
        return _any(self._repeats, first - self.CLOCK_S, second + self.CLOCK_S)


def _any(faults: Iterable[Fault], began: float, ended: float) -> bool:
    return any(fault.overlaps(began, ended) for fault in faults)
