"""One order, one trace."""

import secrets

import journey
import requests

from tests.e2e.polling import poll_until
from tests.e2e.shop import Shop
from tests.e2e.system import System
from tests.order_journey import ORDER_EDGES, ORDER_JOURNEY

SERVICES = ("orders", "orders-worker", "billing", "notifier")


def test_an_order_in_a_trace_of_the_callers_is_exactly_the_declared_journey(shop: Shop) -> None:
    order = shop.place_within_own_trace(1)

    journey.wait_for(shop.zipkin_url, order.trace_id, ORDER_JOURNEY, timeout=60, remote_parent=order.caller)
    shop.expect_one_mail_each([order])


def test_an_order_without_a_trace_gets_a_new_one_and_is_told_its_id(shop: Shop) -> None:
    answer = shop.post(2)

    trace_id = answer.json()["trace_id"]
    trace = journey.wait_for(shop.zipkin_url, trace_id, ORDER_JOURNEY, timeout=60, remote_parent=None)
    assert answer.headers["traceresponse"].split("-")[1] == trace_id
    assert answer.json()["trace_url"] == f"{shop.zipkin_url}/zipkin/traces/{trace_id}"
    root = next(span for span in trace.spans if span.kind == "SERVER")
    assert answer.headers["traceresponse"].split("-")[2] == root.id


def test_a_caller_who_does_not_sample_cannot_remove_the_journey(shop: Shop) -> None:
    trace_id = secrets.token_hex(16)
    order = shop.place(3, traceparent=f"00-{trace_id}-{secrets.token_hex(8)}-00")

    journey.wait_for(shop.zipkin_url, order.trace_id, ORDER_JOURNEY, timeout=60, remote_parent=order.caller)
    assert order.trace_id == trace_id


def test_a_repeated_request_gives_the_first_trace_and_one_invoice(shop: Shop) -> None:
    first, second = shop.place(4, key="four"), shop.place(4, key="four")

    assert first == second
    shop.expect_exact_journeys([first])
    shop.expect_one_mail_each([first])


def test_health_checks_and_documents_leave_no_span(shop: Shop) -> None:
    for path in ("/healthz", "/readyz", "/openapi.json", "/asyncapi.json"):
        assert requests.get(f"{shop.orders_url}{path}", timeout=30).status_code == 200
    shop.expect_exact_journeys([shop.place_within_own_trace(5)])

    names = requests.get(f"{shop.zipkin_url}/api/v2/spans", params={"serviceName": "orders"}, timeout=30).json()
    assert set(names) <= {"post /orders", "send orders", "get /orders/<order_id>"}


def test_zipkin_has_the_journeys_and_nothing_else(shop: Shop, system: System) -> None:
    system.stop("zipkin")  # what it has in memory, it forgets
    system.start("zipkin")
    orders = shop.place_all(range(100, 120))
    shop.expect_exact_journeys(orders)

    assert shop.all_trace_ids() == {order.trace_id for order in orders}
    edges = journey.dependencies(shop.zipkin_url)
    assert edges == {edge: journey.Calls(count=20, errors=0) for edge in ORDER_EDGES}


def test_no_log_and_no_span_has_a_customers_address(shop: Shop, system: System) -> None:
    order = shop.place_within_own_trace(6)
    shop.expect_exact_journeys([order])
    poll_until(lambda: order.trace_id in system.spans(), "the audit file has the trace")

    assert "canary-" not in system.spans()
    for part in (*SERVICES, "collector"):
        assert "canary-" not in system.logs(part), part


def test_every_log_line_of_an_order_has_its_trace(shop: Shop, system: System) -> None:
    order = shop.place_within_own_trace(7)
    shop.expect_exact_journeys([order])

    for part in SERVICES:
        lines = [line for line in system.logs(part).splitlines() if order.order_id in line]
        assert lines, part
        assert all(order.trace_id in line for line in lines), lines
