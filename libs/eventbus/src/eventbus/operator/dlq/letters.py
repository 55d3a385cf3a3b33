"""Dead letters as they are read back, and which of them are meant."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from aiokafka import ConsumerRecord

from eventbus.errors import bare_name
from eventbus.operator.dlq.resolved import Position, Resolved

DEAD_LETTERS = ".dlq"

_ADDED = ("dlq.", "retry.")
_TRACE = ("traceparent", "tracestate")

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True)
class Letter:
    """A record of a dead letter topic, and the note of what was done with it, if anything was."""

    record: ConsumerRecord[bytes, bytes]
    done: Resolved | None = None

    @property
    def position(self) -> Position:
        """Its partition and offset."""
        return self.record.partition, self.record.offset

    @property
    def place(self) -> str:
        """Its topic and position, for people."""
        return f"{self.record.topic} {self.record.partition}:{self.record.offset}"

    def about(self, name: str) -> str | None:
        """Return the text of the header ``dlq.<name>``; None if it is missing or not UTF-8."""
        value = self._last(f"dlq.{name}")
        try:
            return None if value is None else value.decode()
        except UnicodeDecodeError:
            return None

    @property
    def error(self) -> str | None:
        """The name of the error, without its module: letters of older programs have no more."""
        error_type = self.about("error-type")
        return None if error_type is None else bare_name(error_type)

    @property
    def trace_id(self) -> str | None:
        """The trace in which a redrive goes on."""
        traceparent = dict(self._trace()).get("traceparent", b"").decode(errors="replace")
        return traceparent.split("-")[1] if traceparent.count("-") >= 3 else None

    def original_headers(self) -> Headers:
        """Return the headers of the message, with the trace context that a redrive continues.

        What the bus has added is left out, and so is ``baggage``: the fault scenario of a demonstration must not come
        back with the message.
        """
        headers = [
            (name, value)
            for name, value in self.record.headers
            if not name.startswith(_ADDED) and name not in (*_TRACE, "baggage")
        ]
        return headers + list(self._trace())

    def _trace(self) -> Iterator[tuple[str, bytes]]:
        # Of a letter that no span was made for, the message's own context is the last one known.
        prefix = "" if self._last("traceparent") else "dlq.original-"
        for name in _TRACE:
            if value := self._last(f"{prefix}{name}"):
                yield name, value

    def _last(self, name: str) -> bytes | None:
        # Of several headers with one name the last one counts: a foreign one may be before that of the bus.
        return dict(self.record.headers).get(name)


@dataclass(frozen=True)
class Choice:
    """Which letters are meant: those that fit all that is given here; nothing given means all."""

    orders: frozenset[bytes] = field(default_factory=frozenset)
    error_types: frozenset[str] = field(default_factory=frozenset)
    positions: frozenset[Position] = field(default_factory=frozenset)

    def takes(self, letter: Letter) -> bool:
        """Tell whether *letter* is meant."""
        return (
            (not self.orders or letter.record.key in self.orders)
            and (not self.error_types or not self.error_types.isdisjoint({letter.error, letter.about("error-type")}))
            and (not self.positions or letter.position in self.positions)
        )

    def within(self, partition: int, start: int, end: int) -> range:
        """Return which of the offsets from *start* to *end* (excluded) of a partition have to be read."""
        if not self.positions:
            return range(start, end)
        offsets = [offset for at, offset in self.positions if at == partition and start <= offset < end]
        return range(min(offsets), max(offsets) + 1) if offsets else range(0)
