"""A span that cannot be: real Collector, real Zipkin, and spans of other people in the same batch."""

import json
import secrets
import time
import urllib.request
from collections.abc import Callable
from urllib.error import HTTPError

import journey
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    InstrumentationScope,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status
from stack import Settings, Stack
from stack.polling import wait_until

END_OF_TIME = 2**64 - 1
NAN, INFINITE = float("nan"), float("inf")


def a_span(**fields: object) -> Span:
    now = time.time_ns()
    span = Span(
        trace_id=secrets.token_bytes(16),
        span_id=secrets.token_bytes(8),
        name="good",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=now,
        end_time_unix_nano=now + 1_000_000,
    )
    for name, value in fields.items():
        setattr(span, name, value)
    return span


def values(depth: int = 2) -> list[AnyValue]:
    """Return a value of each kind, the odd ones included."""
    plain = [
        AnyValue(),
        AnyValue(string_value=""),
        AnyValue(string_value="\0\ud7ff\uffff😀"),
        AnyValue(string_value="x" * 5_000),
        AnyValue(bool_value=True),
        AnyValue(int_value=-(2**63)),
        *(AnyValue(double_value=value) for value in (NAN, INFINITE, -INFINITE, 1e308, -0.0)),
        AnyValue(bytes_value=bytes(range(256)) * 20),
    ]
    if not depth:
        return plain
    inner = values(depth - 1)
    named = [KeyValue(key=f"k{at % 5}", value=value) for at, value in enumerate(inner)]
    return [*plain, AnyValue(array_value=ArrayValue(values=inner)), AnyValue(kvlist_value=KeyValueList(values=named))]


def attributes(names: Callable[[int], str] = "odd.{}".format, count: int | None = None) -> list[KeyValue]:
    each = values()
    return [KeyValue(key=names(at), value=each[at % len(each)]) for at in range(len(each) if count is None else count)]


def deep(levels: int) -> AnyValue:
    value = AnyValue(string_value="bottom")
    for _ in range(levels):
        value = AnyValue(array_value=ArrayValue(values=[value]))
    return value


def an_event(at: int, odd: list[KeyValue] | None = None, name: str = "event") -> Span.Event:
    return Span.Event(time_unix_nano=at, name=name, attributes=odd)


def a_link(**fields: object) -> Span.Link:
    return Span.Link(**{"trace_id": secrets.token_bytes(16), "span_id": secrets.token_bytes(8), **fields})  # type: ignore[arg-type]


def with_itself_as_parent() -> Span:
    span = a_span()
    span.parent_span_id = span.span_id
    return span


def with_many(what: str, many: list[object]) -> Span:
    span = a_span()
    getattr(span, what).extend(many)
    return span


