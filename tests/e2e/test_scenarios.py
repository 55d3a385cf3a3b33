"""An order carries a fault scenario as baggage: with DEMO_FAULTS=1 it happens, and the trace tells of it."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress

import journey
import pytest
import requests
from demo_faults.baggage import SCENARIOS
from sqlalchemy import create_engine, text
from stack import Stack
from stack.services import database_url, instrumented, tool_environment

from tests.attributes import conventions, page
from tests.contracts.asyncapi import Document
from tests.e2e.polling import poll_until
from tests.e2e.records import records_of
from tests.e2e.scenarios import INVOICES, MAILS, REDRIVEN, TOPICS, TRACES, shape
from tests.e2e.shop import Placed, Shop
from tests.e2e.system import REPOSITORY, LocalSystem, System

PAGE = (REPOSITORY / "docs" / "scenarios.md").read_text()

ALL_TOPICS = ("orders", "invoices", "billing.retry", "billing.dlq", "notifier.retry", "notifier.dlq")

TYPES = {"stringValue": "string", "intValue": "int", "boolValue": "boolean"}
# Set only if the mail server itself refuses something, as in the tests of smtplib-otel.
REFUSED_MAIL = {"smtp.recipients.refused", "smtp.response.status_code"}


@pytest.fixture(scope="module")
def demo_shop(demo: Stack) -> Shop:
    system = LocalSystem(demo)
    return Shop(orders_url=system.orders_url, zipkin_url=system.zipkin_url, mailbox=system.mailbox)


@pytest.fixture(scope="module")
def orders(demo_shop: Shop) -> Mapping[str, Placed]:
    """An order for each scenario, all on their way at once."""
    return {name: demo_shop.place(number, headers=carrying(name)) for number, name in enumerate(TRACES)}


def carrying(scenario: str) -> Mapping[str, str]:
    """Return the header of a caller who has other baggage too."""
    return {"baggage": f"user=ada,demo.scenario={scenario},session=7"}


def rows(stack: Stack, service: str, query: str, **values: str) -> list[tuple[object, ...]]:
    """Return what a service's database says."""
    engine = create_engine(database_url(stack.settings, service))
    with engine.connect() as connection:
        found = [tuple(row) for row in connection.execute(text(query), values)]
    engine.dispose()
    return found


def attributes(spans: str) -> set[tuple[str, str]]:
    """Return the name and the kind of value of each attribute of the spans in OTLP, one request a line."""
    return {
        (attribute["key"], kind)
        for line in spans.splitlines()
        for of_resource in json.loads(line)["resourceSpans"]
        for of_scope in of_resource["scopeSpans"]
        for span in of_scope["spans"]
        for attribute in span.get("attributes", ())
        for kind in attribute["value"]
    }


def drawn(shop: Shop, trace_id: str) -> str:
    trace = journey.fetch(shop.zipkin_url, trace_id)
    return shape(trace) if trace else ""


def expect_trace(shop: Shop, trace_id: str, declared: str) -> None:
    """Wait until the trace is exactly the declared one."""
    with suppress(AssertionError):  # the next line shows where they differ
        poll_until(lambda: drawn(shop, trace_id) == declared, "the trace is whole", timeout=60)
    assert drawn(shop, trace_id) == declared


@pytest.mark.parametrize("scenario", TRACES)
def test_the_trace_of_a_scenario_is_exactly_the_declared_one(
    demo: Stack, demo_shop: Shop, orders: Mapping[str, Placed], scenario: str
) -> None:
    order = orders[scenario]
    expect_trace(demo_shop, order.trace_id, TRACES[scenario])

    invoices = rows(demo, "billing", "SELECT number FROM invoices WHERE order_id = :id", id=order.order_id)
    assert len(invoices) == INVOICES[scenario]
    assert len(demo_shop.mailbox.by_order()[order.order_id]) == MAILS[scenario]
    records = records_of(demo.settings.kafka, order.order_id, *ALL_TOPICS)
    assert Counter(record.topic for record in records) == TOPICS[scenario]
    baggage = [value for record in records for name, value in record.headers if name == "baggage"]
    assert baggage == [f"demo.scenario={scenario}".encode()] * len(records)
    assert drawn(demo_shop, order.trace_id) == TRACES[scenario], "a span came late"


@pytest.mark.parametrize("scenario", TRACES)
def test_every_process_span_names_the_scenario(demo_shop: Shop, orders: Mapping[str, Placed], scenario: str) -> None:
    trace = poll_until(lambda: journey.fetch(demo_shop.zipkin_url, orders[scenario].trace_id), "there is a trace")

    named = {span.name: span.tags.get("demo.scenario") for span in trace.spans}
    assert named == {name: scenario if name.startswith("process ") else None for name in named}


