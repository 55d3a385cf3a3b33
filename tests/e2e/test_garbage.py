"""Garbage on the topics does not stop or break the orders behind it."""

import asyncio
import json

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.e2e.garbage import ATTRIBUTES, GROUPS, TYPES, garbage
from tests.e2e.polling import poll_until
from tests.e2e.shop import Shop
from tests.e2e.system import System


async def send(servers: str, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        for partition in range(3):
            for name, (value, headers) in garbage(topic).items():
                await producer.send_and_wait(topic, value, key=name.encode(), headers=headers, partition=partition)


async def dead_letters(servers: str, group: str) -> list[tuple[bytes, bytes | None, dict[str, bytes]]]:
    """Return key, value and headers of what is in a group's dead letter topic."""
    consumer = AIOKafkaConsumer(f"{group}.dlq", bootstrap_servers=servers, auto_offset_reset="earliest")
    async with consumer:
        batches = await consumer.getmany(timeout_ms=2000)
        ends = await consumer.end_offsets(list(consumer.assignment()))
        found = [record for records in batches.values() for record in records]
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            batches = await consumer.getmany(timeout_ms=2000)
            found += [record for records in batches.values() for record in records]
    return [(record.key, record.value, dict(record.headers)) for record in found]


@pytest.mark.parametrize("topic", ["orders", "invoices"])
def test_garbage_is_set_aside_and_the_orders_behind_it_are_exact(shop: Shop, system: System, topic: str) -> None:
    asyncio.run(send(system.kafka, topic))
    orders = shop.place_all(range(300, 330))

    shop.expect_exact_journeys(orders)
    shop.expect_one_mail_each(orders)
    letters = poll_until(
        lambda: (
            (found := asyncio.run(dead_letters(system.kafka, GROUPS[topic])))
            and len(found) >= 3 * len(garbage(topic))
            and found
        ),
        "all garbage is in the dead letters",
    )
    kept = {key.decode(): (value, headers) for key, value, headers in letters}
    assert kept.keys() == garbage(topic).keys()
    for name, (value, headers) in garbage(topic).items():
        letter, about = kept[name]
        assert letter == value, name
        assert about["dlq.original-topic"].decode() == topic
        assert about["dlq.error-type"] == b"eventbus.errors.Poison"
        for key, content in headers:
            original = f"dlq.original-{key}" if key in ("traceparent", "baggage") else key
            assert about[original] == content, (name, key)


def test_an_order_whose_trace_header_was_broken_on_the_way_is_handled_in_a_new_trace(
    shop: Shop, system: System
) -> None:
    order = {
        "order_id": "by-hand-1",
        "placed_at": "2026-01-01T00:00:00Z",
        "customer": {"email": "canary-1@example.com"},
        "currency": "EUR",
        "items": [{"sku": "BOOK-1", "quantity": 1, "unit_price": "5.00"}],
    }
    headers = list((ATTRIBUTES | {"ce_type": TYPES["orders"], "ce_id": b"by-hand-1"}).items())

    async def send_by_hand() -> None:
        async with AIOKafkaProducer(bootstrap_servers=system.kafka) as producer:
            broken = [*headers, ("traceparent", b"\xff\x00"), ("tracestate", b"\xff"), ("baggage", b"%%%")]
            await producer.send_and_wait("orders", json.dumps(order).encode(), key=b"by-hand-1", headers=broken)

    asyncio.run(send_by_hand())

    mails = poll_until(lambda: shop.mailbox.by_order().get("by-hand-1"), "the order has its e-mail")
    assert [str(mail.total) for mail in mails] == ["5.00"]
