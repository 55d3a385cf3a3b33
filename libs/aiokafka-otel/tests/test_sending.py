"""A send span lasts from the call to the broker's acknowledgement, or to its refusal."""

import asyncio
import gc
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import SpanKind, StatusCode

from .support import Kafka, Recorded, eventually, parent_id

ERROR = "aiokafka.errors.MessageSizeTooLargeError"


def assert_failed(span: ReadableSpan, error_type: str) -> None:
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None and span.attributes["error.type"] == error_type
    assert [event.name for event in span.events] == ["exception"]


async def test_the_span_lasts_until_the_acknowledgement(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    async with kafka.producer(linger_ms=300) as producer:
        with recorded.tracer.start_as_current_span("caller") as caller:
            acknowledgement = await producer.send(topic, b"value")
            assert not acknowledgement.done() and recorded.spans("send") == []
            metadata = await acknowledgement

    span = recorded.span("send")
    assert (span.name, span.kind) == (f"send {topic}", SpanKind.PRODUCER)
    assert span.attributes is not None and span.start_time and span.end_time
    assert span.end_time - span.start_time >= 250_000_000
    assert span.attributes["messaging.kafka.offset"] == metadata.offset
    assert span.status.status_code is StatusCode.UNSET
    assert parent_id(span) == caller.get_span_context().span_id


async def test_send_and_wait_is_one_span(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    async with kafka.producer() as producer:
        await producer.send_and_wait(topic, b"value")

        assert len(recorded.spans()) == 1


async def test_partition_and_offset_are_the_brokers_and_nothing_is_computed_twice(
    kafka: Kafka, recorded: Recorded
) -> None:
    topic = await kafka.topic(partitions=4)
    calls: list[str] = []

    def partitioner(key: bytes | None, every: list[int], available: list[int]) -> int:
        calls.append("partition")
        return every[len(calls) % 4]

    def serializer(value: str) -> bytes:
        calls.append("serialize")
        return value.encode()

    async with kafka.producer(partitioner=partitioner, value_serializer=serializer) as producer:
        answers = [await producer.send_and_wait(topic, "value") for _ in range(8)]

    recorded_places = [
        (span.attributes["messaging.destination.partition.id"], span.attributes["messaging.kafka.offset"])
        for span in recorded.spans("send")
        if span.attributes
    ]
    assert recorded_places == [(str(answer.partition), answer.offset) for answer in answers]
    assert calls == ["serialize", "partition"] * 8


async def test_a_message_that_aiokafka_refuses_is_an_error(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    async with kafka.producer(max_request_size=1000) as producer:
        with pytest.raises(MessageSizeTooLargeError):
            await producer.send(topic, b"x" * 2000)

    assert_failed(recorded.span("send"), ERROR)


async def test_a_message_that_the_broker_refuses_is_an_error(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic(max_message_bytes=500)
    async with kafka.producer() as producer:
        acknowledgement = await producer.send(topic, b"x" * 2000)
        with pytest.raises(MessageSizeTooLargeError):
            await acknowledgement

    assert_failed(recorded.span("send"), ERROR)


async def test_a_failure_that_nobody_awaits_is_still_reported_by_asyncio(kafka: Kafka, recorded: Recorded) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    topic = await kafka.topic(max_message_bytes=500)
    async with kafka.producer() as producer:
        await producer.send(topic, b"x" * 2000)
    await eventually("the refusal is recorded", lambda: recorded.spans("send"))
    gc.collect()

    assert [context["message"] for context in reported] == ["Future exception was never retrieved"]


async def test_a_send_cancelled_before_it_was_accepted_ends_its_span(kafka: Kafka, recorded: Recorded) -> None:
    async with kafka.producer() as producer:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await producer.send("a-topic-that-does-not-exist", b"value")

    assert_failed(recorded.span("send"), "asyncio.exceptions.CancelledError")


async def test_a_cancelled_acknowledgement_ends_the_span(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    async with kafka.producer(linger_ms=300) as producer:
        acknowledgement = await producer.send(topic, b"value")
        acknowledgement.cancel()
        await eventually("the span has ended", lambda: recorded.spans("send"))

    assert_failed(recorded.span("send"), "asyncio.exceptions.CancelledError")


async def test_without_acknowledgements_the_span_has_no_offset(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    async with kafka.producer(acks=0) as producer:
        await producer.send_and_wait(topic, b"value")

    span = recorded.span("send")
    assert span.attributes is not None and "messaging.kafka.offset" not in span.attributes
    assert span.status.status_code is StatusCode.UNSET


async def test_concurrent_sends_have_the_parents_of_their_tasks(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()

    async def order(number: int) -> None:
        with recorded.tracer.start_as_current_span(f"order {number}"):
            await producer.send_and_wait(topic, b"value", key=str(number).encode())

    async with kafka.producer() as producer:
        await asyncio.gather(*(order(number) for number in range(20)))

    sends = {parent_id(span) for span in recorded.spans("send")}
    assert sends == {span.context.span_id for span in recorded.spans("order")}


async def test_transactions_pass_through(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    async with kafka.producer(transactional_id=topic) as producer:
        async with producer.transaction():
            await producer.send_and_wait(topic, b"committed")
        with pytest.raises(KeyError):
            async with producer.transaction():
                await producer.send_and_wait(topic, b"aborted")
                raise KeyError

    async with kafka.consumer(topic, isolation_level="read_committed") as consumer:
        assert (await consumer.getone()).value == b"committed"
    assert len(recorded.spans("send")) == 2
