"""How long a message waited in its topic."""

import math
from dataclasses import dataclass
from typing import Final

from journey.messaging import topic_of
from journey.trace import Node, Span

# Set by aiokafka-otel on the span that processes a record.
WAIT_TAG: Final = "journey.queue.wait_ms"


@dataclass(frozen=True)
class Wait:
    """The time between sending and processing a message, in microseconds.

    `measured` is what the consumer noted. Otherwise it is the gap between the producer's span and the consumer's:
    without the time to the broker's acknowledgement, and negative where their clocks disagree.
    """

    topic: str
    microseconds: float
    measured: bool


def queue_wait(node: Node) -> Wait | None:
    """Tell how long the message of a CONSUMER span waited; None for other spans, and where nothing tells."""
    span = node.span
    if span is None or span.kind != "CONSUMER":
        return None
    noted = _noted(span.tags.get(WAIT_TAG))
    if noted is not None:
        return Wait(topic_of(span) or span.name, noted, measured=True)
    sent = node.parent.span if node.parent else None
    if sent is None or sent.kind != "PRODUCER" or span.start is None or sent.start is None or sent.end is None:
        return None
    if span.start < sent.start:
        return Wait(topic_of(span) or span.name, span.start - sent.start, measured=False)
    return Wait(topic_of(span) or span.name, max(0, span.start - sent.end), measured=False)


def noted_wait(span: Span) -> int:
    """Return how long a consumer noted that its message waited, in microseconds; 0 where it did not."""
    return int(_noted(span.tags.get(WAIT_TAG)) or 0)


def _noted(milliseconds: str | None) -> float | None:
    try:
        microseconds = float(milliseconds or "") * 1000
    except ValueError:
        return None
    return microseconds if math.isfinite(microseconds) and microseconds >= 0 else None
