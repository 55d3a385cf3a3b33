"""Which traces a person means."""

import re
from typing import Final

from journey.messaging import KEY
from journey.source import Source
from journey.trace import Trace

_TRACE_ID: Final = re.compile(r"[0-9a-f]{16}|[0-9a-f]{32}", re.IGNORECASE)
_TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}", re.IGNORECASE)


def find(source: Source, wanted: str) -> list[Trace]:
    """Find traces by a trace id, a traceparent, the key of a message, or any tag as NAME=VALUE; the first comes first.

    The key of an order's messages is its id. Keys are on spans where AIOKAFKA_OTEL_RECORD_KEY=true.
    """
    traceparent = _TRACEPARENT.fullmatch(wanted)
    trace_id = traceparent[1] if traceparent else wanted
    if _TRACE_ID.fullmatch(trace_id):
        trace = source.trace(trace_id)
        return [trace] if trace else []
    name, _, value = wanted.partition("=") if "=" in wanted else (KEY, "", wanted)
    return list(reversed(source.having({name: value})))


def is_trace_id(wanted: str) -> bool:
    """Tell whether it names one trace, and is no key of messages."""
    return bool(_TRACE_ID.fullmatch(wanted) or _TRACEPARENT.fullmatch(wanted))
