"""The record in hand belongs to a task, not to a consumer."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from opentelemetry import trace

from .support import TRACEPARENT, Kafka, Recorded, eventually, parent_id


async def forward(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer, target: str, records: int) -> None:
    """Send the value of each record on; the others get their turns in between."""
    for _ in range(records):
        record = await consumer.getone()
        await asyncio.sleep(0)
        await producer.send_and_wait(target, record.value, headers=[("origin", b"%d" % record.offset)])


async def assert_every_record_has_its_own_trace(kafka: Kafka, recorded: Recorded, target: str, count: int) -> None:
    """Each put was a trace of its own: the one in the sent record must be the one of its process span."""
    records = {span.context.span_id: span for span in recorded.spans("process")}
    parents = [parent_id(span) for span in recorded.spans("send")]
    assert len(records) == len(parents) == len(set(parents)) == count
    for send in recorded.spans("send"):
        record = records[parent_id(send) or 0]
        assert record.context.trace_id == send.context.trace_id
        assert record.start_time and send.start_time and send.end_time and record.end_time
        assert record.start_time <= send.start_time and send.end_time <= record.end_time


async def test_two_tasks_on_one_consumer_have_a_record_each(kafka: Kafka, recorded: Recorded) -> None:
    source, target = await kafka.topic(), await kafka.topic()
    await kafka.put(source, *(b"%d" % number for number in range(20)))
    async with kafka.consumer(source) as consumer, kafka.producer() as producer:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(2):
                tasks.create_task(forward(consumer, producer, target, 10))

    await assert_every_record_has_its_own_trace(kafka, recorded, target, 20)


async def test_two_consumers_in_two_tasks_have_a_record_each(kafka: Kafka, recorded: Recorded) -> None:
    sources, target = [await kafka.topic(), await kafka.topic()], await kafka.topic()
    async with kafka.consumer(sources[0]) as one, kafka.consumer(sources[1]) as other, kafka.producer() as producer:
        for source in sources:
            await kafka.put(source, *(b"%d" % number for number in range(10)))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(forward(one, producer, target, 10))
            tasks.create_task(forward(other, producer, target, 10))

    await assert_every_record_has_its_own_trace(kafka, recorded, target, 20)


async def test_a_task_with_two_consumers_has_one_record_in_hand(kafka: Kafka, recorded: Recorded) -> None:
    first, second = await kafka.topic(), await kafka.topic()
    await kafka.put(first, b"1")
    await kafka.put(second, b"2")
    async with kafka.consumer(first) as one, kafka.consumer(second) as other:
        await one.getone()
        await other.getone()
        assert [span.name for span in recorded.spans()] == [f"process {first}"]
        await one.stop()
        assert trace.get_current_span().is_recording(), "stopping the one does not end the other's record"

    assert len(recorded.spans("process")) == 2


async def test_stop_from_another_task_leaves_the_record_to_the_task_that_works_on_it(
    kafka: Kafka, recorded: Recorded
) -> None:
    source, target = await kafka.topic(), await kafka.topic()
    await kafka.put(source, b"1")
    in_hand, stopped = asyncio.Event(), asyncio.Event()

    async def work(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        async for _ in consumer:
            in_hand.set()
            await stopped.wait()
            await producer.send_and_wait(target, b"finished")

    async with kafka.consumer(source) as consumer, kafka.producer() as producer:
        task = asyncio.create_task(work(consumer, producer))
        await in_hand.wait()
        await consumer.stop()
        assert recorded.spans("process") == []
        stopped.set()
        await task

    process, send = recorded.span("process"), recorded.span("send")
    assert parent_id(send) == process.context.span_id
    assert process.end_time and send.end_time and process.end_time >= send.end_time


async def test_what_a_handler_starts_keeps_the_record_as_its_parent(kafka: Kafka, recorded: Recorded) -> None:
    source, target = await kafka.topic(), await kafka.topic()
    await kafka.put(source, b"1", b"2")
    go = asyncio.Event()

    async def later(producer: AIOKafkaProducer) -> None:
        await go.wait()
        await producer.send_and_wait(target, b"value")

    async with kafka.consumer(source) as consumer, kafka.producer() as producer:
        await consumer.getone()
        task = asyncio.create_task(later(producer))
        await consumer.getone()
        go.set()
        await task

    assert parent_id(recorded.span("send")) == recorded.spans("process")[0].context.span_id


async def test_an_async_generator_keeps_the_span_current(kafka: Kafka, recorded: Recorded) -> None:
    source, target = await kafka.topic(), await kafka.topic()
    await kafka.put(source, b"1", b"2")

    async def values(consumer: AIOKafkaConsumer) -> AsyncIterator[bytes]:
        async for record in consumer:
            with recorded.tracer.start_as_current_span("in the generator"):
                yield record.value

    async with kafka.consumer(source) as consumer, kafka.producer() as producer:
        async for value in values(consumer):
            await producer.send_and_wait(target, value)
            if value == b"2":
                break
        await consumer.stop()

    inner = recorded.spans("in the generator")
    assert [parent_id(span) for span in recorded.spans("send")] == [span.context.span_id for span in inner]
    assert [parent_id(span) for span in inner] == [span.context.span_id for span in recorded.spans("process")]


async def test_a_block_around_a_poll_does_not_bring_the_record_before_back(kafka: Kafka, recorded: Recorded) -> None:
    source, target = await kafka.topic(), await kafka.topic()
    await kafka.put(source, b"1", b"2")
    async with kafka.consumer(source) as consumer, kafka.producer() as producer:
        await consumer.getone()
        with recorded.tracer.start_as_current_span("left too late"):
            await consumer.getone()
        await producer.send_and_wait(target, b"for 2")
        await consumer.stop()
        assert trace.get_current_span() is trace.INVALID_SPAN

    assert parent_id(recorded.span("send")) == recorded.spans("process")[1].context.span_id


async def test_a_span_of_the_application_outlives_the_record(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1")
    async with kafka.consumer(topic) as consumer:
        await consumer.getone()
        with recorded.tracer.start_as_current_span("shutdown") as span:
            await consumer.stop()
            assert trace.get_current_span() is span


async def test_a_task_that_is_gone_is_forgotten(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, *[b"value"] * 50)
    seen: list[weakref.ref[Any]] = []
    alive_at_the_end: list[Any] = []

    async def handle_one_and_start_the_next(consumer: AIOKafkaConsumer, left: int) -> None:
        await consumer.getone()
        seen.append(weakref.ref(trace.get_current_span()))
        if left:
            tasks.create_task(handle_one_and_start_the_next(consumer, left - 1))
            await asyncio.sleep(0)  # the next one polls inside the context of this record
        else:
            await eventually("the others have ended", lambda: len(recorded.spans("process")) == 49)
            recorded.exporter.clear()
            gc.collect()
            alive_at_the_end.extend(span() for span in seen if span() is not None)

    async with kafka.consumer(topic) as consumer:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(handle_one_and_start_the_next(consumer, 49))
        assert len(alive_at_the_end) <= 2, "the last record, and the one whose handler has started its task"
        alive_at_the_end.clear()
        await eventually("the last span has ended", lambda: recorded.spans("process"))
        recorded.exporter.clear()
        gc.collect()

        assert [span for span in seen if span() is not None] == []


async def test_a_poll_of_a_long_lived_task_keeps_only_its_own_record(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, *[b"value"] * 50, headers=[TRACEPARENT])
    seen: list[weakref.ref[Any]] = []
    async with kafka.consumer(topic) as consumer:
        for _ in range(50):
            await consumer.getone()
            seen.append(weakref.ref(trace.get_current_span()))
        recorded.exporter.clear()
        gc.collect()

        assert [span() for span in seen if span() is not None] == [trace.get_current_span()]
