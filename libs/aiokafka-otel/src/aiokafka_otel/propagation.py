"""Trace context in Kafka headers: replaced where a record is sent, read without ever failing where it arrives."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter, Setter

Headers = Sequence[tuple[str, bytes]]

_W3C: Final = frozenset({"traceparent", "tracestate", "baggage"})
_log = logging.getLogger(__name__)


class _HeaderGetter(Getter[Mapping[str, bytes]]):
    """Read headers by name; one that is not UTF-8 does not exist."""

    def get(self, carrier: Mapping[str, bytes], key: str) -> list[str] | None:
        try:
            return [carrier[key].decode()]
        except (KeyError, AttributeError, UnicodeDecodeError):
            return None

    def keys(self, carrier: Mapping[str, bytes]) -> list[str]:
        return list(carrier)


class _HeaderSetter(Setter[list[tuple[str, bytes]]]):
    def set(self, carrier: list[tuple[str, bytes]], key: str, value: str) -> None:
        carrier.append((key, value.encode()))


_getter: Final = _HeaderGetter()
_setter: Final = _HeaderSetter()


def headers_with(context: Context, headers: Iterable[tuple[str, bytes]] | None) -> list[tuple[str, bytes]]:
    """Return a new list: the headers without any trace context, then that of `context`.

    W3C's three headers and those of the configured propagator are replaced, so that a forwarded message belongs
    to the span that forwards it. The caller's headers are never changed.
    """
    stale = _W3C | propagate.get_global_textmap().fields
    carrier = [header for header in headers or () if header[0] not in stale]
    propagate.inject(carrier, context, _setter)
    return carrier


def context_of(headers: Headers | None) -> Context:
    """Return the context that the headers carry, on top of an empty one.

    The ambient context has no part in it: a record without context must not join the trace that happens to be
    current. Whatever the headers hold, this returns: a record is worth more than its trace.
    """
    try:
        # Of several headers with one name the last one counts, as for Kafka's `lastHeader`.
        return propagate.extract(dict(headers or ()), Context(), _getter)
    except Exception:  # a propagator may be anyone's
        _log.debug("No context can be read from the headers of a record", exc_info=True)
        return Context()
