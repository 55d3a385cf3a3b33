"""Span ids that a repetition makes again, where the application's id generator is ours: see `id_generator`.

A tracer asks its generator for an id and tells it nothing. What makes the next span the one it is waits in a context
variable meanwhile, and serves for one id only: a span that a span processor starts on the way has its own.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from hashlib import sha256
from typing import Any, Final

from opentelemetry.trace import Span, SpanContext, Tracer

from aiokafka_otel.messages import Bytes

# An event's identity in CloudEvents: the id is unique for its source.
EVENT_ID: Final = "ce_id"
EVENT_SOURCE: Final = "ce_source"

Identity = tuple[str | int | bytes | None, ...]

_next: Final[ContextVar[Identity | None]] = ContextVar("aiokafka-otel-next-span", default=None)

# Whether there is a generator of ours. Without one identities are not worth making.
wanted = False


def want() -> None:
    """Say that there is a generator of ours."""
    global wanted
    wanted = True


def of_processing(creation: SpanContext, group: str | None, record: Any) -> Identity | None:
    """Return what makes this the group's handling of this record; None if its trace or the group is not known."""
    if group is None or not creation.is_valid:
        return None
    return "process", creation.trace_id, group, record.topic, record.partition, record.offset


def of_sending(
    parent: SpanContext, topic: str, headers: Any, key: Any = None, partition: int | None = None
) -> Identity | None:
    """Return what makes this the sending of this event to this place; None if it is none, or has no parent.

    Key and partition as they were given: one event may be sent to several partitions.
    """
    if not parent.is_valid or not isinstance(headers, Sequence):
        return None
    try:
        named = dict(headers)
    except (TypeError, ValueError):  # no pairs: aiokafka will say so
        return None
    event_id = named.get(EVENT_ID)
    if not isinstance(event_id, bytes) or not event_id:
        return None
    return (
        *("send", parent.trace_id, parent.span_id, topic, partition),
        *(_repeatable(key), named.get(EVENT_SOURCE), event_id),
    )


def _repeatable(key: Any) -> str | int | bytes | None:
    # How an object of the application's shows itself may differ from process to process.
    return bytes(key) if isinstance(key, Bytes) else key if isinstance(key, str | int) else None


def start_span(tracer: Tracer, identity: Identity | None, name: str, **options: Any) -> Span:
    """Start a span whose id is made of `identity`; a random one without, or with another id generator."""
    if identity is None and _next.get() is None:
        return tracer.start_span(name, **options)
    token = _next.set(identity)
    try:
        return tracer.start_span(name, **options)
    finally:
        _next.reset(token)


def take() -> int | None:
    """Return the id of the span that is being started, once: never zero; None if it is to be random."""
    identity = _next.get()
    if identity is None:
        return None
    _next.set(None)
    return int.from_bytes(sha256(repr(identity).encode(errors="backslashreplace")).digest()[:8]) or 1
