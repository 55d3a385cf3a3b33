"""Spans in OTLP's JSON; `recorded/audit.jsonl` is what the Collector wrote of one order."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import journey
import pytest
from journey import spans_from_otlp, trace_from_otlp
from journey.illegible import Illegible

from tests.order_journey import ORDER_JOURNEY

RECORDED = Path(__file__).parent / "recorded" / "audit.jsonl"
TRACE = "970c05e286327d94b104178d6887a676"


def requests() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDED.read_text().splitlines()]


def request(**span: Any) -> dict[str, Any]:
    """One span with next to nothing but what is given."""
    return {"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "1" * 32, "spanId": "2" * 16, **span}]}]}]}


def test_a_recorded_order_is_the_declared_journey() -> None:
    trace = trace_from_otlp(requests(), TRACE)

    assert trace is not None
    assert journey.differences(trace, ORDER_JOURNEY, remote_parent=None) == []


def test_a_span_has_what_the_collector_wrote() -> None:
    read = next(span for each in requests() for span in spans_from_otlp(each) if span.name == "send email")

    assert (read.trace_id, read.id, read.parent_id) == (TRACE, "04106e55fa54852d", "640ecbe072085f66")
    assert (read.service, read.kind, read.remote_service) == ("notifier", "CLIENT", "smtp")
    assert (read.start, read.duration) == (1795389757329160, 9166)
    assert (read.tags["server.port"], read.tags["service.instance.id"]) == (
        "1025",
        "0feb4a41-4c00-4b06-8861-e290677eb8ee",
    )
    assert read.error is None


def test_a_span_that_has_next_to_nothing_is_read() -> None:
    (read,) = spans_from_otlp(request())

    assert (read.name, read.service, read.kind, read.parent_id) == ("", "", "INTERNAL", None)
    assert (read.start, read.duration, read.end) == (None, None, None)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"stringValue": "x"}, "x"),
        ({"intValue": "12"}, "12"),
        ({"boolValue": True}, "true"),
        ({"doubleValue": 0.5}, "0.5"),
        ({"arrayValue": {"values": [{"intValue": "1"}, {"stringValue": "é"}, {}]}}, '[1,"é",null]'),
        ({"array_value": {"values": [{"int_value": 1}, {"bool_value": False}]}}, "[1,false]"),
        ({"kvlistValue": {"values": [{"key": "a", "value": {"intValue": "1"}}]}}, '{"a":1}'),
        ({"stringValue": None, "intValue": 12}, "12"),
        ({}, ""),
    ],
)
def test_every_kind_of_attribute_becomes_a_text(value: dict[str, Any], text: str) -> None:
    (read,) = spans_from_otlp(request(attributes=[{"key": "k", "value": value}]))

    assert read.tags == {"k": text}


def test_a_link_is_told_as_zipkin_tells_it() -> None:
    (read,) = spans_from_otlp(request(links=[{"traceId": "A" * 32, "spanId": "B" * 16, "flags": 256}]))

    assert read.tags == {"otlp.link.0": f"{'a' * 32}|{'b' * 16}||{{}}|0"}


def test_an_error_is_told_as_zipkin_tells_it() -> None:
    error = [{"key": "error.type", "value": {"stringValue": "Poison"}}]
    (told,) = spans_from_otlp(request(status={"code": 2, "message": "refused"}, attributes=error))
    (silent,) = spans_from_otlp(request(status={"code": 2}))
    (fine,) = spans_from_otlp(request(status={"code": 1}))

    assert told.error == "Poison: refused"
    assert silent.error == "true"
    assert fine.error is None


def test_a_kind_that_nobody_gave_is_internal_and_one_that_is_none_is_refused() -> None:
    assert [span.kind for kind in (None, 0, 1, 2) for span in spans_from_otlp(request(kind=kind))] == [
        *["INTERNAL"] * 3,
        "SERVER",
    ]
    with pytest.raises(ValueError, match="6 is none of SPAN_KIND_UNSPECIFIED"):
        list(spans_from_otlp(request(kind=6)))


def test_a_span_that_is_not_understood_costs_no_other() -> None:
    told: list[Illegible] = []
    read = list(spans_from_otlp([request(spanId=""), request(), request(traceId=""), {"spans": 7}], told.append))

    assert [span.id for span in read] == ["2" * 16]
    assert [each.trace_id for each in told] == ["1" * 32, None, None]
    assert [each.says.split(": ")[1] for each in told] == [
        "it has no id",
        "it has no trace id",
        "it has no resourceSpans",
    ]


def test_a_span_reported_twice_is_one_and_the_first_report_counts() -> None:
    again = deepcopy(requests())
    for each in again:
        for span in (s for r in each["resourceSpans"] for scope in r["scopeSpans"] for s in scope["spans"]):
            span["startTimeUnixNano"] = str(int(span["startTimeUnixNano"]) + 1_000_000)
    trace, once = trace_from_otlp([*again, *requests()], TRACE), trace_from_otlp(requests(), TRACE)

    assert trace == once


def test_a_trace_without_spans_is_none() -> None:
    assert trace_from_otlp(requests(), "f" * 32) is None
