import json
from pathlib import Path

import pytest
from journey import Span, Trace

RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> Trace:
    return Trace.from_zipkin(json.loads((RECORDED / f"{name}.json").read_text()))


def span(id: str, parent: str | None, start: int | None = 0) -> Span:
    return Span("t", id, parent, f"name of {id}", "service", "INTERNAL", start)


def outline(trace: Trace) -> list[str]:
    return [f"{'.' * node.depth}{node.id}{'' if node.span else '?'}" for node in trace.tree()]


def test_a_span_has_what_zipkin_has() -> None:
    trace = recorded("order")
    read = next(span for span in trace.spans if span.name == "send email")

    assert trace.id == read.trace_id == "0af7651916cd43dd8448eb211c80319d"
    assert (read.id, read.parent_id) == ("49d97a9c9099c3b7", "30d45620dc304f65")
    assert (read.service, read.kind, read.remote_service) == ("notifier", "CLIENT", "smtp")
    assert (read.start, read.duration, read.end) == (1795388835532631, 5306, 1795388835537937)
    assert read.tags["network.protocol.name"] == "smtp"
    assert read.error is None


def test_a_span_that_has_next_to_nothing_is_read() -> None:
    read = Span.from_zipkin({"traceId": "1" * 32, "id": "2" * 16})

    assert (read.name, read.service, read.kind, read.parent_id) == ("", "", "INTERNAL", None)
    assert (read.start, read.duration, read.end, read.remote_service) == (None, None, None, None)


def test_no_spans_are_no_trace() -> None:
    with pytest.raises(ValueError):
        Trace.from_zipkin([])


def test_an_error_has_its_type_and_description() -> None:
    errors = {span.name: span.error for span in recorded("refused_email").spans if span.error}

    assert errors == {
        "process invoices": "Poison: the mail server refuses the e-mail for good (554)",
        "send email": "smtplib.SMTPDataError",
    }


@pytest.mark.parametrize("error_type", ["Poison", "eventbus.errors.Poison"])
def test_a_type_that_the_description_begins_with_is_not_said_twice(error_type: str) -> None:
    tags = {"error": "true", "error.type": error_type, "otel.status_description": "Poison: it cannot be read"}

    assert Span.from_zipkin({"traceId": "1", "id": "2", "tags": tags}).error == "Poison: it cannot be read"


def test_a_bare_error_tag_is_an_error() -> None:
    assert Span.from_zipkin({"traceId": "1", "id": "2", "tags": {"error": "refused"}}).error == "refused"
    assert Span.from_zipkin({"traceId": "1", "id": "2", "tags": {"error": ""}}).error is not None


@pytest.mark.parametrize(
    ("tags", "says"),
    [
        ({"error": "true", "http.response.status_code": "503"}, "HTTP 503"),
        ({"error": "503", "http.status_code": "503"}, "HTTP 503"),
        ({"error": "true", "error.type": "500", "http.response.status_code": "500"}, "HTTP 500"),
        ({"error": "boom", "error.type": "500", "http.response.status_code": "500"}, "HTTP 500"),
        ({"error": "down", "otel.status_description": "down", "http.status_code": "502"}, "HTTP 502: down"),
        ({"error": "true", "error.type": "ReadTimeout", "http.response.status_code": "504"}, "HTTP 504: ReadTimeout"),
        ({"error": "refused with 400", "http.status_code": "400"}, "refused with 400"),
        ({"http.response.status_code": "404"}, None),
    ],
)
def test_an_http_error_says_its_status_code(tags: dict[str, str], says: str | None) -> None:
    assert Span.from_zipkin({"traceId": "1", "id": "2", "tags": tags}).error == says


def test_spans_are_sorted_by_start_and_those_without_come_last() -> None:
    order = recorded("order")
    trace = Trace.from_zipkin(
        [
            {"traceId": "t", "id": "1"},
            {"traceId": "t", "id": "2", "timestamp": 9},
            {"traceId": "t", "id": "3", "timestamp": 5},
        ]
    )

    assert [span.id for span in trace.spans] == ["3", "2", "1"]
    assert order.spans[0].name == "post /orders"


def test_the_tree_goes_down_before_it_goes_on() -> None:
    trace = Trace("t", (span("a", None), span("b", "a"), span("c", "a"), span("d", "b")))

    assert outline(trace) == ["a", ".b", "..d", ".c"]
    assert [node.last for node in trace.tree()] == [True, False, True, True]


def test_spans_of_one_missing_parent_hang_on_one_gap() -> None:
    trace = Trace("t", (span("a", None), span("b", "x"), span("c", "a"), span("d", "x")))

    assert outline(trace) == ["a", ".c", "x?", ".b", ".d"]


def test_of_two_spans_with_one_id_the_first_has_the_children() -> None:
    trace = Trace("t", (span("a", None), span("a", None), span("b", "a")))

    assert outline(trace) == ["a", ".b", "a"]


def shared(kind: str, service: str, id: str = "b", parent: str | None = "a") -> Span:
    return Span("t", id, parent, f"{kind} of {service}", service, kind, 0)


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (2, 0, 4, 1, 3)])
def test_a_client_and_a_server_that_share_an_id_are_below_each_other(order: tuple[int, ...]) -> None:
    spans = (
        shared("SERVER", "front", "a", None),
        shared("CLIENT", "front"),
        shared("SERVER", "back"),
        shared("INTERNAL", "front", "retry", "b"),
        shared("CLIENT", "back", "c", "b"),
    )
    trace = Trace("t", tuple(spans[number] for number in order))
    parents = {node.span: node.parent.span if node.parent else None for node in trace.tree()}

    assert parents == {
        spans[0]: None,
        spans[1]: spans[0],
        spans[2]: spans[1],
        spans[3]: spans[1],
        spans[4]: spans[2],
    }
    assert {span: trace.parent(span) for span in spans} == parents
    assert all(span in trace.children(parent) for span, parent in parents.items() if span and parent)


def test_a_service_that_calls_itself_has_its_work_below_the_server() -> None:
    trace = Trace("t", (shared("CLIENT", "one"), shared("SERVER", "one"), shared("CLIENT", "one", "c", "b")))

    assert [node.depth for node in trace.tree() if node.span] == [1, 2, 3]


def test_spans_that_share_an_id_by_chance_keep_the_parents_they_name() -> None:
    trace = Trace("t", (shared("CLIENT", "front"), shared("SERVER", "back", parent="z")))

    assert outline(trace) == ["a?", ".b", "z?", ".b"]


def test_a_circle_of_parents_is_opened() -> None:
    trace = Trace("t", (span("tail", "b"), span("a", "b"), span("b", "a"), span("self", "self")))
    nodes = list(trace.tree())

    assert outline(trace) == ["b", ".tail", ".a", "self"]
    assert [node.id for node in nodes if node.circle] == ["b", "self"]


def test_a_very_deep_trace_has_a_tree() -> None:
    trace = Trace("t", tuple(span(str(number), str(number - 1) if number else None) for number in range(20_000)))

    assert sum(1 for _ in trace.tree()) == 20_000
