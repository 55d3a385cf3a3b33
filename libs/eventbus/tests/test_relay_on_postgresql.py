"""What is different where ids are not committed in their order, and where a lock can be lost."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

from eventbus import Database, Outbox
from eventbus.lock import AdvisoryLock
from eventbus.tables import outbox
from sqlalchemy import Connection, text

from .support import Kafka, OrderPlaced, count, eventually, relaying, status_of

MINE = "application_name = current_setting('application_name') AND pid <> pg_backend_pid()"
HOLDS_LOCK = "EXISTS (SELECT FROM pg_locks WHERE pg_locks.pid = a.pid AND locktype = 'advisory')"
END_HOLDERS = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity a WHERE {MINE} AND {HOLDS_LOCK}"
END_ALL = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity a WHERE {MINE}"


def store(connection: Connection, topic: str, order_id: str) -> None:
    Outbox("shop").add(connection, OrderPlaced.on(topic)(order_id=order_id))


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
