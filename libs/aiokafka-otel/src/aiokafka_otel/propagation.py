"""Trace context in Kafka headers: replaced where a record is sent, read without ever failing where it arrives."""

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter, Setter

from aiokafka_otel import formats

Header = tuple[str, bytes]

_log = logging.getLogger(__name__)


class _Headers:
    """The headers of a record by name. Kafka keeps the case of names, but propagators think of HTTP, which does not.

    Of several headers with one name the last one counts, as for Kafka's `lastHeader`; one that is spelled exactly as it
    is looked for is preferred.
    """

    __slots__ = ("exact", "lower")

    def __init__(self, headers: Iterable[Header]) -> None:
        self.exact = dict(headers)
        self.lower: dict[str, bytes] = {}
        if not "".join(self.exact).islower():  # which is rare
            self.lower = {name.lower(): value for name, value in self.exact.items() if not name.islower()}

    def names(self) -> list[str]:
        """Return the names; their beginnings are spelled as the propagators look for them."""
        known = formats.configured()
        return [_spelled(name, known.beginnings if known else ()) for name in self.exact]


def _spelled(name: str, beginnings: tuple[str, ...]) -> str:
    lower = name.lower()
    found = next((each for each in beginnings if lower.startswith(each)), "")
    return found + name[len(found) :]


class _HeaderGetter(Getter[_Headers]):
    """Read headers by name; one that is not UTF-8 does not exist."""

    def get(self, carrier: _Headers, key: str) -> list[str] | None:
        try:
            value = carrier.exact.get(key)
            if value is None:
                if not key.islower():
                    key = key.lower()
                    value = carrier.exact.get(key)
                if value is None and carrier.lower:
                    value = carrier.lower.get(key)
            return None if value is None else [value.decode()]
        except (AttributeError, UnicodeDecodeError):
            return None

    def keys(self, carrier: _Headers) -> list[str]:
        return carrier.names()


class _HeaderSetter(Setter[list[Header]]):
    def set(self, carrier: list[Header], key: str, value: str) -> None:
        carrier.append((key, value.encode()))


_getter: Final = _HeaderGetter()
_setter: Final = _HeaderSetter()


def without_context(headers: Iterable[Header]) -> list[Header]:
    """Return a new list: the headers without a trace context in any format that the propagators know."""
    known = formats.configured()
    return [header for header in headers if known is None or not known.has(header[0])]


def add_context(headers: list[Header], context: Context) -> None:
    """Append the headers that carry *context*. Raises what the configured propagator raises."""
    propagate.inject(headers, context, _setter)


def context_of(headers: Sequence[Header] | None) -> Context:
    """Return the context that the headers carry, on top of an empty one.

    The ambient context has no part in it: a record without context must not join the trace that happens to be
    current. Whatever the headers hold, this returns: a record is worth more than its trace.
    """
    try:
        return propagate.extract(_Headers(headers or ()), Context(), _getter)
    except Exception:  # a propagator may be anyone's
        _log.debug("No context can be read from the headers of a record", exc_info=True)
        return Context()
