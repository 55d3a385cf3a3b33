"""Which headers carry a trace context, in all formats that the configured propagators write or read.

`fields` does not say it: it names what `inject` writes, leaves out what only `extract` reads and the headers of which
the propagator knows the beginning alone (one for each entry of the baggage), and is wrong in some propagators. So each
propagator is tried out, once.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry import baggage, propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter, Setter, TextMapPropagator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

# Replaced with any propagator: most readers look for these.
_W3C: Final = frozenset({"traceparent", "tracestate", "baggage"})
# B3's extraction does not ask for x-b3-parentspanid.
_B3: Final = "x-b3-"
# Letters only: some propagators take no other names.
_ENTRY: Final = "aiokafkaotel"

_log = logging.getLogger(__name__)


class _Names(Getter[set[str]], Setter[set[str]]):
    """Note the names that a propagator looks for, and those that it writes."""

    def get(self, carrier: set[str], key: str) -> None:
        carrier.add(key)

    def keys(self, carrier: set[str]) -> list[str]:
        return []

    def set(self, carrier: set[str], key: str, value: str) -> None:
        carrier.add(key)


_names: Final = _Names()


@dataclass(frozen=True, slots=True)
class Formats:
    """The headers of one propagator, in lower case: their names, and what some names have only as a beginning."""

    names: frozenset[str]
    beginnings: tuple[str, ...]

    @classmethod
    def of(cls, propagator: TextMapPropagator) -> "Formats | None":
        """Try the propagator out; None if there is no header that it knows."""
        names: set[str] = set()
        for attempt in _fields, _written, _read:
            _try(attempt, propagator, names)
        if not names:
            return None
        names = {name.lower() for name in names | _W3C}
        beginnings = {name.removesuffix(_ENTRY) for name in names if name.endswith(_ENTRY)} - {""}
        if any(name == "b3" or name.startswith(_B3) for name in names):
            names.add("b3")
            beginnings.add(_B3)
        return cls(frozenset(names), tuple(sorted(beginnings)))

    def has(self, name: str) -> bool:
        """Tell whether a header of this name belongs to them, in whatever case it is spelled."""
        lower = name.lower()
        return lower in self.names or lower.startswith(self.beginnings)


def configured() -> Formats | None:
    """Return those of the global propagator; it is tried out when it is first met."""
    global _known
    propagator = propagate.get_global_textmap()
    if propagator is not _known[0]:
        _known = propagator, Formats.of(propagator)
    return _known[1]


_known: tuple[TextMapPropagator | None, Formats | None] = None, None


def _try(attempt: Callable[[Any, set[str]], None], propagator: TextMapPropagator, names: set[str]) -> None:
    try:
        attempt(propagator, names)
    except Exception:  # a propagator may be anyone's
        _log.warning("%s of the propagator %r fails", attempt.__name__.strip("_"), propagator, exc_info=True)


def _fields(propagator: Any, names: set[str]) -> None:
    fields: Iterable[object] = propagator.fields() if callable(propagator.fields) else propagator.fields
    names.update(each for each in fields if isinstance(each, str))


def _written(propagator: TextMapPropagator, names: set[str]) -> None:
    span = NonRecordingSpan(SpanContext(1, 1, True, TraceFlags(1), TraceState([(_ENTRY, "1")])))
    propagator.inject(names, baggage.set_baggage(_ENTRY, "1", trace.set_span_in_context(span, Context())), _names)


def _read(propagator: TextMapPropagator, names: set[str]) -> None:
    propagator.extract(names, Context(), _names)