def test_each_attribute_of_a_span_is_of_the_conventions_or_declared_with_its_type(
    demo: Stack, demo_shop: Shop, orders: Mapping[str, Placed]
) -> None:
    for scenario, order in orders.items():
        expect_trace(demo_shop, order.trace_id, TRACES[scenario])
    own = {
        (name, TYPES[kind]) for name, kind in attributes(LocalSystem(demo).spans()) if name not in conventions.names()
    }
    declared = {(name, type_) for name, (type_, _, _) in page.declared("ATTRIBUTES").items()}

    assert own <= declared
    assert {name for name, _ in declared - own} <= REFUSED_MAIL, "declared, and on no span"


def test_every_record_on_every_topic_is_as_the_asyncapi_document_says(
    demo: Stack, demo_shop: Shop, orders: Mapping[str, Placed]
) -> None:
    document = Document(requests.get(f"{demo_shop.orders_url}/asyncapi.json", timeout=30).json())
    for scenario, order in orders.items():
        expect_trace(demo_shop, order.trace_id, TRACES[scenario])
    found = [each for order in orders.values() for each in records_of(demo.settings.kafka, order.order_id, *ALL_TOPICS)]

    assert {record.topic for record in found} == document.channels.keys() == set(ALL_TOPICS)
    for record in found:
        assert (record.topic, document.objections(record.topic, dict(record.headers), record.value)) == (
            record.topic,
            [],
        )
        assert "traceparent" in dict(record.headers)


def test_slow_billing_takes_three_seconds(demo_shop: Shop, orders: Mapping[str, Placed]) -> None:
    demo_shop.expect_exact_journeys([orders["slow-billing"]])

    trace = journey.fetch(demo_shop.zipkin_url, orders["slow-billing"].trace_id)
    (billed,) = (span for span in trace.spans if span.name == "process orders")
    assert billed.duration >= 3_000_000


def test_a_redrive_completes_an_order_in_its_trace_and_takes_no_fault_along(demo: Stack, demo_shop: Shop) -> None:
    order = demo_shop.place(102, headers=carrying("mail-down"))
    expect_trace(demo_shop, order.trace_id, TRACES["mail-down"])
    redrive = instrumented(demo.settings, "eventbus", "dlq", "redrive", "--order", order.order_id)
    subprocess.run(redrive, env=tool_environment(demo.settings), check=True, capture_output=True, timeout=60)

    expect_trace(demo_shop, order.trace_id, TRACES["mail-down"] + REDRIVEN)
    demo_shop.expect_one_mail_each([order])


def test_the_order_of_the_page_fails_as_it_says(demo_shop: Shop) -> None:
    command = re.search(r"^curl [^`]*baggage[^`]*", PAGE, re.M)[0]
    headers = dict(header.split(": ", 1) for header in re.findall(r"-H '([^']+)'", command))
    order = json.loads(re.search(r"-d '(.*?)'", command, re.S)[1])
    answer = requests.post(f"{demo_shop.orders_url}/orders", json=order, headers=headers, timeout=30)

    expect_trace(demo_shop, answer.json()["trace_id"], TRACES["billing-fails-twice"])


def test_the_page_names_every_scenario() -> None:
    table = PAGE.partition("## Make it fail")[2].partition("\n## ")[0]

    assert re.findall(r"^\| `([a-z-]+)` \|", table, re.M) == list(TRACES)
    assert set(TRACES) == SCENARIOS


def test_an_order_without_a_scenario_meets_no_fault_where_scenarios_happen(demo_shop: Shop) -> None:
    placed = [demo_shop.place(100), demo_shop.place(101, headers=carrying("burn-it-down"))]

    demo_shop.expect_exact_journeys(placed)
    demo_shop.expect_one_mail_each(placed)


def test_without_demo_faults_a_callers_baggage_does_nothing(shop: Shop, system: System) -> None:
    placed = [shop.place(number, headers=carrying(name)) for number, name in enumerate(TRACES, 700)]

    shop.expect_exact_journeys(placed)
    shop.expect_one_mail_each(placed)
    for order in placed:
        records = records_of(system.kafka, order.order_id, "orders", "invoices")
        assert Counter(record.topic for record in records) == {"orders": 1, "invoices": 1}
        assert not [record.headers for record in records if "baggage" in dict(record.headers)]


def test_without_demo_faults_no_baggage_is_stored(shop: Shop, system: System, stack: Stack) -> None:
    system.stop("orders-worker")  # so that the row stays where it is
    try:
        order = shop.place(710, headers=carrying("billing-poison"))
        ((stored,),) = rows(stack, "orders", "SELECT trace_context FROM outbox")
    finally:
        system.start("orders-worker")

    assert json.loads(str(stored)).keys() == {"traceparent"}
    shop.expect_exact_journeys([order])
