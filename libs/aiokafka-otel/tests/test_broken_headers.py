"""Whatever the headers of a record hold, the record is delivered."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.trace import Span, SpanProcessor

from .support import SPAN_ID, TRACEPARENT, Kafka, Recorded, parent_id, propagating

NOT_UTF8 = b"\xff\xfe"
BROKEN: list[list[tuple[str, Any]]] = [
    [("traceparent", NOT_UTF8)],
    [("traceparent", None)],
    [("traceparent", b"")],
    [("traceparent", b"00-not-hex-01")],
    [("traceparent", b"00-" + b"0" * 32 + b"-" + b"0" * 16 + b"-01")],
    [("traceparent", b"ff-" + b"1" * 32 + b"-" + b"1" * 16 + b"-01")],
    [("traceparent", b"x" * 100_000)],
    [("tracestate", NOT_UTF8), ("baggage", NOT_UTF8)],
    [("baggage", b"=;,=;%%%ff")],
]


async def by_getone(consumer: AIOKafkaConsumer) -> list[Any]:
    return [await consumer.getone()]


async def by_getmany(consumer: AIOKafkaConsumer) -> list[Any]:
    return [record for records in (await consumer.getmany(timeout_ms=100)).values() for record in records]


async def all_from(consumer: AIOKafkaConsumer, poll: Callable[[AIOKafkaConsumer], Any], count: int) -> list[Any]:
    records: list[Any] = []
    async with asyncio.timeout(60):
        while len(records) < count:
            records += await poll(consumer)
    return records


@pytest.mark.parametrize("poll", [by_getone, by_getmany])
async def test_one_broken_header_in_twenty_records_of_two_partitions_costs_none_of_them(
    poll: Callable[[AIOKafkaConsumer], Any], kafka: Kafka, recorded: Recorded
) -> None:
    topic = await kafka.topic(partitions=2)
    for number in range(20):
        headers = [("traceparent", NOT_UTF8)] if number == 7 else [TRACEPARENT]
        await kafka.put(topic, b"%d" % number, partition=number % 2, headers=headers)
    async with kafka.consumer(topic) as consumer:
        records = await all_from(consumer, poll, 20)

    assert sorted(int(record.value) for record in records) == list(range(20))
    roots = [span for span in recorded.spans("process") if span.parent is None]
    assert len(roots) == (1 if poll is by_getone else 0)


@pytest.mark.parametrize("headers", BROKEN)
async def test_a_header_that_means_nothing_is_ignored(
    headers: list[tuple[str, Any]], kafka: Kafka, recorded: Recorded
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", headers=headers)
    async with kafka.consumer(topic) as consumer:
        record = await consumer.getone()

    assert [(name, value) for name, value in record.headers] == headers
    assert (recorded.span("process").parent, list(recorded.span("process").links)) == (None, [])


@pytest.mark.parametrize("name", ["tracestate", "baggage"])
async def test_a_broken_companion_does_not_cost_the_trace(name: str, kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", headers=[TRACEPARENT, (name, NOT_UTF8)])
    async with kafka.consumer(topic) as consumer:
        await consumer.getone()

    assert parent_id(recorded.span("process")) == SPAN_ID


class RaisingPropagator(TextMapPropagator):
    """A propagator that cannot cope."""

    @property
    def fields(self) -> set[str]:
        return set()

    def extract(self, carrier: Any, context: Context | None = None, getter: Any = None) -> Context:
        raise RuntimeError("cannot read that")

    def inject(self, carrier: Any, context: Context | None = None, setter: Any = None) -> None:
        pass


async def test_a_propagator_that_raises_does_not_cost_the_record(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", headers=[TRACEPARENT])
    with propagating(RaisingPropagator()):
        async with kafka.consumer(topic) as consumer:
            record = await consumer.getone()

    assert record.value == b"1"
    assert recorded.span("process").parent is None


class RaisingProcessor(SpanProcessor):
    """A span processor that cannot cope either."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        raise RuntimeError("no span today")


@pytest.mark.parametrize("poll", [by_getone, by_getmany])
async def test_a_tracer_that_raises_does_not_cost_the_record(
    poll: Callable[[AIOKafkaConsumer], Any], kafka: Kafka, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", b"2")
    recorded.tracer_provider.add_span_processor(RaisingProcessor())
    async with kafka.consumer(topic) as consumer:
        records = await all_from(consumer, poll, 2)

    assert [record.value for record in records] == [b"1", b"2"]
    assert "no span today" in caplog.text
