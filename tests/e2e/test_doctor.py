"""`journey doctor` and a real system that is broken on purpose."""

import asyncio
import json
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import requests
from aiokafka import AIOKafkaProducer
from stack import Stack
from stack.services import instrumented, tool_environment

from tests.e2e.doctor import causes, doctor, expect_causes, expect_whole
from tests.e2e.garbage import ATTRIBUTES, TYPES
from tests.e2e.polling import poll_until
from tests.e2e.shop import Shop
from tests.e2e.system import LocalSystem, System
from tests.order_journey import CHAIN

PROGRAM = Path(__file__).with_name("two_messages.py")
# What is run one after the other, and within a step at once: the work, its environment and its topics.
PROGRAMS: Sequence[Sequence[tuple[str, Mapping[str, str], Sequence[str]]]] = (
    (
        ("send", {}, ("usual", "stripped", "replaced", "linked", "failing", "unread")),
        ("send", {"OTEL_TRACES_SAMPLER": "always_off"}, ("unsampled",)),
    ),
    (
        ("read", {}, ("usual", "stripped", "replaced", "failing", "unsampled")),
        ("read", {"AIOKAFKA_OTEL_PARENT": "link"}, ("linked",)),
    ),
)
AT_ONCE = ("--patience", "0")  # nothing more is on its way
LATER = ("--patience", "3600")  # however long this machine takes


def test_an_order_is_whole_by_its_trace_and_by_its_id(shop: Shop) -> None:
    order = shop.place_within_own_trace(800)
    shop.expect_exact_journeys([order])

    for wanted in (order.trace_id, order.order_id):
        for chain in ((), ("--chain", str(CHAIN))):
            code, (said,) = doctor(shop.zipkin_url, wanted, *AT_ONCE, *chain)
            assert (code, said["trace_id"], said["whole"], said["findings"]) == (0, order.trace_id, True, [])


def test_a_stopped_consumer_is_told_and_so_is_a_zipkin_that_forgets(shop: Shop, system: System) -> None:
    system.stop("billing")
    try:
        order = shop.place(801)
        (queued,) = expect_causes(shop.zipkin_url, order.order_id, *LATER, expected=["still in the queue"])
        (stopped,) = expect_causes(shop.zipkin_url, order.order_id, *AT_ONCE, expected=["consumer not running"])
        system.stop("zipkin")  # what it has in memory, it forgets
        system.start("zipkin")
        gone = doctor(shop.zipkin_url, order.trace_id)
    finally:
        system.start("billing")

    assert "orders PRODUCER `send orders`" in queued["findings"][0]["says"]
    assert "nothing has read" in stopped["findings"][0]["says"] and "topic orders," in stopped["findings"][0]["says"]
    assert gone == (2, [])
    expect_causes(shop.zipkin_url, order.trace_id, *AT_ONCE, expected=["evicted"])


def test_an_order_that_was_not_sent_yet_is_missed_where_a_chain_says_what_should_come(
    shop: Shop, system: System
) -> None:
    system.stop("orders-worker")
    try:
        order = shop.place(802)
        by_chain = (order.trace_id, "--chain", str(CHAIN))
        expect_causes(shop.zipkin_url, *by_chain, *LATER, expected=["under way"])
        (said,) = expect_causes(shop.zipkin_url, *by_chain, *AT_ONCE, expected=["not sent"])
    finally:
        system.start("orders-worker")
    shop.expect_exact_journeys([order])

    assert "Row 2 is missing: orders PRODUCER `send orders`" in said["findings"][0]["says"]
    assert "eventbus outbox" in said["findings"][0]["check"]


@pytest.mark.parametrize("header", [None, b"\xff\x00", b"00-zz-zz-01"])
def test_a_record_without_a_readable_context_was_not_injected_one(
    shop: Shop, system: System, header: bytes | None
) -> None:
    order_id = f"by-hand-{header!r}".encode().hex()
    order = {
        "order_id": order_id,
        "placed_at": "2026-01-01T00:00:00Z",
        "customer": {"email": "canary-1@example.com"},
        "currency": "EUR",
        "items": [{"sku": "BOOK-1", "quantity": 1, "unit_price": "5.00"}],
    }
    headers = [(name, value) for name, value in ATTRIBUTES.items() if name != "ce_id"]
    headers += [("ce_type", TYPES["orders"]), ("ce_id", order_id.encode())]
    headers += [("traceparent", header)] if header else []

    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=system.kafka) as producer:
            await producer.send_and_wait("orders", json.dumps(order).encode(), key=order_id.encode(), headers=headers)

    asyncio.run(send())

    (said,) = expect_causes(shop.zipkin_url, order_id, *AT_ONCE, expected=["context not injected"])
    assert "the record that billing CONSUMER `process orders`" in said["findings"][0]["says"]
    assert "(orders, partition" in said["findings"][0]["says"]


