import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journey import Row, Span, Trace, differences

from tests.order_journey import ORDER_EDGES, ORDER_JOURNEY

RECORDED = Path(__file__).parent / "recorded"
CALLER = "b7ad6b7169203331"


def recorded(name: str) -> Trace:
    return Trace.from_zipkin(json.loads((RECORDED / f"{name}.json").read_text()))


ORDER = recorded("order")
STRANGER = "feedfacefeedface"


def with_spans(*spans: Span) -> Trace:
    return Trace(ORDER.id, spans)


def changed(number: int, **change: str | None) -> Trace:
    return with_spans(
        *(replace(span, **change) if index == number else span for index, span in enumerate(ORDER.spans))  # type: ignore[arg-type]
    )


def test_a_recorded_order_is_exact() -> None:
    assert differences(ORDER, ORDER_JOURNEY, CALLER) == []
    assert differences(ORDER, ORDER_JOURNEY, CALLER.upper()) == []


def test_a_recorded_order_without_a_caller_is_exact() -> None:
    assert differences(recorded("order_without_caller"), ORDER_JOURNEY, None) == []


def test_the_caller_has_to_be_the_roots_parent() -> None:
    [other] = differences(ORDER, ORDER_JOURNEY, STRANGER)
    [none] = differences(ORDER, ORDER_JOURNEY, None)
    [ignored] = differences(recorded("order_without_caller"), ORDER_JOURNEY, CALLER)

    assert other.endswith(f"is {CALLER}, which is not in the trace, instead of the caller's span {STRANGER}.")
    assert none.endswith(f"is {CALLER}, which is not in the trace, although the caller sent no context.")
    assert ignored.endswith(f"is nothing instead of the caller's span {CALLER}.")


def test_a_missing_span_is_named() -> None:
    found = differences(with_spans(*ORDER.spans[:3], *ORDER.spans[4:]), ORDER_JOURNEY, CALLER)

    assert found == ["Row 4 is missing: billing PRODUCER `send invoices`."]


def test_a_repeated_span_is_named_with_its_ids() -> None:
    twin = replace(ORDER.spans[5], id=STRANGER)
    found = differences(with_spans(*ORDER.spans, twin), ORDER_JOURNEY, CALLER)

    assert found == [
        f"Row 6 is there 2 times instead of once: notifier CLIENT `send email`, spans 49d97a9c9099c3b7, {STRANGER}."
    ]


def test_a_span_too_many_is_named_with_its_parent() -> None:
    found = differences(recorded("refused_email"), ORDER_JOURNEY, None)

    assert found == [
        "notifier PRODUCER `send notifier.dlq` (61702e82fe6ab9fe) is not in the chain; "
        "its parent is notifier CONSUMER `process invoices` (58b8983826bcf26b)."
    ]


def test_a_wrong_parent_is_named_beside_the_right_one() -> None:
    found = differences(changed(5, parent_id=ORDER.spans[0].id), ORDER_JOURNEY, CALLER)

    assert found == [
        "The parent of row 6, notifier CLIENT `send email` (49d97a9c9099c3b7), "
        "is orders SERVER `post /orders` (1812ca90090d2542) "
        "instead of row 5, notifier CONSUMER `process invoices` (30d45620dc304f65)."
    ]


def test_a_span_of_another_trace_is_named() -> None:
    found = differences(changed(2, trace_id="f" * 32), ORDER_JOURNEY, CALLER)

    assert found == [
        f"billing CONSUMER `process orders` (09a821c8dd862f14) belongs to trace {'f' * 32}, not to {ORDER.id}."
    ]


@given(st.permutations(ORDER.spans))
def test_the_order_of_the_spans_does_not_matter(spans: list[Span]) -> None:
    assert differences(with_spans(*spans), ORDER_JOURNEY, CALLER) == []


every_row = pytest.mark.parametrize("number", range(len(ORDER_JOURNEY)))


@every_row
def test_each_span_dropped_is_reported(number: int) -> None:
    assert differences(with_spans(*ORDER.spans[:number], *ORDER.spans[number + 1 :]), ORDER_JOURNEY, CALLER)


@every_row
def test_each_span_repeated_is_reported(number: int) -> None:
    twin = ORDER.spans[number]

    assert differences(with_spans(*ORDER.spans, twin), ORDER_JOURNEY, CALLER)
    assert differences(with_spans(*ORDER.spans, replace(twin, id=STRANGER)), ORDER_JOURNEY, CALLER)
    assert differences(with_spans(*ORDER.spans, replace(twin, parent_id=STRANGER)), ORDER_JOURNEY, CALLER)


@every_row
@pytest.mark.parametrize("parent", [None, STRANGER, CALLER, *(span.id for span in ORDER.spans)])
def test_each_parent_changed_is_reported(number: int, parent: str | None) -> None:
    right = parent == ORDER.spans[number].parent_id

    assert bool(differences(changed(number, parent_id=parent), ORDER_JOURNEY, CALLER)) is not right


@every_row
@given(text=st.text())
@settings(max_examples=20, deadline=None)
def test_each_other_name_service_kind_id_or_trace_is_reported(number: int, text: str) -> None:
    # Text in another case is the same text: Zipkin has only one.
    span = ORDER.spans[number]
    if text.lower() != span.name:
        assert differences(changed(number, name=text), ORDER_JOURNEY, CALLER)
    if text.lower() != span.service:
        assert differences(changed(number, service=text), ORDER_JOURNEY, CALLER)
    if text.upper() != span.kind:
        assert differences(changed(number, kind=text), ORDER_JOURNEY, CALLER)
    if text != span.trace_id:
        assert differences(changed(number, trace_id=text), ORDER_JOURNEY, CALLER)
    if text != span.id and number + 1 < len(ORDER_JOURNEY):
        assert differences(changed(number, id=text), ORDER_JOURNEY, CALLER)


@every_row
@pytest.mark.parametrize("kind", ["SERVER", "CLIENT", "PRODUCER", "CONSUMER", "INTERNAL"])
@pytest.mark.parametrize("name", ["receive orders", "send orders", ""])
def test_a_span_more_is_reported_wherever_it_hangs(number: int, kind: str, name: str) -> None:
    more = Span(ORDER.id, STRANGER, ORDER.spans[number].id, name, "billing", kind)

    assert differences(with_spans(*ORDER.spans, more), ORDER_JOURNEY, CALLER)


def test_the_edges_are_one_line() -> None:
    line = ["orders"]
    while following := [child for parent, child in ORDER_EDGES if parent == line[-1]]:
        line += following

    assert " -> ".join(line) == "orders -> kafka/orders -> billing -> kafka/invoices -> notifier -> smtp"
    assert len(line) == len(ORDER_EDGES) + 1


def test_the_halves_of_a_shared_span_are_rows_below_each_other() -> None:
    chain = (
        Row(1, "front", "CLIENT", "get", parent=None),
        Row(2, "back", "SERVER", "get", parent=1),
        Row(3, "back", "PRODUCER", "send", parent=2),
    )
    client, server = (Span("t", "a", None, "get", row.service, row.kind) for row in chain[:2])
    trace = Trace("t", (client, server, Span("t", "b", "a", "send", "back", "PRODUCER")))

    assert differences(trace, chain, None) == []
    wrong = [*chain[:2], replace(chain[2], parent=1)]
    (told,) = differences(trace, wrong, None)
    assert told.endswith("is back SERVER `get` (a) instead of row 1, front CLIENT `get` (a).")
