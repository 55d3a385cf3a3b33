import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from eventbus import Database, Outbox, OutboxLimit, Unavailable, within_transaction
from eventbus.database.tables import inbox, outbox
from eventbus.outbox import limits
from sqlalchemy import Connection, delete, event, insert

from libs.eventbus.tests.support import (
    Kafka,
    OrderPlaced,
    Service,
    count,
    effects,
    encoded,
    eventually,
    relaying,
    status_of,
)

MANY_MB = 10**9
FULL = "2 events or more wait in the outbox to be published"


@pytest.fixture
def looking_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOOK_EVERY_S", 0.0)


def add(database: Database, shop: Outbox, *, times: int = 1) -> None:
    for _ in range(times):
        with database.write() as connection:
            connection.execute(insert(effects).values(order_id="o-1"))
            shop.add(connection, OrderPlaced(order_id="o-1"))


def check(database: Database, limit: OutboxLimit) -> None:
    with database.read() as connection:
        limit.check(connection)


def empty(database: Database) -> None:
    with database.write() as connection:
        connection.execute(delete(outbox))


@pytest.mark.usefixtures("looking_always")
def test_a_full_outbox_takes_nothing_and_its_transaction_leaves_nothing_until_there_is_room(database: Database) -> None:
    shop = Outbox("shop", OutboxLimit(max_rows=2))
    add(database, shop, times=2)
    with pytest.raises(Unavailable, match=FULL):
        add(database, shop)
    stored = count(database, outbox), count(database, effects)
    empty(database)
    add(database, shop)

    assert stored == (2, 2)
    assert count(database, outbox) == 1


@pytest.mark.usefixtures("looking_always")
def test_too_little_free_disk_is_a_full_outbox_where_the_database_is_a_file(database: Database) -> None:
    limit = OutboxLimit(min_free_disk_mb=MANY_MB)
    if database.lock_file is None:
        check(database, limit)
    else:
        with pytest.raises(Unavailable, match=f"less than {MANY_MB} MB of disk are free"):
            check(database, limit)


def test_threads_look_once_a_second_together(database: Database) -> None:
    limit, asked, line = OutboxLimit(), [0], threading.Barrier(8)

    def ask(connection: Connection, *_: object) -> None:
        asked[0] += 1

    def work(_: int) -> None:
        with database.read() as connection:
            event.listen(connection, "before_cursor_execute", ask)
            line.wait(timeout=60)
            for _ in range(100):
                limit.check(connection)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(8)))

    assert asked == [1]


def test_no_look_reads_more_rows_than_the_limit(database: Database) -> None:
    """A table far beyond the limit, as after a change of the setting, costs no more than one at the limit."""
    seen = []
    with database.read() as connection:
        event.listen(connection, "before_cursor_execute", lambda *args: seen.append(args[2].upper()))
        OutboxLimit(max_rows=7).check(connection)

    assert ["LIMIT" in statement for statement in seen] == [True]


def test_what_is_stored_within_a_second_is_the_overshoot(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(limits, "monotonic", lambda: now[0])
    shop = Outbox("shop", OutboxLimit(max_rows=2))
    add(database, shop, times=5)
    now[0] += 1
    with pytest.raises(Unavailable):
        add(database, shop)
    empty(database)
    now[0] += 0.99
    with pytest.raises(Unavailable):
        add(database, shop)
    now[0] += 0.01
    add(database, shop)


@pytest.mark.usefixtures("looking_always")
def test_the_limit_is_logged_when_it_is_reached_and_left_and_not_for_each_event(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    limit = OutboxLimit(max_rows=2)
    add(database, Outbox("shop"), times=2)
    for _ in range(5):
        with pytest.raises(Unavailable):
            check(database, limit)
    empty(database)
    for _ in range(5):
        check(database, limit)

    assert caplog.messages == ["the outbox takes no more", "the outbox takes events again"]


@pytest.mark.usefixtures("looking_always")
async def test_a_consumer_whose_outbox_is_full_waits_with_its_record_until_there_is_room(
    kafka: Kafka, database: Database, service: Service, tmp_path: Path
) -> None:
    orders, invoices = await kafka.topic("orders"), await kafka.topic("invoices")
    subscription = within_transaction(
        OrderPlaced.on(orders),
        lambda order, _: OrderPlaced.on(invoices)(order_id=order.order_id),
        lambda connection: connection,
    )
    service.settings["outbox_max_rows"] = 2
    await kafka.put(orders, *(encoded(OrderPlaced(order_id=f"o-{number}")) for number in range(3)))
    async with service.working(subscription) as worker:
        await eventually("the worker is not ready", lambda: not status_of(worker.patience)["ready"])
        status, handled = status_of(worker.patience), count(database, inbox)
        async with relaying(database, kafka.broker, tmp_path):
            await eventually("the third is handled", lambda: count(database, inbox) == 3)
            await eventually("the worker is ready", lambda: status_of(worker.patience)["ready"])
            await eventually("all is published", lambda: count(database, outbox) == 0)
    published = [record.key for record in await kafka.records(invoices)]

    assert status["reason"] == f"worker: {FULL}, trying again"
    assert handled == 2
    assert sorted(published) == [b"o-0", b"o-1", b"o-2"]
    assert await kafka.records(service.letters) == await kafka.records(service.retries) == []
