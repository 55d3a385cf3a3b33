"""Trace context is replaced in a new list of headers; everything else is kept."""

from typing import Any

import pytest
from opentelemetry import baggage, context

from .support import TRACEPARENT, Kafka, Recorded, traceparent, values_of

STALE = [TRACEPARENT, ("tracestate", b"old=1"), ("baggage", b"customer=ada"), ("kept", b"1"), ("kept", b"2")]


async def delivered_headers(kafka: Kafka, recorded: Recorded, headers: Any) -> list[tuple[str, bytes]]:
    topic = await kafka.topic()
    async with kafka.producer() as producer:
        await producer.send_and_wait(topic, b"value", headers=headers)
    async with kafka.consumer(topic) as consumer:
        return list((await consumer.getone()).headers)


@pytest.mark.parametrize("shape", [list, tuple, iter])
async def test_a_forwarded_message_belongs_to_the_span_that_forwards_it(
    shape: Any, kafka: Kafka, recorded: Recorded
) -> None:
    headers = await delivered_headers(kafka, recorded, shape(STALE))

    assert headers == [("kept", b"1"), ("kept", b"2"), ("traceparent", traceparent(recorded.span("send")))]


async def test_without_headers_the_context_is_the_only_one(kafka: Kafka, recorded: Recorded) -> None:
    headers = await delivered_headers(kafka, recorded, None)

    assert headers == [("traceparent", traceparent(recorded.span("send")))]


async def test_the_callers_list_is_never_changed(kafka: Kafka, recorded: Recorded) -> None:
    mine = list(STALE)
    await delivered_headers(kafka, recorded, mine)

    assert mine == STALE


async def test_a_list_used_twice_carries_each_span_once(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    mine = [("kept", b"1")]
    async with kafka.producer() as producer:
        for _ in range(2):
            await producer.send_and_wait(topic, b"value", headers=mine)
    async with kafka.consumer(topic) as consumer:
        arrived = [values_of((await consumer.getone()).headers, "traceparent") for _ in range(2)]

    assert arrived == [[traceparent(span)] for span in recorded.spans("send")]


async def test_baggage_of_the_sender_replaces_that_of_the_headers(kafka: Kafka, recorded: Recorded) -> None:
    token = context.attach(baggage.set_baggage("region", "eu"))
    try:
        headers = await delivered_headers(kafka, recorded, STALE)
    finally:
        context.detach(token)

    assert values_of(headers, "baggage") == [b"region=eu"]