@pytest.mark.parametrize(("name", "service"), [("process orders", "billing"), ("send invoices", "billing")])
def test_a_trace_that_lost_a_span_on_its_way_is_missing_it(shop: Shop, name: str, service: str) -> None:
    order = shop.place(803)
    shop.expect_exact_journeys([order])
    spans = requests.get(f"{shop.zipkin_url}/api/v2/trace/{order.trace_id}", timeout=10).json()
    trace_id = f"{int(order.trace_id, 16) ^ 1:032x}"
    kept = [{**span, "traceId": trace_id} for span in spans if span["name"] != name]
    (lost,) = [span["id"] for span in spans if span["name"] == name]
    requests.post(f"{shop.zipkin_url}/api/v2/spans", json=kept, timeout=10).raise_for_status()

    (said,) = expect_causes(shop.zipkin_url, trace_id, *AT_ONCE, expected=["span dropped"])
    assert said["findings"][0]["span_id"] == lost


@pytest.fixture(scope="module")
def programs(stack: Stack) -> str:
    """The messages of PROGRAMS are sent and read, after an order; returns the address of Zipkin."""
    shop = shop_of(stack)
    shop.expect_exact_journeys([shop.place(810)])
    for step in PROGRAMS:
        for process in [start(stack, *each) for each in step]:
            output, _ = process.communicate(timeout=60)
            assert process.returncode == 0, output
    return stack.settings.zipkin_url


def shop_of(stack: Stack) -> Shop:
    system = LocalSystem(stack)
    return Shop(orders_url=system.orders_url, zipkin_url=system.zipkin_url, mailbox=system.mailbox)


def start(stack: Stack, what: str, variables: Mapping[str, str], topics: Sequence[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*instrumented(stack.settings, "python", str(PROGRAM)), what, stack.settings.kafka, *topics],
        env={**tool_environment(stack.settings), "OTEL_SERVICE_NAME": what, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("stripped", ["header stripped"] * 2),
        ("replaced", ["header replaced"] * 2),
        ("linked", ["linked, not continued"] * 2),
        ("failing", ["failed"]),
    ],
)
def test_what_goes_wrong_between_two_programs_is_told(programs: str, topic: str, expected: list[str]) -> None:
    said = expect_causes(programs, f"{topic}-1", *AT_ONCE, expected=expected)

    if len(said) == 2:
        others = [trace["findings"][0]["other_trace_id"] for trace in said]
        assert others[0] == said[1]["trace_id"], "the other trace is named"


def test_two_programs_that_do_nothing_wrong_are_whole(programs: str) -> None:
    expect_whole(programs, "usual-1", *AT_ONCE)


def test_a_topic_that_nobody_reads_is_a_remark_until_it_is_said_to_be_the_end(programs: str) -> None:
    poll_until(lambda: doctor(programs, "unread-1", *AT_ONCE)[0] == 0, "the message's trace is there")
    _, (said,) = doctor(programs, "unread-1", *AT_ONCE)

    assert (said["verdict"], causes([said])) == ("whole", ["nobody reads the topic"])
    assert said["findings"][0]["says"].startswith("nobody has read topic unread yet; ")
    assert doctor(programs, "unread-1", *AT_ONCE, "--end", "unread")[1][0]["findings"] == []


def test_a_sender_that_does_not_sample_is_told(programs: str) -> None:
    expect_causes(programs, "unsampled-1", *AT_ONCE, expected=["not sampled"])


def test_the_last_traces_are_judged_together(programs: str) -> None:
    code, said = poll_until(lambda: doctor(programs, "--last", "10", *AT_ONCE), "there are traces")

    assert code == 1
    assert {trace["whole"] for trace in said} == {True, False}
    assert "failed" in causes(said)


def test_a_poisoned_order_is_in_the_dead_letters(demo: Stack) -> None:
    order = shop_of(demo).place(820, headers={"baggage": "demo.scenario=billing-poison"})

    (said,) = expect_causes(demo.settings.zipkin_url, order.order_id, expected=["in the dead letters"])
    assert "billing.dlq: Poison: demo scenario billing-poison." in said["findings"][0]["says"]
    assert "eventbus dlq list" in said["findings"][0]["check"]


def test_an_order_that_cannot_be_mailed_is_in_retry_until_it_is_due_and_at_last_in_the_dead_letters(
    demo: Stack,
) -> None:
    placed = time.time()
    order = shop_of(demo).place(821, headers={"baggage": "demo.scenario=mail-down"})

    (waiting,) = expect_causes(demo.settings.zipkin_url, order.trace_id, expected=["in retry"])
    assert re.search(r"in notifier.retry until \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", waiting["findings"][0]["says"])
    # It waits for a second, and was tried five times at most.
    assert placed + 1 <= waiting["findings"][0]["due"] / 1e6 <= time.time() + 1
    expect_causes(demo.settings.zipkin_url, order.trace_id, expected=["in the dead letters"])


@pytest.mark.parametrize("scenario", ["billing-fails-twice", "duplicate"])
def test_an_order_that_recovers_is_whole(demo: Stack, scenario: str) -> None:
    order = shop_of(demo).place(822, headers={"baggage": f"demo.scenario={scenario}"})

    expect_whole(demo.settings.zipkin_url, order.trace_id, "--chain", str(CHAIN))