NOW = time.time_ns()
# Of these nothing can be shown: the span is refused.
IMPOSSIBLE = {
    "no trace id": lambda: a_span(trace_id=b""),
    "a trace id of zeros": lambda: a_span(trace_id=bytes(16)),
    "no span id": lambda: a_span(span_id=b""),
    "a span id of zeros": lambda: a_span(span_id=bytes(8)),
    "no ids at all": lambda: a_span(trace_id=b"", span_id=b""),
    "a start at the end of time": lambda: a_span(start_time_unix_nano=END_OF_TIME),
    "start and end at the end of time": lambda: a_span(
        start_time_unix_nano=END_OF_TIME, end_time_unix_nano=END_OF_TIME
    ),
    "a start in 2262": lambda: a_span(start_time_unix_nano=2**63),
    "a thousand links": lambda: with_many("links", [a_link() for _ in range(1000)]),
}
# These are odd, and Zipkin shows what it can of them.
ODD = {
    "an end before the start": lambda: a_span(end_time_unix_nano=1),
    "no times": lambda: a_span(start_time_unix_nano=0, end_time_unix_nano=0),
    "no end": lambda: a_span(end_time_unix_nano=0),
    "no start": lambda: a_span(start_time_unix_nano=0),
    "a start of one nanosecond": lambda: a_span(start_time_unix_nano=1),
    "the last start that Go knows": lambda: a_span(start_time_unix_nano=2**63 - 1, end_time_unix_nano=END_OF_TIME),
    "an end at the end of time": lambda: a_span(end_time_unix_nano=END_OF_TIME),
    "no name": lambda: a_span(name=""),
    "a name of a megabyte": lambda: a_span(name="é" * 500_000),
    "a kind that is none": lambda: a_span(kind=99),
    "no kind": lambda: a_span(kind=0),
    "itself as its parent": with_itself_as_parent,
    "a parent of zeros": lambda: a_span(parent_span_id=bytes(8)),
    "a tracestate of 100 KB": lambda: a_span(trace_state="a=" + "x" * 100_000),
    "a tracestate that is none": lambda: a_span(trace_state="=,=;\0"),
    "flags": lambda: a_span(flags=2**32 - 1),
    "attributes of every kind": lambda: with_many("attributes", attributes()),
    "attributes of one name": lambda: with_many("attributes", attributes("same".format)),
    "attributes without names": lambda: with_many("attributes", attributes("".format)),
    "long names of attributes": lambda: with_many("attributes", attributes(("n" * 10_000 + "{}").format)),
    "a thousand attributes": lambda: with_many("attributes", attributes(count=1_000)),
    "deep attributes": lambda: with_many("attributes", [KeyValue(key="deep", value=deep(40))]),
    "addresses that are none": lambda: with_many(
        "attributes",
        [
            KeyValue(key=key, value=AnyValue(string_value=text))
            for key in ("net.peer.ip", "net.host.ip", "network.peer.address", "net.peer.port", "net.host.port")
            for text in ("::::", "-1")
        ],
    ),
    "an event at no time": lambda: with_many("events", [an_event(0)]),
    "an event at the end of time": lambda: with_many("events", [an_event(END_OF_TIME)]),
    "an event of half a microsecond": lambda: with_many("events", [an_event(499)]),
    "an event without a name": lambda: with_many("events", [an_event(NOW, name="")]),
    "events with attributes of every kind": lambda: with_many(
        "events", [an_event(NOW, attributes()[at:]) for at in range(8)]
    ),
    "ten thousand events": lambda: with_many("events", [an_event(NOW, attributes(count=1)) for _ in range(10_000)]),
    "an event at no time in a span at no time": lambda: with_many("events", [an_event(0)]),
    "a link to nothing": lambda: with_many("links", [Span.Link()]),
    "a link to zeros": lambda: with_many("links", [a_link(trace_id=bytes(16), span_id=bytes(8))]),
    "a link with a long tracestate": lambda: with_many("links", [a_link(trace_state="a=" + "x" * 10_000)]),
    "a status that is none": lambda: with_status(Status(code=99, message="m" * 100_000)),  # type: ignore[arg-type]
    "an error with a long message": lambda: with_status(Status(code=Status.STATUS_CODE_ERROR, message="é" * 100_000)),
}
# The exporter cannot translate them, and drops them: they go alone.
NOT_TRANSLATED = {
    f"a link with an attribute of {value}": (
        lambda value=value: with_many(
            "links", [a_link(attributes=[KeyValue(key="odd", value=AnyValue(double_value=value))])]
        )
    )
    for value in (NAN, INFINITE)
}


def with_status(status: Status) -> Span:
    span = a_span()
    span.status.CopyFrom(status)
    return span


def a_request(*spans: Span, resource: list[KeyValue] | None = None, scope: str = "") -> ExportTraceServiceRequest:
    own = [KeyValue(key="service.name", value=AnyValue(string_value="stranger"))] if resource is None else resource
    scope_spans = ScopeSpans(scope=InstrumentationScope(name=scope), spans=spans)
    return ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=Resource(attributes=own), scope_spans=[scope_spans])]
    )


@pytest.fixture
def place(stack_of_session: Stack) -> Settings:
    stack_of_session.up("zipkin", "collector")
    return stack_of_session.settings


def send(place: Settings, body: bytes) -> int:
    request = urllib.request.Request(
        f"http://127.0.0.1:{place.otlp_http_port}/v1/traces", body, {"Content-Type": "application/x-protobuf"}
    )
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
        return int(answer.status)


