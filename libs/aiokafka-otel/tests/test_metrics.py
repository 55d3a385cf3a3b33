"""The four metrics of the semantic conventions."""

import asyncio
import os
import subprocess
import sys
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka_otel import process_span
from opentelemetry.sdk.metrics.export import HistogramDataPoint, NumberDataPoint

from .support import Kafka, Recorded, eventually, instrumented

# Handles one record, and prints how many metrics the global provider has.
MEASURES = """
from aiokafka import ConsumerRecord
from aiokafka_otel import AIOKafkaInstrumentor, process_span
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
AIOKafkaInstrumentor().instrument()
with process_span(ConsumerRecord("t", 0, 7, 1, 0, b"k", b"v", None, 1, 1, ())):
    pass
data = reader.get_metrics_data()
print(sum(len(scope.metrics) for each in (data.resource_metrics if data else ()) for scope in each.scope_metrics))
"""


def sums(recorded: Recorded, metric: str) -> dict[str | None, float]:
    """Add up a counter, or count the measurements of a histogram, by `error.type`."""
    result: dict[str | None, float] = {}
    for point in recorded.points(metric):
        error: Any = (point.attributes or {}).get("error.type")
        number = point.value if isinstance(point, NumberDataPoint) else point.count
        result[error] = result.get(error, 0) + number
    return result


async def test_sent_messages_are_counted_and_timed(kafka: Kafka, recorded: Recorded) -> None:
    topic, small = await kafka.topic(), await kafka.topic(max_message_bytes=500)
    async with kafka.producer(max_request_size=10_000) as producer:
        for _ in range(3):
            await producer.send_and_wait(topic, b"value")
        for size in 2_000, 20_000:  # the broker refuses the one, aiokafka the other
            with pytest.raises(MessageSizeTooLargeError):
                await producer.send_and_wait(small, b"x" * size)

    refused = "aiokafka.errors.MessageSizeTooLargeError"
    assert sums(recorded, "messaging.client.sent.messages") == {None: 3, refused: 1}
    assert sums(recorded, "messaging.client.operation.duration") == {None: 3, refused: 2}


async def test_handled_messages_are_counted_and_timed(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", b"2")

    async def work() -> None:
        async with kafka.consumer(topic) as consumer:
            await consumer.getone()
            await consumer.getone()
            raise ValueError("the second")

    with pytest.raises(ValueError, match="the second"):
        await asyncio.create_task(work())

    assert sums(recorded, "messaging.client.consumed.messages") == {None: 2}
    assert sums(recorded, "messaging.process.duration") == {None: 1, "ValueError": 1}


@pytest.mark.parametrize(("exporter", "measured"), [("none", 0), (" None ", 0), ("console", 1), ("", 1)])
def test_where_metrics_are_not_exported_nothing_is_measured(exporter: str, measured: int) -> None:
    environment = os.environ | {"OTEL_METRICS_EXPORTER": exporter}
    run = subprocess.run([sys.executable, "-c", MEASURES], env=environment, capture_output=True, text=True, check=True)

    assert int(run.stdout) == measured


def test_a_meter_provider_that_was_given_measures_even_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    with (
        instrumented(Recorded()) as recorded,
        process_span(ConsumerRecord("t", 0, 7, 1, 0, b"k", b"v", None, 1, 1, ())),
    ):
        pass

    assert sums(recorded, "messaging.process.duration") == {None: 1}


async def test_received_batches_are_counted_by_partition_and_timed(kafka: Kafka, recorded: Recorded) -> None:
    topic, received = await kafka.topic(partitions=2), 0
    for partition, count in enumerate([2, 3]):
        await kafka.put(topic, *[b"1"] * count, partition=partition)
    async with kafka.consumer(topic) as consumer:
        while received < 5:
            received += sum(map(len, (await consumer.getmany(timeout_ms=100)).values()))

    by_partition = {
        (point.attributes or {})["messaging.destination.partition.id"]: point.value
        for point in recorded.points("messaging.client.consumed.messages")
        if isinstance(point, NumberDataPoint)
    }
    assert by_partition == {"0": 2, "1": 3}
    polls = sums(recorded, "messaging.client.operation.duration")
    assert polls == {None: len(recorded.spans("receive"))}


async def test_durations_have_the_boundaries_and_attributes_of_the_conventions(
    kafka: Kafka, recorded: Recorded
) -> None:
    topic = await kafka.topic()
    async with kafka.producer() as producer, kafka.consumer(topic, group_id=topic) as consumer:
        await producer.send_and_wait(topic, b"1")
        await consumer.getone()
    await eventually("the record is done with", lambda: recorded.spans("process"))

    (point,) = recorded.points("messaging.process.duration")
    host, port = kafka.broker.split(":")
    assert isinstance(point, HistogramDataPoint)
    assert point.explicit_bounds == (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
    assert dict(point.attributes or {}) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": topic,
        "messaging.destination.partition.id": "0",
        "messaging.consumer.group.name": topic,
        "server.address": host,
        "server.port": int(port),
    }
