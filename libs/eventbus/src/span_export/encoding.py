"""Finished spans as an OTLP request: what the SDK's encoder writes, in a quarter of its time.

Most attributes of a span are those of the one before, so each is encoded once. The SDK's encoder writes what is seldom.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, SpanFlags, Status
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, StatusCode

_KINDS = {kind: Span.SpanKind.Value(f"SPAN_KIND_{kind.name}") for kind in SpanKind}
_CODES = {code: Status.StatusCode.Value(f"STATUS_CODE_{code.name}") for code in StatusCode}
_LOCAL = int(SpanFlags.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)
_REMOTE = _LOCAL | int(SpanFlags.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)


def encode(spans: Sequence[ReadableSpan]) -> tuple[bytes, list[tuple[ReadableSpan, Exception]]]:
    """Return the request that carries *spans*, and those that cannot be encoded, each with the reason."""
    by_scope: dict[tuple[int, int], tuple[bytes, list[bytes]]] = {}
    parts: list[bytes] = []
    failed: list[tuple[ReadableSpan, Exception]] = []
    for span in spans:
        # By identity: to hash a resource is to write it as JSON.
        key = id(span.resource), id(span.instrumentation_scope)
        try:
            encoded = _field(ScopeSpans.SPANS_FIELD_NUMBER, _encoded(span))
            if key not in by_scope:
                of_resource, of_scope = _heads(span.resource, span.instrumentation_scope)
                by_scope[key] = of_resource, [of_scope]
            by_scope[key][1].append(encoded)
        except Exception:  # it has what is seldom
            try:
                parts.append(encode_spans([span]).SerializeToString())
            except Exception as error:  # the encoder promises nothing
                failed.append((span, error))
    for of_resource, scope_spans in by_scope.values():
        resource_spans = of_resource + _field(ResourceSpans.SCOPE_SPANS_FIELD_NUMBER, b"".join(scope_spans))
        parts.append(_field(ExportTraceServiceRequest.RESOURCE_SPANS_FIELD_NUMBER, resource_spans))
    # Protobuf messages one after the other are one message with the elements of all.
    return b"".join(parts), failed


class Uncommon(Exception):
    """A span has what few have: the SDK's own encoder knows how to write it."""


def _encoded(span: ReadableSpan) -> bytes:
    """Return *span* as the message Span. Raises anything for one that has events, or other attributes than scalars."""
    if span.events:
        raise Uncommon
    context, parent, status = span.context, span.parent, span.status
    rest = Span(
        trace_id=context.trace_id.to_bytes(16, "big"),
        span_id=context.span_id.to_bytes(8, "big"),
        trace_state=",".join([f"{key}={value}" for key, value in context.trace_state.items()]),
        parent_span_id=parent.span_id.to_bytes(8, "big") if parent else b"",
        name=span.name,
        kind=_KINDS[span.kind],
        start_time_unix_nano=span.start_time or 0,
        end_time_unix_nano=span.end_time or 0,
        links=[_link(link) for link in span.links],
        status=Status(code=_CODES[status.status_code], message=status.description or ""),
        dropped_attributes_count=span.dropped_attributes,
        dropped_events_count=span.dropped_events,
        dropped_links_count=span.dropped_links,
        flags=_flags(parent),
    )
    attributes = [
        # 0.0 and -0.0 are one key of a cache.
        _attribute(key, value) if isinstance(value, float) else _known_attribute(key, value)
        for key, value in (span.attributes or {}).items()
    ]
    return b"".join([rest.SerializeToString(), *attributes])


def _link(link: Link) -> Span.Link:
    if link.attributes:
        raise Uncommon
    context = link.context
    return Span.Link(
        trace_id=context.trace_id.to_bytes(16, "big"),
        span_id=context.span_id.to_bytes(8, "big"),
        dropped_attributes_count=link.dropped_attributes,
        flags=_flags(context),
    )


def _flags(context: SpanContext | None) -> int:
    return _REMOTE if context and context.is_remote else _LOCAL


def _attribute(key: str, value: Any) -> bytes:
    """Return a span that has nothing but this attribute."""
    match value:
        case bool():
            encoded = AnyValue(bool_value=value)
        case str():
            encoded = AnyValue(string_value=value)
        case int():
            encoded = AnyValue(int_value=value)
        case float():
            encoded = AnyValue(double_value=value)
        case _:
            raise Uncommon
    attribute: bytes = Span(attributes=[KeyValue(key=key, value=encoded)]).SerializeToString()
    return attribute


_known_attribute = lru_cache(1024, typed=True)(_attribute)


@lru_cache(64)
def _heads(resource: Resource, scope: InstrumentationScope | None) -> tuple[bytes, bytes]:
    """Return the messages ResourceSpans and ScopeSpans without what is in them."""
    empty = ReadableSpan("", SpanContext(1, 1, is_remote=False), resource=resource, instrumentation_scope=scope)
    (of_resource,) = encode_spans([empty]).resource_spans
    (of_scope,) = of_resource.scope_spans
    of_scope.ClearField("spans")
    scope_head = of_scope.SerializeToString()
    of_resource.ClearField("scope_spans")
    return of_resource.SerializeToString(), scope_head


def _field(number: int, message: bytes) -> bytes:
    """Return *message* as a field of another one: its tag, its length, itself."""
    return b"".join([_varint(number << 3 | 2), _varint(len(message)), message])


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