def metric(place: Settings, name: str, labels: str = "") -> float:
    """Return the sum of one of the Collector's own metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{place.collector_metrics_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name) and labels in line)


def refused(place: Settings) -> float:
    return metric(place, "otelcol_processor_filter_spans_filtered", 'filter="filter/refused"')


def expect_in_zipkin(place: Settings, spans: list[Span]) -> None:
    missing = {span.trace_id.hex() for span in spans}

    def objection() -> str | None:
        missing.difference_update(journey.fetch_many(place.zipkin_url, missing))
        return f"{len(missing)} of {len(spans)} are missing" if missing else None

    wait_until("the spans of others are in Zipkin", objection, timeout=20)


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_an_impossible_span_is_counted_and_logged_and_costs_no_other(place: Settings, name: str) -> None:
    before, log = refused(place), place.log("collector").stat().st_size
    others = [a_span() for _ in range(3)]
    status = send(place, a_request(others[0], IMPOSSIBLE[name](), *others[1:]).SerializeToString())

    assert status == 200
    expect_in_zipkin(place, others)
    wait_until("it is counted", lambda: None if refused(place) == before + 1 else "not yet", timeout=10)
    logged = place.log("collector").read_bytes()[log:].decode()
    assert "otelcol.refused=" in logged
    assert "Dropping data" not in logged


@pytest.mark.parametrize("name", ODD)
def test_an_odd_span_is_in_zipkin_with_all_others(place: Settings, name: str) -> None:
    failed = metric(place, "otelcol_exporter_send_failed_spans")
    odd, others = ODD[name](), [a_span() for _ in range(3)]
    send(place, a_request(others[0], odd, *others[1:]).SerializeToString())

    expect_in_zipkin(place, [odd, *others])
    assert metric(place, "otelcol_exporter_send_failed_spans") == failed


@pytest.mark.parametrize("name", NOT_TRANSLATED)
def test_what_cannot_be_translated_goes_alone(place: Settings, name: str) -> None:
    failed = metric(place, "otelcol_exporter_send_failed_spans")
    others = [a_span(), with_many("links", [a_link()]), a_span()]
    send(place, a_request(others[0], NOT_TRANSLATED[name](), *others[1:]).SerializeToString())

    expect_in_zipkin(place, others)
    wait_until(
        "it is counted",
        lambda: None if metric(place, "otelcol_exporter_send_failed_spans") == failed + 1 else "not yet",
        timeout=10,
    )


def test_many_links_go_alone_whoever_says_that_they_are_of_aiokafka_otel(place: Settings) -> None:
    failed = metric(place, "otelcol_exporter_send_failed_spans")
    odd = with_many("links", [a_link(), a_link(attributes=[KeyValue(key="odd", value=AnyValue(double_value=NAN))])])
    others = [a_span(), with_many("links", [a_link()]), a_span()]
    send(place, a_request(others[0], odd, *others[1:], scope="aiokafka_otel").SerializeToString())

    expect_in_zipkin(place, others)
    assert metric(place, "otelcol_exporter_send_failed_spans") <= failed + 1


def test_neither_way_to_zipkin_is_full_before_the_other(place: Settings) -> None:
    capacity = {
        exporter: metric(place, "otelcol_exporter_queue_capacity", f'exporter="{exporter}"')
        for exporter in ("zipkin", "zipkin/alone")
    }

    assert capacity == dict.fromkeys(capacity, 1_000_000)


def test_no_character_is_cut_in_two(place: Settings) -> None:
    # Three bytes each: neither 128 nor 256 nor 1,024 bytes end between two of them.
    text = "中" * 1_000
    span = with_status(Status(code=Status.STATUS_CODE_ERROR, message=text))
    span.name = text
    span.attributes.append(KeyValue(key="long", value=AnyValue(string_value=text)))
    span.events.append(an_event(NOW, name=text))
    send(place, a_request(span, scope=text).SerializeToString())

    expect_in_zipkin(place, [span])
    trace_id = span.trace_id.hex()
    with urllib.request.urlopen(f"{place.zipkin_url}/api/v2/trace/{trace_id}", timeout=10) as answer:
        [shown] = json.load(answer)
    assert shown["name"] == "中" * 85
    assert shown["tags"]["long"] == "中" * 85
    assert shown["annotations"][0]["value"] == "中" * 85
    assert shown["tags"]["otel.status_description"] == "中" * 341
    assert shown["tags"]["otel.library.name"] == "中" * 42


def test_text_that_is_not_utf_8_costs_no_other_span(place: Settings) -> None:
    odd, others = a_span(name="not-utf-8"), [a_span() for _ in range(2)]
    body = (
        a_request(others[0], odd, others[1])
        .SerializeToString()
        .replace(b"not-utf-8", b"\xff\xfe\x80\xc3(\xed\xa0\x80!")
    )

    assert send(place, body) == 200
    expect_in_zipkin(place, [odd, *others])


@pytest.mark.parametrize("ids", [{"trace_id": b"short"}, {"span_id": b"short"}, {"parent_span_id": b"short"}])
def test_ids_of_another_length_are_refused_to_their_sender(place: Settings, ids: dict[str, bytes]) -> None:
    with pytest.raises(HTTPError, match="400"):
        send(place, a_request(a_span(**ids)).SerializeToString())


@pytest.mark.parametrize("resource", [[], attributes(), attributes("service.name".format), attributes(count=500)])
def test_whatever_a_resource_says_its_spans_are_in_zipkin(place: Settings, resource: list[KeyValue]) -> None:
    spans = [a_span() for _ in range(3)]
    send(place, a_request(*spans, resource=resource).SerializeToString())

    expect_in_zipkin(place, spans)
