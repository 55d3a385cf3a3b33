"""`getmany` is one receive span with links; `process_span` is for those who handle its records one by one."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka_otel import AIOKafkaInstrumentor, process_span
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import SpanKind, StatusCode

from .support import SPAN_ID, TRACEPARENT, Kafka, Recorded, parent_id


async def batch_of(consumer: AIOKafkaConsumer, count: int) -> list[ConsumerRecord[bytes, bytes]]:
    """Poll until that many records have come."""
    records: list[ConsumerRecord[bytes, bytes]] = []
    async with asyncio.timeout(60):
        while len(records) < count:
            for some in (await consumer.getmany(timeout_ms=100)).values():
                records += some
    return records


async def test_a_poll_is_one_client_span_with_a_link_to_each_message(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    async with kafka.producer() as producer:
        for _ in range(3):
            await producer.send_and_wait(topic, b"value")
    async with kafka.consumer(topic) as consumer:
        records = await batch_of(consumer, 3)

    received = recorded.spans("receive")
    assert {(span.name, span.kind, span.parent) for span in received} == {(f"receive {topic}", SpanKind.CLIENT, None)}
    linked = [link.context.span_id for span in received for link in span.links]
    assert linked == [span.context.span_id for span in recorded.spans("send")]
    counts = [span.attributes["messaging.batch.message_count"] for span in received if span.attributes]
    assert sum(int(str(count)) for count in counts) == len(records) == 3
    assert recorded.spans("process") == []


async def test_an_empty_poll_records_nothing_at_all(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    async with kafka.consumer(topic) as consumer:
        assert await consumer.getmany(timeout_ms=100) == {}

    assert recorded.spans() == []
    assert recorded.points("messaging.client.operation.duration") == []
    assert recorded.points("messaging.client.consumed.messages") == []


async def test_the_receive_span_covers_the_poll_and_is_the_child_of_what_is_current(
    kafka: Kafka, recorded: Recorded
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", headers=[TRACEPARENT])
    async with kafka.consumer(topic) as consumer:
        with recorded.tracer.start_as_current_span("job") as job:
            await batch_of(consumer, 1)
            assert trace.get_current_span() is job

    span = recorded.span("receive")
    assert parent_id(span) == job.get_span_context().span_id
    assert span.start_time and span.end_time and span.end_time - span.start_time > 0


async def test_a_poll_of_several_topics_names_none(kafka: Kafka, recorded: Recorded) -> None:
    topics = [await kafka.topic(), await kafka.topic()]
    async with kafka.consumer(*topics) as consumer:
        await consumer.getmany(timeout_ms=100)
        consumer.pause(*consumer.assignment())
        for topic in topics:
            await kafka.put(topic, b"1")
        consumer.resume(*consumer.assignment())
        await batch_of(consumer, 2)

    names = {span.name for span in recorded.spans("receive")}
    assert names == {"receive"} or names == {f"receive {topic}" for topic in topics}


async def test_a_large_poll_links_to_as_many_messages_as_the_sdk_keeps(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    async with kafka.producer(linger_ms=50) as producer:
        await asyncio.gather(*[await producer.send(topic, b"value") for _ in range(300)])
    async with kafka.consumer(topic) as consumer:
        await batch_of(consumer, 300)

    assert max(len(span.links) for span in recorded.spans("receive")) == 128
    assert all(span.dropped_links == 0 for span in recorded.spans("receive"))


async def test_process_span_handles_one_record_of_a_batch(kafka: Kafka, recorded: Recorded) -> None:
    source, target = await kafka.topic(), await kafka.topic()
    await kafka.put(source, b"1", b"2", headers=[TRACEPARENT])
    async with kafka.consumer(source) as consumer, kafka.producer() as producer:
        for record in await batch_of(consumer, 2):
            with process_span(record, consumer) as span:
                assert trace.get_current_span() is span
                await producer.send_and_wait(target, record.value)
            assert trace.get_current_span() is trace.INVALID_SPAN
        group = consumer._group_id

    processed = recorded.spans("process")
    assert [(span.name, span.kind, parent_id(span)) for span in processed] == [
        (f"process {source}", SpanKind.CONSUMER, SPAN_ID)
    ] * 2
    assert [parent_id(span) for span in recorded.spans("send")] == [span.context.span_id for span in processed]
    assert {span.attributes["messaging.consumer.group.name"] for span in processed if span.attributes} == {group}


async def test_several_records_can_be_processed_at_once(kafka: Kafka, recorded: Recorded) -> None:
    source, target = await kafka.topic(), await kafka.topic()
    async with kafka.producer() as producer, kafka.consumer(source) as consumer:
        for _ in range(10):
            await producer.send_and_wait(source, b"value")
        recorded.exporter.clear()

        async def handle(record: ConsumerRecord[bytes, bytes]) -> None:
            with process_span(record):
                await producer.send_and_wait(target, record.value)

        await asyncio.gather(*[handle(record) for record in await batch_of(consumer, 10)])

    traces = {span.context.span_id: span.context.trace_id for span in recorded.spans("process")}
    assert len(set(traces.values())) == 10
    assert {parent_id(span): span.context.trace_id for span in recorded.spans("send")} == traces


async def test_process_span_is_marked_by_what_leaves_its_block(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1")
    async with kafka.consumer(topic) as consumer:
        (record,) = await batch_of(consumer, 1)
    with pytest.raises(ValueError, match="no good"), process_span(record):
        raise ValueError("no good")
    with pytest.raises(asyncio.CancelledError), process_span(record):
        raise asyncio.CancelledError

    failed, cancelled = recorded.spans("process")
    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes is not None and failed.attributes["error.type"] == "ValueError"
    assert cancelled.status.status_code is StatusCode.UNSET
    assert trace.get_current_span() is trace.INVALID_SPAN


async def test_process_span_inside_another_returns_to_it(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", b"2")
    async with kafka.consumer(topic) as consumer:
        one, other = await batch_of(consumer, 2)
    with process_span(one) as outer:
        with process_span(other):
            pass
        assert trace.get_current_span() is outer


async def test_a_record_fetched_under_suppression_can_be_processed_later(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", headers=[TRACEPARENT])
    async with kafka.consumer(topic) as consumer:
        with suppress_instrumentation():
            record = await consumer.getone()
        with process_span(record):
            pass

    assert [(span.name, parent_id(span)) for span in recorded.spans()] == [(f"process {topic}", SPAN_ID)]


async def test_process_span_without_instrumentation_just_runs_the_block(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1")
    AIOKafkaInstrumentor().uninstrument()
    async with kafka.consumer(topic) as consumer:
        record = await consumer.getone()
    with process_span(record) as span:
        span.set_attribute("handled", True)

    assert recorded.spans() == []
