import asyncio
import logging
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from eventbus import Database, Retention, housekeeping
from eventbus import kafka as bus_kafka
from eventbus.database.tables import inbox
from eventbus.housekeeping import BATCH, INBOX, remove_old_rows, remove_some
from eventbus.process.patience import Patience
from eventbus.worker.consume import topics_of
from eventbus.worker.dead_letters import topic_of as letters_topic_of
from eventbus.worker.retry import topic_of as retry_topic_of
from sqlalchemy import Column, DateTime, Integer, MetaData, String, Table, insert, select

from libs.eventbus.tests.support import Kafka, count, eventually, prepare, running, unchangeable, unique

DAY = timedelta(days=1)
metadata = MetaData()
visits = Table(
    "visits",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False, index=True),
    Column("name", String),
)
VISITS = Retention(visits.c.at, keep=10 * DAY, because="nobody asks for them any more")
NAMES = Retention(visits.c.at, keep=2 * DAY, because="nobody asks for them any more", forget=visits.c.name)


def visit(database: Database, *ages: timedelta) -> None:
    """Note visits that were so long ago; each has its age in days as its name."""
    prepare(database, metadata)
    now = datetime.now(UTC)
    with database.write() as connection:
        connection.execute(insert(visits), [{"at": now - age, "name": str(age.days)} for age in ages])


def names(database: Database) -> list[str | None]:
    with database.read() as connection:
        return list(connection.scalars(select(visits.c.name).order_by(visits.c.at)))


def test_rows_that_are_too_old_are_removed_and_no_others(database: Database) -> None:
    visit(database, 9.99 * DAY, 10.01 * DAY, 400 * DAY, 0 * DAY)
    remove_some(database, VISITS)

    assert names(database) == ["9", "0"]


def test_a_column_is_forgotten_where_the_row_stays(database: Database) -> None:
    visit(database, 5 * DAY, 3 * DAY, 1 * DAY)
    found = [remove_some(database, NAMES) for _ in range(2)]

    assert names(database) == [None, None, "1"]
    assert found == [2, 0]


def test_the_lock_is_held_for_the_oldest_few_rows_at_a_time(database: Database) -> None:
    visit(database, *((500 - number / 100) * DAY for number in range(2 * BATCH + 50)))
    left = []
    for _ in range(4):
        remove_some(database, VISITS)
        left.append(names(database))

    assert [len(each) for each in left] == [BATCH + 50, 50, 0, 0]
    assert all(earlier[BATCH:] == later for earlier, later in pairwise(left))


def test_looking_for_old_rows_waits_for_no_writer(database: Database) -> None:
    visit(database, 1 * DAY)
    with database.write():
        found = remove_some(database, VISITS)

    assert found == 0


