"""`asyncio.wait_for` runs `getone()` in another task on Python 3.11: no current span then, and never a wrong one."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from opentelemetry import trace

from .support import TRACEPARENT, Kafka, Recorded, eventually, parent_id


async def by_getone(consumer: AIOKafkaConsumer) -> Any:
    return await asyncio.wait_for(consumer.getone(), 10)


async def by_anext(consumer: AIOKafkaConsumer) -> Any:
    return await asyncio.wait_for(anext(consumer), 10)


@pytest.mark.parametrize("poll", [by_getone, by_anext])
async def test_wait_for_never_gives_the_parent_of_another_record(
    poll: Callable[[AIOKafkaConsumer], Any], kafka: Kafka, recorded: Recorded
) -> None:
    source, target = await kafka.topic(), await kafka.topic()
    await kafka.put(source, b"1", b"2", headers=[TRACEPARENT])
    async with kafka.consumer(source) as consumer, kafka.producer() as producer:
        await consumer.getone()
        await poll(consumer)
        await producer.send_and_wait(target, b"for 2")

    first, second = recorded.spans("process")
    parent = parent_id(recorded.span("send"))
    assert parent != first.context.span_id
    if sys.version_info >= (3, 12):
        assert parent == second.context.span_id
    else:
        assert parent is None


async def test_a_timeout_block_keeps_the_span_current(kafka: Kafka, recorded: Recorded) -> None:
    source, target = await kafka.topic(), await kafka.topic()
    await kafka.put(source, b"1", b"2")
    async with kafka.consumer(source) as consumer, kafka.producer() as producer:
        for _ in range(2):
            async with asyncio.timeout(60):
                await consumer.getone()
            await producer.send_and_wait(target, b"value")

    records = [span.context.span_id for span in recorded.spans("process")]
    assert [parent_id(span) for span in recorded.spans("send")] == records


async def test_a_poll_that_times_out_has_no_span(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    async with kafka.consumer(topic) as consumer:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(consumer.getone(), 0.1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await consumer.getone()

    assert recorded.spans() == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
async def test_an_eager_task_has_its_own_record(kafka: Kafka, recorded: Recorded) -> None:
    source, target = await kafka.topic(), await kafka.topic()
    await kafka.put(source, b"1", b"2")

    async def forward(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
        record = await consumer.getone()
        await producer.send_and_wait(target, record.value)

    async with kafka.consumer(source) as consumer, kafka.producer() as producer:
        loop = asyncio.get_running_loop()
        loop.set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009  # 3.11 does not have it
        for _ in range(2):
            await asyncio.create_task(forward(consumer, producer))
            assert trace.get_current_span() is trace.INVALID_SPAN
        loop.set_task_factory(None)

    records = [span.context.span_id for span in recorded.spans("process")]
    assert [parent_id(span) for span in recorded.spans("send")] == records


async def test_wait_for_around_stop_ends_the_span(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1")
    async with kafka.consumer(topic) as consumer:
        await consumer.getone()
        await asyncio.wait_for(consumer.stop(), 10)

        assert trace.get_current_span() is trace.INVALID_SPAN
    assert len(recorded.spans("process")) == 1


async def test_a_poll_in_a_task_of_its_own_is_recorded_and_is_nobodys_parent(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1")
    async with kafka.consumer(topic) as consumer:
        await asyncio.create_task(consumer.getone())
        await eventually("the span has ended", lambda: recorded.spans("process"))

        assert trace.get_current_span() is trace.INVALID_SPAN


def test_a_poll_without_a_running_loop_works(broker: str, recorded: Recorded) -> None:
    kafka, loop = Kafka(broker), asyncio.new_event_loop()
    try:
        topic = loop.run_until_complete(kafka.topic())
        loop.run_until_complete(kafka.put(topic, b"1"))

        async def started() -> AIOKafkaConsumer:
            consumer = kafka.unstarted(topic)
            await consumer.start()
            return consumer

        consumer = loop.run_until_complete(started())
        record = loop.run_until_complete(consumer.getone())
        loop.run_until_complete(consumer.stop())
    finally:
        loop.close()

    assert record.value == b"1"
    assert len(recorded.spans("process")) == 1
