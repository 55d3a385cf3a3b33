"""An exception that leaves the application's loop marks the span of the record in hand; nothing else does."""

import asyncio
import gc
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, ConsumerRecord
from aiokafka_otel import process_span
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
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


class Unspeakable(Exception):
    """An exception that cannot say what it is."""

    def __str__(self) -> str:
        raise ValueError("cannot be had")


Unencodable = type("Unencodable", (Exception,), {"__qualname__": "Un\udce9ncodable"})


def wrapped(error: Exception) -> Exception:
    """Have the text in the stack trace alone."""
    outer = Refused("no")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize(
    ("error", "description"),
    [
        (LookupError(b"no Ren\xe9".decode(errors="surrogateescape")), "LookupError: no Ren\\udce9"),
        (KeyError("\ud800"), "KeyError: '\\ud800'"),
        (Refused("é"), "Refused: é"),
        (wrapped(LookupError("\ud800")), "Refused: no"),
        (Refused("x" * 10_000_000), "Refused: " + "x" * 1000),
        (Unspeakable(), "Unspeakable: its text cannot be had: ValueError"),
        (Unencodable("no"), "Unencodable: no"),
    ],
)
async def test_a_failed_span_can_be_exported_whatever_its_error_says(
    error: Exception, description: str, kafka: Kafka, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1")
    async with kafka.consumer(topic) as consumer:
        record = await consumer.getone()
        await consumer.stop()
        with pytest.raises(type(error)), process_span(record):
            raise error
    _, failed = recorded.spans("process")
    exported = encode_spans([failed]).SerializePartialToString()

    assert failed.status.description == description
    assert dict(failed.events[0].attributes or {})["exception.message"] == description.partition(": ")[2]
    assert "Failed to encode" not in caplog.text  # of an attribute the encoder only says so
    assert len(exported) < 100_000


async def test_a_send_that_fails_raises_what_it_failed_with(kafka: Kafka, recorded: Recorded) -> None:
    def refuse(value: str) -> bytes:
        raise Unspeakable

    async with kafka.producer(value_serializer=refuse) as producer:
        with pytest.raises(Unspeakable):
            await producer.send(await kafka.topic(), "value")

    assert recorded.span("send").status.status_code is StatusCode.ERROR


def test_names_that_cannot_be_encoded_do_not_cost_other_spans(
    recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    topic = "t\udce9"
    with process_span(ConsumerRecord(topic, 0, 0, 0, 0, b"k", b"v", None, 1, 1, ())):
        pass
    encode_spans(recorded.spans())

    assert recorded.span("process").name == "process t\\udce9"
    assert "Failed to encode" not in caplog.text
