"""What a client keeps running belongs to no trace, whatever is current when it starts."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError
from opentelemetry import trace

from .support import Kafka, Recorded


class Tasks:
    """A task factory that remembers aiokafka's tasks, and whether a span was current when they were made."""

    def __init__(self) -> None:
        self._made: list[tuple[asyncio.Task[Any], str, bool]] = []

    def __call__(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        task = asyncio.Task(coroutine, loop=loop, **options)
        if "aiokafka" in Path(coroutine.cr_code.co_filename).parts:
            in_span = trace.get_current_span().get_span_context().is_valid
            self._made.append((task, coroutine.__qualname__, in_span))
        return task

    def running(self, in_span: bool) -> set[str]:
        """Return the names of those that still run."""
        return {name for task, name, made_in_span in self._made if made_in_span == in_span and not task.done()}


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    tasks = Tasks()
    asyncio.get_running_loop().set_task_factory(tasks)
    yield tasks
    asyncio.get_running_loop().set_task_factory(None)


async def test_a_producer_started_within_a_span(kafka: Kafka, recorded: Recorded, tasks: Tasks) -> None:
    topic = await kafka.topic()
    with recorded.tracer.start_as_current_span("first request") as span:
        async with kafka.producer(enable_idempotence=True) as producer:
            await producer.send_and_wait(topic, b"value")

            assert trace.get_current_span() is span
            assert tasks.running(in_span=True) == set()
            assert {"Sender._sender_routine", "AIOKafkaConnection._read"} <= tasks.running(in_span=False)


async def test_a_consumer_started_and_used_within_a_span(kafka: Kafka, recorded: Recorded, tasks: Tasks) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1")
    with recorded.tracer.start_as_current_span("first request"):
        async with kafka.consumer(topic) as consumer:
            record = await consumer.getone()
            partition = TopicPartition(topic, record.partition)
            await consumer.commit({partition: record.offset + 1})
            await consumer.end_offsets([partition])

            assert tasks.running(in_span=True) == set()
            assert {"Fetcher._fetch_requests_routine", "AIOKafkaConnection._read"} <= tasks.running(in_span=False)


async def test_a_connection_opened_within_a_span(kafka: Kafka, recorded: Recorded, tasks: Tasks) -> None:
    host, port = kafka.broker.split(":")
    with recorded.tracer.start_as_current_span("first request"):
        connection = await create_conn(host, int(port))

        assert tasks.running(in_span=True) == set()
        assert tasks.running(in_span=False) == {"AIOKafkaConnection._read"}
        await connection.close()


async def test_a_start_that_fails_leaves_the_context_as_it_was(recorded: Recorded) -> None:
    nowhere = AIOKafkaProducer(bootstrap_servers="127.0.0.1:1")
    with recorded.tracer.start_as_current_span("caller") as span:
        with pytest.raises(KafkaConnectionError):
            await nowhere.start()

        assert trace.get_current_span() is span
    await nowhere.stop()
