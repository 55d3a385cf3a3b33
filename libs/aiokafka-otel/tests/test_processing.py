"""A process span is open and current from the hand-over of a record to the next poll, `stop()` or the task's end."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka_otel import AIOKafkaInstrumentor
from opentelemetry import baggage, trace
from opentelemetry.trace import SpanKind

from .support import SPAN_ID, TRACE_ID, TRACEPARENT, Kafka, Recorded, eventually, parent_id


async def test_what_the_handler_sends_is_the_child_of_the_record(kafka: Kafka, recorded: Recorded) -> None:
    source, target = await kafka.topic(), await kafka.topic()
    await kafka.put(source, b"1", b"2", headers=[TRACEPARENT])
    async with kafka.consumer(source) as consumer, kafka.producer() as producer:
        async for record in consumer:
            await producer.send_and_wait(target, record.value, headers=list(record.headers))
            if record.offset == 1:
                break

    first, second = recorded.spans("process")
    assert (first.name, first.kind, first.context.trace_id) == (f"process {source}", SpanKind.CONSUMER, TRACE_ID)
    assert [parent_id(first), parent_id(second)] == [SPAN_ID, SPAN_ID]
    assert first.context.span_id != second.context.span_id
    assert [parent_id(span) for span in recorded.spans("send")] == [first.context.span_id, second.context.span_id]


async def test_the_next_poll_ends_the_span_and_leaves_its_context(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", b"2")
    async with kafka.consumer(topic) as consumer:
        await consumer.getone()
        first = trace.get_current_span()
        assert first.is_recording()
        await consumer.getone()
        assert not first.is_recording()
        assert trace.get_current_span() is not first
        idle = consumer.getone()
        assert trace.get_current_span() is trace.INVALID_SPAN
        idle.close()

    first_span, second_span = recorded.spans("process")
    assert first_span.end_time is not None and second_span.start_time is not None
    assert first_span.end_time <= second_span.start_time


async def test_stop_ends_the_span_and_leaves_its_context(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1")
    async with kafka.consumer(topic) as consumer:
        await consumer.getone()
        assert recorded.spans("process") == []
        await consumer.stop()

        assert len(recorded.spans("process")) == 1
        assert trace.get_current_span() is trace.INVALID_SPAN


async def test_the_end_of_the_task_ends_the_span(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1")

    async def handle_one(consumer: AIOKafkaConsumer) -> None:
        await consumer.getone()
        assert recorded.spans("process") == []

    async with kafka.consumer(topic) as consumer:
        await asyncio.create_task(handle_one(consumer))
        await eventually("the span has ended", lambda: recorded.spans("process"))


@pytest.mark.parametrize(
    ("setting", "has_parent", "has_link"),
    [("parent", True, False), ("link", False, True), ("both", True, True), (" Both ", True, True)],
)
async def test_the_record_is_parent_and_link_as_configured(
    setting: str, has_parent: bool, has_link: bool, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOKAFKA_OTEL_PARENT", setting)
    recorded, topic = Recorded(), await kafka.topic()
    AIOKafkaInstrumentor().instrument(tracer_provider=recorded.tracer_provider)
    try:
        await kafka.put(topic, b"1", headers=[TRACEPARENT])
        async with kafka.consumer(topic) as consumer:
            await consumer.getone()
    finally:
        AIOKafkaInstrumentor().uninstrument()

    span = recorded.span("process")
    assert parent_id(span) == (SPAN_ID if has_parent else None)
    assert [link.context.span_id for link in span.links] == ([SPAN_ID] if has_link else [])


async def test_by_default_the_record_is_both_parent_and_link(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", headers=[TRACEPARENT])
    async with kafka.consumer(topic) as consumer:
        await consumer.getone()

    span = recorded.span("process")
    assert parent_id(span) == SPAN_ID
    assert [(link.context.trace_id, link.context.span_id) for link in span.links] == [(TRACE_ID, SPAN_ID)]


async def test_a_record_without_context_starts_a_new_trace_whatever_is_current(
    kafka: Kafka, recorded: Recorded
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", b"2")
    with recorded.tracer.start_as_current_span("ambient") as ambient:
        async with kafka.consumer(topic) as consumer:
            await consumer.getone()
            await consumer.getone()
        assert trace.get_current_span() is ambient

    traces = {span.context.trace_id for span in recorded.spans()}
    assert len(traces) == 3
    assert [(span.parent, list(span.links)) for span in recorded.spans("process")] == [(None, [])] * 2


async def test_the_baggage_of_a_record_is_there_for_its_handler_only(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", headers=[("baggage", b"region=eu")])
    await kafka.put(topic, b"2")
    async with kafka.consumer(topic) as consumer:
        await consumer.getone()
        assert baggage.get_all() == {"region": "eu"}
        await consumer.getone()
        assert baggage.get_all() == {}


async def test_with_two_trace_contexts_the_last_one_counts(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    stale = ("traceparent", f"00-{'1' * 32}-{'2' * 16}-01".encode())
    await kafka.put(topic, b"1", headers=[stale, TRACEPARENT])
    async with kafka.consumer(topic) as consumer:
        await consumer.getone()

    assert parent_id(recorded.span("process")) == SPAN_ID
