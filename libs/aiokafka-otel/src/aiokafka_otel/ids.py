"""Span ids that a repetition makes again, where the application's id generator is ours: see `id_generator`.

A tracer asks its generator for an id and tells it nothing. What makes the next span the one it is waits in a context
variable meanwhile, and serves for one id only: a span that a span processor starts on the way has its own.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from hashlib import sha256
from typing import Any, Final

from opentelemetry.trace import Span, SpanContext, Tracer

EVENT_ID: Final = "ce_id"  # CloudEvents' id, unique for its source

_next: Final[ContextVar[bytes | None]] = ContextVar("aiokafka-otel-next-span", default=None)


def of_processing(creation: SpanContext, group: str | None, record: Any) -> bytes | None:
    """Return what makes this the group's handling of this record; None where its trace or the group is not known."""
    if group is None or not creation.is_valid:
        return None
    return _encoded(f"process {creation.trace_id:032x} {record.topic} {record.partition} {record.offset} {group}")


def of_sending(parent: SpanContext, topic: str, headers: Any) -> bytes | None:
    """Return what makes this the sending of this event; None where it is none, or has no parent."""
    if not parent.is_valid or not isinstance(headers, Sequence):
        return None
    try:
        event_id = dict(headers).get(EVENT_ID)
    except (TypeError, ValueError):  # no pairs: aiokafka will say so
        return None
    if not isinstance(event_id, bytes) or not event_id:
        return None
    return _encoded(f"send {parent.trace_id:032x} {parent.span_id:016x} {topic} ") + event_id


def start_span(tracer: Tracer, identity: bytes | None, name: str, **options: Any) -> Span:
    """Start a span whose id is made of `identity`; a random one without, or with another id generator."""
    token = _next.set(identity)
    try:
        return tracer.start_span(name, **options)
    finally:
        _next.reset(token)


def take() -> int | None:
    """Return the id of the span that is being started, once: never zero; None where it is to be random."""
    identity = _next.get()
    if identity is None:
        return None
    _next.set(None)
    return int.from_bytes(sha256(identity).digest()[:8]) or 1


def _encoded(text: str) -> bytes:
    # Whatever a name holds, the message is sent and the record delivered.
    return text.encode(errors="backslashreplace")
