"""An exception that leaves the application's loop marks the span of the record in hand; nothing else does."""

import asyncio
import gc
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from .support import Kafka, Recorded, eventually


class Refused(Exception):
    """What a handler raises."""


def assert_refused(span: ReadableSpan) -> None:
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None and str(span.attributes["error.type"]).endswith("Refused")
    assert [event.name for event in span.events] == ["exception"]


def assert_fine(span: ReadableSpan) -> None:
    assert (span.status.status_code, list(span.events)) == (StatusCode.UNSET, [])
    assert span.attributes is not None and "error.type" not in span.attributes


async def refuse(consumer: AIOKafkaConsumer) -> None:
    async for _ in consumer:
        raise Refused("no")


async def refuse_and_stop(consumer: AIOKafkaConsumer) -> None:
    try:
        await refuse(consumer)
    finally:
        await consumer.stop()


async def refuse_in_block(consumer: AIOKafkaConsumer) -> None:
    async with consumer:
        await refuse(consumer)


async def refuse_and_poll_again(consumer: AIOKafkaConsumer) -> None:
    try:
        await refuse(consumer)
    except Refused:
        async with asyncio.timeout(0.1):
            await consumer.getone()


@pytest.mark.parametrize("application", [refuse, refuse_and_stop, refuse_in_block, refuse_and_poll_again])
async def test_an_exception_that_leaves_the_loop_marks_the_span(
    application: Any, kafka: Kafka, recorded: Recorded
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1")
    consumer = kafka.unstarted(topic)
    await consumer.start()
    if application is refuse_in_block:
        await consumer.stop()
        consumer = kafka.unstarted(topic)
    with pytest.raises((Refused, TimeoutError)):
        await asyncio.create_task(application(consumer))
    await consumer.stop()

    assert_refused(recorded.span("process"))


async def test_a_failed_task_that_nobody_awaits_is_still_reported_by_asyncio(kafka: Kafka, recorded: Recorded) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    topic = await kafka.topic()
    await kafka.put(topic, b"1")
    async with kafka.consumer(topic) as consumer:
        task = asyncio.create_task(refuse(consumer))
        await eventually("the failure is recorded", lambda: recorded.spans("process"))
        del task
        gc.collect()

    assert_refused(recorded.span("process"))
    assert [context["message"] for context in reported] == ["Task exception was never retrieved"]


async def test_a_cancelled_task_ends_its_span_and_is_no_error(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1")
    in_hand = asyncio.Event()

    async def work(consumer: AIOKafkaConsumer) -> None:
        async for _ in consumer:
            in_hand.set()
            await asyncio.Event().wait()

    async with kafka.consumer(topic) as consumer:
        task = asyncio.create_task(work(consumer))
        await in_hand.wait()
        task.cancel()
        await asyncio.wait([task])
        await eventually("the span has ended", lambda: recorded.spans("process"))

    assert_fine(recorded.span("process"))


async def test_a_failure_that_the_handler_deals_with_is_left_to_it(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"fine", b"marked")
    async with kafka.consumer(topic) as consumer:
        for _ in range(2):
            record = await consumer.getone()
            try:
                raise Refused(record.value)
            except Refused as refused:
                if record.value == b"marked":
                    trace.get_current_span().set_status(StatusCode.ERROR, str(refused))

    fine, marked = recorded.spans("process")
    assert_fine(fine)
    assert marked.status.status_code is StatusCode.ERROR


async def test_an_older_exception_is_not_blamed_on_the_record(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", b"2")
    consumer = kafka.unstarted(topic)
    try:
        raise Refused("before the consumer was there")
    except Refused:
        await consumer.start()
        await consumer.getone()
        await consumer.getone()
        await consumer.stop()

    assert len(recorded.spans("process")) == 2
    for span in recorded.spans("process"):
        assert_fine(span)


async def test_a_span_that_the_handler_has_ended_is_left_alone(
    kafka: Kafka, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1")
    async with kafka.consumer(topic) as consumer:
        await consumer.getone()
        trace.get_current_span().end()

    assert len(recorded.spans("process")) == 1
    assert "ended span" not in caplog.text
