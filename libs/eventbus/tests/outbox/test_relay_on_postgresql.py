"""What is different where ids are not committed in their order, and where a lock can be lost."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest
from eventbus import Database, Outbox
from eventbus.database.tables import outbox
from eventbus.outbox import forgetting, pending
from eventbus.outbox.lock import AdvisoryLock
from eventbus.outbox.pending import _FIRST
from sqlalchemy import Connection, text

from libs.eventbus.tests.support import (
    HANGS_AFTER_S,
    Kafka,
    OrderPlaced,
    count,
    eventually,
    header,
    relaying,
    status_of,
)

MINE = "application_name = current_setting('application_name') AND pid <> pg_backend_pid()"
HOLDS_LOCK = "EXISTS (SELECT FROM pg_locks WHERE pg_locks.pid = a.pid AND locktype = 'advisory')"
END_HOLDERS = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity a WHERE {MINE} AND {HOLDS_LOCK}"
END_ALL = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity a WHERE {MINE}"


def store(connection: Connection, topic: str, order_id: str) -> str:
    """Store an order; return its event id."""
    return Outbox("shop").add(connection, OrderPlaced.on(topic)(order_id=order_id)).event_id


async def until_sent(kafka: Kafka, topic: str, number: int) -> None:
    """Wait until so many records are in a topic."""
    async with asyncio.timeout(HANGS_AFTER_S):
        while len(await kafka.records(topic)) < number:
            pass  # the look takes its time


def pages_of_a_look(database: Database) -> int:
    """Return how many pages PostgreSQL reads to find that the outbox is empty."""
    look = _FIRST.format(others="", limit=100)
    with database.read() as connection:
        (plan,) = connection.execute(text(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {look}")).scalar_one()
    return int(plan["Plan"]["Shared Hit Blocks"]) + int(plan["Plan"]["Shared Read Blocks"])


def end_sessions(database: Database, which: str) -> int:
    """End sessions of this database, as a server does that goes; return how many there were."""
    with database.write() as connection:
        return len(connection.execute(text(which)).all())


@contextmanager
def lock_held_elsewhere(database: Database) -> Iterator[None]:
    connection = database.polling_connection()
    lock, until = AdvisoryLock(connection), monotonic() + 60
    while not lock.take():  # the session that has it is ending
        assert monotonic() < until
    yield
    connection.close()


async def test_a_row_that_is_committed_after_one_with_a_higher_id_was_published_is_published_too(
    on_postgresql: Database, kafka: Kafka, tmp_path: Path
) -> None:
    topic = await kafka.topic()
    async with relaying(on_postgresql, kafka.broker, tmp_path):
        with on_postgresql.write() as slow:
            store(slow, topic, "lower id")
            with on_postgresql.write() as quick:
                store(quick, topic, "higher id")
            await eventually("the higher one is published", lambda: count(on_postgresql, outbox) == 0)
        await eventually("both are published", lambda: count(on_postgresql, outbox) == 0)
    records = await kafka.records(topic)

    assert sorted(record.key or b"" for record in records) == [b"higher id", b"lower id"]


async def test_a_row_that_is_committed_late_is_published_before_what_was_written_after_it(
    on_postgresql: Database, kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "EVERY_S", 3600)  # what was published is still there
    topic = await kafka.topic()
    async with relaying(on_postgresql, kafka.broker, tmp_path):
        with on_postgresql.write() as slow:
            ids = [store(slow, topic, "o-1")]
            with on_postgresql.write() as quick:
                for number in range(50):
                    store(quick, topic, f"other-{number}")
            await until_sent(kafka, topic, 50)
        with on_postgresql.write() as later:
            ids += [store(later, topic, "o-1") for _ in range(2)]
        await until_sent(kafka, topic, 53)
    records = await kafka.records(topic)

    assert [header(record, "ce_id") for record in records if record.key == b"o-1"] == ids
    assert count(on_postgresql, outbox) == 0


@pytest.mark.long
def test_a_look_reads_few_pages_however_many_rows_were_deleted(
    on_postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pending, "TIDY_AFTER", 1000)
    rows = pending.Pending(on_postgresql, None)
    for _ in range(4):
        with on_postgresql.write() as connection:
            ids = [store(connection, "orders", f"o-{number}") for number in range(1000)]
        for first in range(0, 1000, 100):
            rows.forget(ids[first : first + 100])

    assert pages_of_a_look(on_postgresql) < 10


async def test_a_relay_whose_lock_is_gone_stands_by_while_another_one_has_it(
    on_postgresql: Database, kafka: Kafka, tmp_path: Path
) -> None:
    topic = await kafka.topic()
    async with relaying(on_postgresql, kafka.broker, tmp_path) as (_, handle):
        await eventually("the relay is ready", lambda: status_of(handle.patience)["ready"])
        ended = end_sessions(on_postgresql, END_HOLDERS)
        with lock_held_elsewhere(on_postgresql):
            await eventually("it has noticed", lambda: not status_of(handle.patience)["ready"])
            await eventually("it stands by", lambda: status_of(handle.patience)["ready"])
            with on_postgresql.write() as connection:
                store(connection, topic, "o-1")
            published_meanwhile = await kafka.records(topic)
        await eventually("it publishes again", lambda: count(on_postgresql, outbox) == 0)

    assert ended == 1
    assert published_meanwhile == []


async def test_a_database_that_ends_all_sessions_loses_nothing(
    on_postgresql: Database, kafka: Kafka, tmp_path: Path
) -> None:
    topic = await kafka.topic()
    async with relaying(on_postgresql, kafka.broker, tmp_path) as (_, handle):
        for number in range(5):
            for _ in range(40):
                with on_postgresql.write() as connection:
                    store(connection, topic, f"o-{number}")
            end_sessions(on_postgresql, END_ALL)
        await eventually("all is published", lambda: count(on_postgresql, outbox) == 0)
        await eventually("the relay is ready", lambda: status_of(handle.patience)["ready"])
    ids = [dict(record.headers)["ce_id"] for record in await kafka.records(topic)]

    assert len(set(ids)) == 200
