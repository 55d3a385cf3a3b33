"""The order of each key, and the independence of topics, whatever the broker refuses."""

import random
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaTimeoutError
from eventbus import Database
from eventbus import kafka as bus_kafka
from eventbus.database.tables import outbox
from sqlalchemy import insert, select

from libs.eventbus.tests.support import Kafka, count, eventually, header, relaying, status_of, unique

# Of a batch; aiokafka makes batches of up to 1 MiB, so the broker refuses most of them, and takes what remains.
LIMIT = 400_000
KEYS = [b"a", b"b", b"c", b"d"]


def store(database: Database, topic: str, *rows: tuple[bytes, int]) -> list[str]:
    """Store a row for each key and size; return their event ids."""
    ids = [unique("event") for _ in rows]
    with database.write() as connection:
        for event_id, (key, size) in zip(ids, rows, strict=True):
            row = {"event_id": event_id, "topic": topic, "key": key, "value": b"x" * size, "trace_context": "{}"}
            connection.execute(insert(outbox).values(**row, headers=f'[["ce_id", "{event_id}"]]'))
    return ids


def parked(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.scalars(select(outbox.c.event_id).where(outbox.c.parked_because.is_not(None))))


async def published(kafka: Kafka, topic: str) -> dict[bytes, list[str]]:
    """Return the event ids of a topic by key, each once, in their order."""
    found: dict[bytes, dict[str, None]] = defaultdict(dict)
    for record in await kafka.records(topic):
        found[record.key or b""][str(header(record, "ce_id"))] = None
    return {key: list(ids) for key, ids in found.items()}


class Unreliable(AIOKafkaProducer):
    """A producer that sometimes cannot hand a record over, or loses count of what it has sent."""

    chance: random.Random

    async def send(self, topic: str, *args: Any, **kwargs: Any) -> Any:
        if self.chance.random() < 0.05:
            raise KafkaTimeoutError
        if self.chance.random() < 0.05:  # what the broker then answers is OutOfOrderSequenceNumber
            for partition in await self.partitions_for(topic):
                tp = TopicPartition(topic, partition)
                self._txn_manager.increment_sequence_number(tp, 5)
        return await super().send(topic, *args, **kwargs)


@pytest.mark.parametrize("seed", range(6))
async def test_nothing_goes_past_a_row_of_its_key_whatever_is_refused(
    seed: int, database: Database, kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)
    sizes = [1_000, 100_000, 200_000] if seed % 2 else [1_000, 100_000, 200_000, LIMIT + 10_000]
    topic = await kafka.topic(max_message_bytes=str(LIMIT))
    rows = [(chance.choice(KEYS), chance.choices(sizes, [9, 9, 9, 1][: len(sizes)])[0]) for _ in range(60)]
    ids = store(database, topic, *rows)
    too_large = {event_id for event_id, (_, size) in zip(ids, rows, strict=True) if size > LIMIT}
    stored: dict[bytes, list[str]] = defaultdict(list)
    for event_id, (key, _) in zip(ids, rows, strict=True):
        if event_id not in too_large:
            stored[key].append(event_id)
    if seed >= 2:
        monkeypatch.setattr(Unreliable, "chance", chance, raising=False)
        monkeypatch.setattr(bus_kafka, "AIOKafkaProducer", Unreliable)
    async with relaying(database, kafka.broker, tmp_path):
        await eventually("all is published", lambda: count(database, outbox) == len(parked(database)))

    assert parked(database) == too_large
    assert await published(kafka, topic) == stored


@asynccontextmanager
async def deleted(kafka: Kafka, topic: str) -> AsyncIterator[None]:
    """Delete a topic, and make it again at the end."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.broker)
    await admin.start()
    await admin.delete_topics([topic])
    await admin.close()
    yield
    await kafka.create(topic)


async def test_a_topic_that_is_gone_holds_up_no_other_and_all_is_published_when_it_is_back(
    database: Database, kafka: Kafka, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    gone, other = await kafka.topic("gone"), await kafka.topic("other")
    async with relaying(database, kafka.broker, tmp_path) as (_, handle):
        store(database, gone, (b"k", 1))
        await eventually("the first row is published", lambda: count(database, outbox) == 0)
        async with deleted(kafka, gone):
            caplog.clear()
            waiting = store(database, gone, *[(b"k", 1)] * 300)  # more than are read at once
            went_on = []
            for number in range(20):
                went_on += store(database, other, (b"k", 1))
                await eventually(f"row {number} is published", lambda: count(database, outbox) == 300)
            await eventually("it is told", lambda: gone in status_of(handle.patience)["reason"])
            lines = [record for record in caplog.records if gone in record.getMessage()]
        await eventually("what waited is published", lambda: count(database, outbox) == 0)
        await eventually("the relay is ready", lambda: status_of(handle.patience)["ready"])

    assert await published(kafka, other) == {b"k": went_on}
    assert await published(kafka, gone) == {b"k": waiting}
    assert len(lines) < 100
