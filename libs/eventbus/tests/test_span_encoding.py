"""What is written is what the SDK's encoder writes, field by field."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from span_export.encoding import encode

TEXT = st.text(max_size=200)
NANOSECONDS = st.integers(0, 2**64 - 1)
SCALARS = st.one_of(
    TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.sampled_from([0, 1, 0.0, -0.0])
)
VALUES = st.one_of(SCALARS, SCALARS, st.lists(TEXT).map(tuple), st.dictionaries(TEXT, SCALARS), st.binary(), st.none())
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["messaging.system", "é", "x" * 200]) | TEXT.filter(bool), VALUES, max_size=6
)
CONTEXTS = st.builds(
    SpanContext,
    st.integers(1, 2**128 - 1),
    st.integers(1, 2**64 - 1),
    st.booleans(),
    st.sampled_from([TraceFlags(1), TraceFlags(3)]),
    st.sampled_from([None, TraceState([("a", "1"), ("b", "2")])]),
)
RESOURCES = [Resource({"service.name": "billing"}), Resource({"service.name": "b"}, "https://schema"), Resource({})]
SCOPES = [None, InstrumentationScope("a", "1"), InstrumentationScope("a", None, "https://schema", {"in": True})]
SPANS = st.builds(
    ReadableSpan,
    name=TEXT,
    context=CONTEXTS,
    parent=st.none() | CONTEXTS,
    resource=st.sampled_from(RESOURCES),
    attributes=ATTRIBUTES,
    events=st.lists(st.builds(Event, TEXT, ATTRIBUTES, NANOSECONDS), max_size=1),
    links=st.lists(st.builds(Link, CONTEXTS, st.none() | ATTRIBUTES), max_size=2),
    kind=st.sampled_from(SpanKind),
    status=st.builds(Status, st.sampled_from(StatusCode)) | st.builds(Status, st.just(StatusCode.ERROR), TEXT),
    start_time=st.none() | NANOSECONDS,
    end_time=st.none() | NANOSECONDS,
    instrumentation_scope=st.sampled_from(SCOPES),
)


def told(request: ExportTraceServiceRequest) -> list[bytes]:
    """Return every span with its resource and scope, in whatever order and grouping they came."""
    alone = ExportTraceServiceRequest()
    found = []
    for of_resource in request.resource_spans:
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                alone.CopyFrom(ExportTraceServiceRequest())
                resource_spans = alone.resource_spans.add(
                    resource=of_resource.resource, schema_url=of_resource.schema_url
                )
                resource_spans.scope_spans.add(scope=of_scope.scope, schema_url=of_scope.schema_url, spans=[span])
                found.append(alone.SerializeToString(deterministic=True))
    return sorted(found)


@settings(deadline=None)
@given(st.lists(SPANS, max_size=4))
def test_a_collector_reads_what_the_sdk_would_have_told_it(spans: list[ReadableSpan]) -> None:
    encoded, failed = encode(spans)

    assert told(ExportTraceServiceRequest.FromString(encoded)) == told(encode_spans(spans))
    assert failed == []


def test_values_that_are_equal_but_not_the_same_are_told_as_they_are() -> None:
    values: list[Any] = [1, True, 1.0, 0, False, 0.0, -0.0, "1", "True", (1, True), (True, 1), b"1"]
    spans = [ReadableSpan("x", SpanContext(1, 1, False), attributes={"key": value}) for value in values * 2]

    assert told(ExportTraceServiceRequest.FromString(encode(spans)[0])) == told(encode_spans(spans))


def test_the_spans_of_one_scope_are_told_together() -> None:
    def a_span(number: int, **more: Any) -> ReadableSpan:
        return ReadableSpan(
            "x", SpanContext(1, number, False), resource=RESOURCES[0], instrumentation_scope=SCOPES[1], **more
        )

    request = ExportTraceServiceRequest.FromString(encode([a_span(number) for number in range(1, 300)])[0])

    assert [len(scope.spans) for each in request.resource_spans for scope in each.scope_spans] == [299]


def test_nothing_is_told_of_nothing() -> None:
    assert encode([]) == (b"", [])
