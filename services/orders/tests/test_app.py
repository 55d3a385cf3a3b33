"""What a caller of the HTTP interface is promised; how it refuses is in test_problems.py."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from eventbus import Database, Event, Outbox, Receipt, Unavailable
from eventbus.database import tables
from flask import Flask
from flask.testing import FlaskClient
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import Connection, Row, select
from stack.polling import wait_until
from werkzeug.test import TestResponse

from orders import store
from orders.app import create_app

CALLERS_TRACE = "0af7651916cd43dd8448eb211c80319c"
THREADS = 16
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def traced(database: Database, spans: InMemorySpanExporter) -> Iterator[FlaskClient]:
    """A client of the service as it runs under opentelemetry-instrument."""
    app = create_app(database, public_zipkin_url="http://zipkin.example")
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    FlaskInstrumentor().instrument_app(app, tracer_provider=provider)
    yield app.test_client()
    FlaskInstrumentor().uninstrument_app(app)


def outbox(database: Database) -> list[Row[Any]]:
    with database.read() as connection:
        return list(connection.execute(select(tables.outbox)))


def orders_stored(database: Database) -> list[Row[Any]]:
    with database.read() as connection:
        return list(connection.execute(select(store.metadata.tables["orders"])))


def server_span(spans: InMemorySpanExporter) -> ReadableSpan:
    [span] = spans.get_finished_spans()
    return span


def traceparent(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def test_an_order_is_accepted(client: FlaskClient, order: dict[str, Any]) -> None:
    answer = client.post("/orders", json=order)

    assert answer.status_code == 202
    assert answer.content_type == "application/json"
    assert list(answer.get_json()) == ["order_id", "status", "trace_id", "journey_url", "trace_url"]
    assert answer.get_json()["status"] == "accepted"
    assert str(UUID(answer.get_json()["order_id"])) == answer.get_json()["order_id"]
    assert answer.headers["Location"] == f"/orders/{answer.get_json()['order_id']}"


def test_an_order_is_announced_in_the_transaction_that_stores_it(
    client: FlaskClient, database: Database, order: dict[str, Any]
) -> None:
    order_id = client.post("/orders", json=order).get_json()["order_id"]

    [stored], [announced] = orders_stored(database), outbox(database)
    assert stored.order_id == order_id
    assert (announced.topic, announced.key.decode()) == ("orders", order_id)
    event = json.loads(announced.value)
    assert {name: event[name] for name in order} == order
    assert event["order_id"] == order_id


def test_the_announcement_carries_the_trace_of_the_request(
    traced: FlaskClient, database: Database, spans: InMemorySpanExporter, order: dict[str, Any]
) -> None:
    answer = traced.post("/orders", json=order)

    span = server_span(spans)
    [announced] = outbox(database)
    assert span.name == "POST /orders"
    assert json.loads(announced.trace_context) == {"traceparent": traceparent(span)}
    assert answer.headers["traceresponse"] == traceparent(span)
    assert answer.get_json()["trace_id"] == traceparent(span)[3:35]
    assert answer.get_json()["trace_url"] == f"http://zipkin.example/zipkin/traces/{traceparent(span)[3:35]}"


def test_an_order_joins_the_trace_of_its_caller(
    traced: FlaskClient, spans: InMemorySpanExporter, order: dict[str, Any]
) -> None:
    callers = {"traceparent": f"00-{CALLERS_TRACE}-b7ad6b7169203331-01"}
    answer = traced.post("/orders", json=order, headers=callers)

    parent = server_span(spans).parent
    assert answer.get_json()["trace_id"] == CALLERS_TRACE
    assert parent and parent.span_id == 0xB7AD6B7169203331
    # The span of this service, not the caller's.
    assert answer.headers["traceresponse"] == traceparent(server_span(spans))


def test_without_tracing_an_order_has_no_trace(client: FlaskClient, order: dict[str, Any]) -> None:
    answer = client.post("/orders", json=order)

    assert answer.get_json()["trace_id"] is None
    assert answer.get_json()["trace_url"] is None
    assert "traceresponse" not in answer.headers


def test_without_a_place_to_see_traces_there_is_no_link(database: Database, order: dict[str, Any]) -> None:
    app = create_app(database)
    FlaskInstrumentor().instrument_app(app, tracer_provider=TracerProvider())
    answer = app.test_client().post("/orders", json=order).get_json()
    FlaskInstrumentor().uninstrument_app(app)

    assert answer["trace_id"]
    assert answer["trace_url"] is None


def test_an_order_can_be_looked_up(traced: FlaskClient, order: dict[str, Any]) -> None:
    accepted = traced.post("/orders", json=order)
    answer = traced.get(accepted.headers["Location"])

    assert answer.status_code == 200
    shown = answer.get_json()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", shown.pop("placed_at"))
    assert shown == {**accepted.get_json(), **order}


def test_another_spelling_of_an_amount_is_kept_in_the_one_canonical_form(
    client: FlaskClient, order: dict[str, Any]
) -> None:
    spelled = ["19.9", "7", "-0"]
    order["items"] = [{"sku": "X", "quantity": 1, "unit_price": each} for each in spelled]
    shown = client.get(client.post("/orders", json=order).headers["Location"]).get_json()

    assert [item["unit_price"] for item in shown["items"]] == ["19.90", "7.00", "0.00"]


def test_the_same_key_and_order_give_the_first_answer_with_the_first_trace(
    traced: FlaskClient, database: Database, order: dict[str, Any]
) -> None:
    key = {"Idempotency-Key": "cart-17"}
    first = traced.post("/orders", json=order, headers=key)
    again = traced.post("/orders", json=order, headers=key)

    assert (again.status_code, again.get_json()) == (202, first.get_json())
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["traceresponse"] == first.headers["traceresponse"]
    assert len(orders_stored(database)) == len(outbox(database)) == 1


def test_the_same_order_in_another_spelling_is_the_same_order(
    client: FlaskClient, database: Database, order: dict[str, Any]
) -> None:
    key = {"Idempotency-Key": "cart-17"}
    first = client.post("/orders", json=order, headers=key)
    respelled: dict[str, Any] = {
        "items": [dict(reversed(item.items())) for item in order["items"]],
        "currency": "EUR",
        "customer": {"email": "ada@EXAMPLE.com"},
    }
    respelled["items"][0]["unit_price"] = "19.9"
    again = client.post("/orders", data=json.dumps(respelled, indent=4), headers={**key, **JSON})

    assert again.get_json() == first.get_json()
    assert len(orders_stored(database)) == len(outbox(database)) == 1


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("currency", "USD"),
        ("customer", {"email": "grace@example.com"}),
        ("items", [{"sku": "BOOK-1", "quantity": 2, "unit_price": "19.91"}]),
    ],
)
def test_the_same_key_with_another_order_is_a_conflict(
    client: FlaskClient, database: Database, order: dict[str, Any], member: str, value: object
) -> None:
    key = {"Idempotency-Key": "cart-17"}
    first = client.post("/orders", json=order, headers=key)
    other = client.post("/orders", json={**order, member: value}, headers=key)

    assert (other.status_code, other.content_type) == (409, "application/problem+json")
    assert other.get_json()["order_id"] == first.get_json()["order_id"]
    assert "new key" in other.get_json()["detail"]
    assert len(orders_stored(database)) == len(outbox(database)) == 1


def test_a_key_is_not_used_up_by_a_refused_order(client: FlaskClient, order: dict[str, Any]) -> None:
    key = {"Idempotency-Key": "cart-17"}
    refused = client.post("/orders", json={**order, "items": []}, headers=key)
    accepted = client.post("/orders", json=order, headers=key)

    assert (refused.status_code, accepted.status_code) == (422, 202)


def test_orders_without_a_key_or_with_different_keys_are_different_orders(
    client: FlaskClient, database: Database, order: dict[str, Any]
) -> None:
    headers: list[dict[str, str]] = [{}, {}, {"Idempotency-Key": "a"}, {"Idempotency-Key": "A"}]
    answers = [client.post("/orders", json=order, headers=each).get_json() for each in headers]

    assert len({answer["order_id"] for answer in answers}) == 4
    assert len(orders_stored(database)) == len(outbox(database)) == 4


@pytest.mark.parametrize("key", ["k", "k" * 255, "é" * 255, "a b;c=d, 'e' \"f\"\t%00"])
def test_any_key_of_1_to_255_characters_is_taken(client: FlaskClient, order: dict[str, Any], key: str) -> None:
    answers = [client.post("/orders", json=order, headers={"Idempotency-Key": key}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].get_json() == answers[1].get_json()


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_of_another_length_is_refused(
    client: FlaskClient, database: Database, order: dict[str, Any], key: str
) -> None:
    answer = client.post("/orders", json=order, headers={"Idempotency-Key": key})

    assert (answer.status_code, answer.content_type) == (400, "application/problem+json")
    assert "1 to 255 characters" in answer.get_json()["detail"]
    assert orders_stored(database) == outbox(database) == []


@contextmanager
def held(database: Database, writers: int) -> Iterator[None]:
    """On SQLite, let nobody write before so many are about to: all but the first of them then share its transaction."""
    if (group := database._group) is None:
        yield
        return

    def all_wait() -> str | None:
        return None if len(group._waiting) == writers - 1 else f"{len(group._waiting)} of {writers - 1} wait"

    with database.write():
        yield
        wait_until("all are about to write", all_wait, timeout=60)


def at_once(database: Database, app: Flask, order: dict[str, Any], keys: list[str]) -> list[TestResponse]:
    """Place *order* once for each of *keys*, all at the same moment."""
    line = Barrier(len(keys))

    def place(key: str) -> TestResponse:
        client = app.test_client()
        line.wait(timeout=60)
        return client.post("/orders", json=order, headers={"Idempotency-Key": key})

    with ThreadPoolExecutor(len(keys)) as threads, held(database, len(keys)):
        answers = [threads.submit(place, key) for key in keys]
    return [answer.result() for answer in answers]


def test_requests_with_one_key_at_the_same_moment_are_one_order(database: Database, order: dict[str, Any]) -> None:
    answers = at_once(database, create_app(database), order, ["cart-17"] * THREADS)

    assert [answer.status_code for answer in answers] == [202] * THREADS
    assert len({answer.get_json()["order_id"] for answer in answers}) == 1
    assert len(orders_stored(database)) == len(outbox(database)) == 1


def test_requests_with_a_key_each_at_the_same_moment_are_an_order_each_in_the_trace_of_its_request(
    traced: FlaskClient, database: Database, spans: InMemorySpanExporter, order: dict[str, Any]
) -> None:
    answers = at_once(database, traced.application, order, [f"cart-{n}" for n in range(THREADS)])

    traces = {answer.get_json()["order_id"]: answer.headers["traceresponse"] for answer in answers}
    assert [answer.status_code for answer in answers] == [202] * THREADS
    assert sorted(traces.values()) == sorted(traceparent(span) for span in spans.get_finished_spans())
    assert {row.order_id: row.traceparent for row in orders_stored(database)} == traces
    announced = {row.key.decode(): json.loads(row.trace_context) for row in outbox(database)}
    assert announced == {order_id: {"traceparent": trace} for order_id, trace in traces.items()}


def test_of_requests_at_the_same_moment_those_that_are_refused_cost_the_others_nothing(
    database: Database, order: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = iter([False, True, False, True, True, False])

    def add(self: Outbox, connection: Connection, event: Event) -> Receipt:
        receipt = really_add(self, connection, event)
        if next(refused):
            raise Unavailable("no room")
        return receipt

    really_add = Outbox.add
    monkeypatch.setattr(Outbox, "add", add)
    answers = at_once(database, create_app(database), order, [f"cart-{n}" for n in range(6)])

    accepted = [answer.get_json()["order_id"] for answer in answers if answer.status_code == 202]
    assert sorted(answer.status_code for answer in answers) == [202] * 3 + [503] * 3
    assert {row.order_id for row in orders_stored(database)} == set(accepted)
    assert {row.key.decode() for row in outbox(database)} == set(accepted)


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"])
def test_json_is_recognised_however_the_type_is_written(
    client: FlaskClient, order: dict[str, Any], content_type: str
) -> None:
    answer = client.post("/orders", data=json.dumps(order), headers={"Content-Type": content_type})

    assert answer.status_code == 202


@pytest.mark.parametrize(("path", "status"), [("/healthz", "alive"), ("/readyz", "ready")])
def test_health_is_told(client: FlaskClient, path: str, status: str) -> None:
    answer = client.get(path)

    assert (answer.status_code, answer.get_json()) == (200, {"status": status})


def test_health_checks_write_nothing(client: FlaskClient, database: Database) -> None:
    with database.write():
        answers = [client.get(path) for path in ("/healthz", "/readyz", "/openapi.json")]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
