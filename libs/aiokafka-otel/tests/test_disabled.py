"""Where nothing traces, what is forwarded keeps the trace of those before."""

from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from opentelemetry.sdk.trace import TracerProvider

from .support import TRACEPARENT, Kafka, Recorded, instrumented

FORWARDED = [TRACEPARENT, ("tracestate", b"vendor=1"), ("baggage", b"user=ada"), ("Baggage", b"b=2"), ("kept", b"1")]


@pytest.fixture
def disabled(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with instrumented(Recorded(TracerProvider())) as recorded:
        yield recorded


async def by_getone(consumer: AIOKafkaConsumer) -> Any:
    return await consumer.getone()


async def by_getmany(consumer: AIOKafkaConsumer) -> Any:
    while not (batch := await consumer.getmany(timeout_ms=100)):
        pass
    return next(iter(batch.values()))[0]


async def arrived(kafka: Kafka, topic: str) -> list[tuple[str, bytes]]:
    async with kafka.consumer(topic) as consumer:
        return list((await consumer.getone()).headers)


@pytest.mark.parametrize("poll", [by_getone, by_getmany])
async def test_with_the_sdk_disabled_headers_pass_untouched(poll: Any, kafka: Kafka, disabled: Recorded) -> None:
    source, target = await kafka.topic(), await kafka.topic()
    await kafka.put(source, b"1", headers=FORWARDED)
    async with kafka.consumer(source) as consumer, kafka.producer() as producer:
        record = await poll(consumer)
        await producer.send_and_wait(target, record.value, headers=list(record.headers))

    assert await arrived(kafka, target) == FORWARDED


async def test_with_the_sdk_disabled_a_new_message_belongs_to_the_sender_of_the_record_in_hand(
    kafka: Kafka, disabled: Recorded
) -> None:
    source, target = await kafka.topic(), await kafka.topic()
    await kafka.put(source, b"1", headers=[TRACEPARENT])
    async with kafka.consumer(source) as consumer, kafka.producer() as producer:
        await consumer.getone()
        await producer.send_and_wait(target, b"2", headers=[("kept", b"1")])

    assert await arrived(kafka, target) == [("kept", b"1"), TRACEPARENT]
    assert disabled.spans() == []
