"""Many orders of callers who make everything as long as they can, and a Zipkin with little memory."""

import re
import secrets
import time
import urllib.request

import journey
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span
from stack import Settings, Stack, zipkin
from stack.polling import wait_until
from stack.services import OTEL_ENV, env_file
from stack.settings import REPOSITORY

pytestmark = pytest.mark.long

HEAP_MB = 128
LIMITS = env_file(OTEL_ENV)
LONGEST = int(LIMITS["OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT"])
TRACESTATE = 512
STRANGERS_TRACESTATE = 8000


def order(trace_id: bytes, tracestate: int) -> list[Span]:
    """Return the six spans of an order: each has a long tracestate, the first has long headers.

    A link has that of a span of ours: what it holds is out of the reach of the Collector (docs/operations.md).
    """
    now = time.time_ns()

    def text(length: int) -> str:
        return secrets.token_hex(length // 2)

    def span(number: int) -> Span:
        ordinary = {f"messaging.attribute.{at}": f"value {number} {at}" for at in range(15)}
        headers = {f"url.attribute.{at}": text(LONGEST) for at in range(5)} if not number else {}
        return Span(
            trace_id=trace_id,
            span_id=secrets.token_bytes(8),
            name="process orders",
            kind=Span.SPAN_KIND_CONSUMER,
            start_time_unix_nano=now,
            end_time_unix_nano=now + 1_000_000,
            trace_state=text(tracestate),
            links=[Span.Link(trace_id=trace_id, span_id=secrets.token_bytes(8), trace_state=text(TRACESTATE))],
            attributes=[
                KeyValue(key=name, value=AnyValue(string_value=value))
                for name, value in {**ordinary, **headers}.items()
            ],
        )

    return [span(number) for number in range(6)]


def send(place: Settings, spans: list[Span]) -> None:
    resource = Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value="orders"))])
    scope = ScopeSpans(scope=InstrumentationScope(name="aiokafka_otel"), spans=spans)
    body = ExportTraceServiceRequest(resource_spans=[ResourceSpans(resource=resource, scope_spans=[scope])])
    urllib.request.urlopen(
        urllib.request.Request(
            f"http://127.0.0.1:{place.otlp_http_port}/v1/traces",
            body.SerializeToString(),
            {"Content-Type": "application/x-protobuf"},
        ),
        timeout=30,
    ).close()


@pytest.mark.parametrize("tracestate", [TRACESTATE, STRANGERS_TRACESTATE])
def test_the_largest_orders_of_all_do_not_end_zipkin(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tracestate: int
) -> None:
    monkeypatch.setattr(zipkin, "HEAP_MB", HEAP_MB)
    monkeypatch.setattr(zipkin, "MAX_SPANS", zipkin.max_spans(HEAP_MB))
    with Stack(settings) as stack:
        stack.up("zipkin", "collector")
        # Twice as many as it can keep.
        for _ in range(2 * zipkin.max_spans(HEAP_MB) // 600):
            last = secrets.token_bytes(16)
            send(
                settings,
                [
                    each
                    for trace_id in [*map(secrets.token_bytes, [16] * 99), last]
                    for each in order(trace_id, tracestate)
                ],
            )
            wait_until(
                "Zipkin has the last of 100 orders",
                lambda last=last: None if journey.fetch(settings.zipkin_url, last.hex()) else "not yet",  # type: ignore[misc]
                timeout=60,
            )

        assert stack.exit_codes()["zipkin"] is None
        assert "OutOfMemoryError" not in stack.log("zipkin").read_text()


def test_containers_give_zipkin_the_same_room_for_a_span() -> None:
    compose = (REPOSITORY / "deploy" / "compose.yml").read_text()
    spans, heap = re.search(r"MEM_MAX_SPANS: (\d+)", compose), re.search(r"-Xmx(\d+)m -XX:\+UseSerialGC", compose)

    assert spans
    assert heap
    assert int(spans[1]) == zipkin.max_spans(int(heap[1]))
