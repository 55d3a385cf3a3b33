"""A generator that holds a record's span open, and is closed by another task than the one that reads from it."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka_otel import process_span
from opentelemetry import trace

from .support import Kafka, Recorded, eventually, parent_id


async def orders(consumer: AIOKafkaConsumer) -> AsyncIterator[Any]:
    while True:
        for records in (await consumer.getmany(timeout_ms=100)).values():
            for record in records:
                with process_span(record, consumer):
                    yield record


async def test_what_is_sent_after_an_early_break_is_not_below_the_ended_span(
    kafka: Kafka, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    source, target = await kafka.topic(), await kafka.topic()
    await kafka.put(source, b"1", b"2")
    async with kafka.consumer(source) as consumer, kafka.producer() as producer:
        async for _ in orders(consumer):
            await producer.send_and_wait(target, b"for the order")
            break
        gc.collect()
        await eventually("the event loop has closed the generator", lambda: recorded.spans("process"))
        await producer.send_and_wait(target, b"I am alive")

    process, (for_order, alive) = recorded.span("process"), recorded.spans("send")
    assert parent_id(for_order) == process.context.span_id
    assert alive.parent is None
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR and "aiokafka" not in each.name]


async def test_what_is_sent_after_another_task_has_closed_the_span_is_not_below_it(
    kafka: Kafka, recorded: Recorded
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1")
    async with kafka.consumer(topic) as consumer, kafka.producer() as producer:
        while not (batch := await consumer.getmany(timeout_ms=100)):
            pass
        (record,) = next(iter(batch.values()))
        held = ExitStack()
        with recorded.tracer.start_as_current_span("session") as session:
            held.enter_context(process_span(record, consumer))

            async def close() -> None:
                held.close()

            await asyncio.create_task(close())
            await producer.send_and_wait(topic, b"2")

    assert parent_id(recorded.span("send")) == session.get_span_context().span_id


async def test_a_task_that_the_handler_has_started_still_works_for_its_record(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1")
    async with kafka.consumer(topic) as consumer, kafka.producer() as producer:
        while not (batch := await consumer.getmany(timeout_ms=100)):
            pass
        (record,) = next(iter(batch.values()))
        handled = asyncio.Event()

        async def later() -> None:
            await handled.wait()
            await producer.send_and_wait(topic, b"2")

        with process_span(record, consumer):
            task = asyncio.create_task(later())
        handled.set()
        await task

    assert parent_id(recorded.span("send")) == recorded.span("process").context.span_id
    assert trace.get_current_span() is trace.INVALID_SPAN