async def test_all_that_is_too_old_is_gone_after_one_pass_by_each_rule(
    database: Database, patience: Patience, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(housekeeping, "PAUSE_S", 0.001)
    caplog.set_level(logging.INFO)
    visit(database, *[20 * DAY] * 5, *[5 * DAY] * 3, *((11 + number / 1000) * DAY for number in range(3 * BATCH)))
    async with running(patience, remove_old_rows(database, [VISITS, NAMES], patience)):
        await eventually("one pass is over", lambda: names(database) == [None] * 3)

    told = [record for record in caplog.records if record.message == "removed"]
    assert [(vars(each)["table"], vars(each)["rows"]) for each in told] == [("visits", 3 * BATCH + 5), ("visits", 3)]
    assert {vars(each)["because"] for each in told} == {VISITS.because}


async def test_what_one_pass_leaves_is_removed_soon(
    database: Database, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("BATCHES_OF_A_PASS", 1), ("PAUSE_S", 0.001), ("SOON_S", 0.01)):
        monkeypatch.setattr(housekeeping, name, value)
    visit(database, *((11 + number / 1000) * DAY for number in range(3 * BATCH)))
    async with running(patience, remove_old_rows(database, [VISITS], patience)):
        await eventually("three passes are over", lambda: names(database) == [])


async def test_rows_that_grow_old_later_are_removed_later(
    database: Database, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "EVERY_S", 0.01)
    prepare(database, metadata)
    async with running(patience, remove_old_rows(database, [VISITS], patience)):
        visit(database, 11 * DAY)
        await eventually("the row is gone", lambda: names(database) == [])


async def test_a_rule_that_fails_is_logged_and_neither_ends_the_others_nor_the_process(
    database: Database, patience: Patience, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(housekeeping, "EVERY_S", 0.01)
    missing = Table("missing", MetaData(), Column("id", Integer, primary_key=True), Column("at", DateTime))
    broken = Retention(missing.c.at, keep=DAY, because="it is not there")
    visit(database, 11 * DAY)
    async with running(patience, remove_old_rows(database, [broken, VISITS], patience)):
        await eventually("the others are applied", lambda: names(database) == [])
        await eventually("it is tried again", lambda: caplog.messages.count("rows not removed") > 1)


async def test_keeping_house_never_blocks_the_event_loop_and_waits_for_the_lock(
    database: Database, patience: Patience, caplog: pytest.LogCaptureFixture
) -> None:
    visit(database, 11 * DAY)
    async with running(patience, remove_old_rows(database, [VISITS], patience)):
        with unchangeable(database, visits):
            for _ in range(50):
                await asyncio.sleep(0.01)  # the event loop turns
            meanwhile = names(database)
        await eventually("the row is gone", lambda: names(database) == [])

    assert len(meanwhile) == 1
    # Only this task gives the lock back: whoever waited for it in the loop would have waited in vain.
    assert "rows not removed" not in caplog.messages


async def test_a_stop_ends_it_between_two_batches_and_between_two_passes(
    database: Database, patience: Patience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(housekeeping, "PAUSE_S", 3600)
    visit(database, *((11 + number / 1000) * DAY for number in range(BATCH + 1)))
    async with running(patience, remove_old_rows(database, [VISITS], patience)) as between_batches:
        await eventually("one batch is gone", lambda: len(names(database)) == 1)
    patience.stop.clear()
    async with running(patience, remove_old_rows(database, [VISITS], patience)) as between_passes:
        await eventually("the rest is gone", lambda: names(database) == [])

    assert between_batches.task.done() and between_passes.task.done()


@pytest.mark.parametrize(("age", "known"), [(INBOX.keep - DAY, 1), (INBOX.keep + DAY, 0)])
def test_the_inbox_is_kept_for_its_time(database: Database, age: timedelta, known: int) -> None:
    with database.write() as connection:
        connection.execute(insert(inbox).values(consumer="c", event_id="e", handled_at=datetime.now(UTC) - age))
    remove_some(database, INBOX)

    assert count(database, inbox) == known


async def settings_of(kafka: Kafka, topic: str) -> dict[str, str]:
    """Return what the broker says of a topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.broker)
    await admin.start()
    try:
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    finally:
        await admin.close()
    [(_, _, _, _, settings)] = answer.resources
    return {name: value for name, value, *_ in settings}


async def test_the_inbox_outlives_every_copy_of_a_message_on_the_real_broker(kafka: Kafka) -> None:
    topic, group = unique("orders"), unique("group")
    retry, letters = retry_topic_of(group), letters_topic_of(group)
    await bus_kafka.create_topics(kafka.broker, {topic: {}, **topics_of(group)}, kafka.patience)
    found = {each: await settings_of(kafka, each) for each in (topic, retry, letters)}
    # Kafka removes a message with its whole segment, whose newest message may be that much younger.
    days = {each: (int(s["retention.ms"]) + int(s["segment.ms"])) / 1000 / 86400 for each, s in found.items()}

    assert days == {topic: 7 + 1, retry: 7 + 1, letters: 30 + 1}
    assert {s["cleanup.policy"] for s in found.values()} == {"delete"}
    # Redriven on its last day as a dead letter, then as long in the topic, and then in the retry topic.
    assert INBOX.keep >= sum(days.values()) * DAY
    assert INBOX.keep >= 45 * DAY
