"""Attributes by the semantic conventions, and nothing of ours in their namespace."""

from time import time
from typing import Any

import pytest
from aiokafka_otel import AIOKafkaInstrumentor
from opentelemetry.sdk.trace import Span, SpanProcessor
from opentelemetry.semconv.schemas import Schemas

from .support import Kafka, Recorded


def common(kafka: Kafka, topic: str, operation: str) -> dict[str, Any]:
    host, port = kafka.broker.split(":")
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
        "messaging.client.id": "the-client",
        "server.address": host,
        "server.port": int(port),
    }


async def test_a_send_span_has_these_attributes_and_no_other(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    async with kafka.producer(client_id="the-client") as producer:
        await producer.send_and_wait(topic, b"12345", key=b"ada@example.com")

    span = recorded.span("send")
    assert dict(span.attributes or {}) == common(kafka, topic, "send") | {
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 0,
        "messaging.message.body.size": 5,
    }
    scope = span.instrumentation_scope
    assert scope is not None and (scope.name, scope.schema_url) == ("aiokafka_otel", Schemas.V1_44_0.value)


async def test_a_process_span_has_these_attributes_and_no_other(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"12345", key=b"ada@example.com")
    async with kafka.consumer(topic, client_id="the-client", group_id=topic) as consumer:
        await consumer.getone()

    attributes = dict(recorded.span("process").attributes or {})
    assert attributes.pop("journey.queue.wait_ms") is not None
    assert attributes == common(kafka, topic, "process") | {
        "messaging.consumer.group.name": topic,
        "messaging.destination.partition.id": "0",
        "messaging.kafka.offset": 0,
        "messaging.message.body.size": 5,
    }


async def test_a_receive_span_has_these_attributes_and_no_other(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"12345")
    async with kafka.consumer(topic, client_id="the-client", group_id=topic) as consumer:
        while not await consumer.getmany(timeout_ms=100):
            pass

    assert dict(recorded.span("receive").attributes or {}) == common(kafka, topic, "receive") | {
        "messaging.consumer.group.name": topic,
        "messaging.batch.message_count": 1,
    }


async def test_a_record_without_a_value_is_a_tombstone(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    async with kafka.producer() as producer, kafka.consumer(topic) as consumer:
        await producer.send_and_wait(topic, None, key=b"key")
        await producer.send_and_wait(topic, b"", key=b"key")
        for _ in range(2):
            await consumer.getone()

    for operation in "send", "process":
        tombstone, empty = (dict(span.attributes or {}) for span in recorded.spans(operation))
        assert tombstone["messaging.kafka.message.tombstone"] is True
        assert "messaging.message.body.size" not in tombstone
        assert empty["messaging.message.body.size"] == 0
        assert "messaging.kafka.message.tombstone" not in empty


@pytest.mark.parametrize(("written_ms_ago", "least", "most"), [(60_000, 60_000, 90_000), (-60_000, 0, 0)])
async def test_the_wait_in_the_queue_is_never_negative(
    written_ms_ago: int, least: int, most: int, kafka: Kafka, recorded: Recorded
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", timestamp_ms=int(time() * 1000) - written_ms_ago)
    async with kafka.consumer(topic) as consumer:
        await consumer.getone()

    attributes = recorded.span("process").attributes
    assert attributes is not None and least <= int(str(attributes["journey.queue.wait_ms"])) <= most


@pytest.mark.parametrize(
    ("setting", "expected"), [("true", ["ada", "ada"]), ("false", []), ("", []), (" TRUE ", ["ada", "ada"])]
)
async def test_the_key_is_recorded_only_where_asked_for(
    setting: str, expected: list[str], kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOKAFKA_OTEL_RECORD_KEY", setting)
    recorded, topic = Recorded(), await kafka.topic()
    AIOKafkaInstrumentor().instrument(tracer_provider=recorded.tracer_provider)
    try:
        async with kafka.producer() as producer, kafka.consumer(topic) as consumer:
            await producer.send_and_wait(topic, b"1", key=b"ada")
            await consumer.getone()
    finally:
        AIOKafkaInstrumentor().uninstrument()

    keys = [(span.attributes or {}).get("messaging.kafka.message.key") for span in recorded.spans()]
    assert [key for key in keys if key is not None] == expected


async def test_a_sampler_sees_what_is_known_at_the_start(kafka: Kafka, recorded: Recorded) -> None:
    at_start: dict[str, set[str]] = {}

    class Watch(SpanProcessor):
        def on_start(self, span: Span, parent_context: Any = None) -> None:
            at_start[span.name.split()[0]] = set(span.attributes or {})

    recorded.tracer_provider.add_span_processor(Watch())
    topic = await kafka.topic()
    async with kafka.producer() as producer, kafka.consumer(topic) as consumer:
        await producer.send_and_wait(topic, b"12345")
        await consumer.getone()

    only_the_broker_knows = {"messaging.destination.partition.id", "messaging.kafka.offset"}
    assert at_start["send"] == set(recorded.span("send").attributes or {}) - only_the_broker_knows
    assert at_start["process"] == set(recorded.span("process").attributes or {})


async def test_several_bootstrap_servers_are_named_by_the_first(kafka: Kafka, recorded: Recorded) -> None:
    topic, (host, port) = await kafka.topic(), kafka.broker.split(":")
    several = Kafka([kafka.broker, "127.0.0.1:1"])  # type: ignore[arg-type]
    async with several.producer() as producer:
        await producer.send_and_wait(topic, b"value")

    attributes = recorded.span("send").attributes
    assert attributes is not None
    assert (attributes["server.address"], attributes["server.port"]) == (host, int(port))
