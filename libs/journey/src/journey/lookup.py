"""Which traces a person means."""

import re
from typing import Final

from journey.messaging import KEY
from journey.source import Source
from journey.trace import Trace

_TRACE_ID: Final = re.compile(r"(?!0+$)(?:[0-9a-f]{16}){1,2}", re.IGNORECASE)
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.IGNORECASE)
_ADDRESS: Final = re.compile(r"(?:https?://)?[^/\s]+/\S*", re.IGNORECASE)


def find(source: Source, wanted: str) -> list[Trace]:
    """Find traces by what a person has: a trace id, a traceparent, the address of a trace's page in Zipkin, the key of
    a message, or any tag as NAME=VALUE; the first comes first.

    The key of an order's messages is its id. Keys are on spans where AIOKAFKA_OTEL_RECORD_KEY=true. What looks like a
    trace id and is none is looked for as a key.
    """
    wanted = wanted.strip()
    if (trace_id := trace_id_of(wanted)) and (trace := source.trace(trace_id)):
        return [trace]
    name, equals, value = wanted.partition("=")
    tagged = source.having({name: value}) if equals and not trace_id else []
    return list(reversed(tagged or source.having({KEY: wanted})))


def trace_id_of(wanted: str) -> str | None:
    """Return the trace id that a text is or has; None if it can only be a key or a tag."""
    if traceparent := _TRACEPARENT.fullmatch(wanted):
        return traceparent[1].lower()
    parts = re.split(r"[/?#&=]", wanted) if _ADDRESS.fullmatch(wanted) else [wanted]
    return next((part.lower() for part in reversed(parts) if _TRACE_ID.fullmatch(part)), None)
