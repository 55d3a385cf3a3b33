"""Events with one key keep their order, whoever is killed between the transaction and the handler."""

import itertools
import json
import random
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from eventbus import Database, Outbox, within_transaction
from eventbus.database.tables import inbox, outbox, waiting
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, insert, select

from libs.eventbus.tests.processes import TinyService
from libs.eventbus.tests.support import (
    Kafka,
    OrderPlaced,
    ParcelMoved,
    Service,
    count,
    encoded,
    eventually,
    prepare,
    unique,
)

pytestmark = pytest.mark.long

KEYS, RECORDS = 60, 10

metadata = MetaData()
steps = Table(
    "steps",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("parcel", String, nullable=False),
    Column("number", Integer, nullable=False),
)


def note(step: ParcelMoved, connection: Connection) -> None:
    connection.execute(insert(steps).values(parcel=step.parcel, number=step.number))


def noted(database: Database) -> dict[str, list[int]]:
    found = defaultdict(list)
    with database.read() as connection:
        for parcel, number in connection.execute(select(steps.c.parcel, steps.c.number).order_by(steps.c.id)):
            found[parcel].append(number)
    return found


async def test_ten_records_of_each_key_are_handled_in_order_although_relay_and_worker_are_killed_again_and_again(
    kafka: Kafka, database: Database, new_database: Callable[[], str], service: Service, tmp_path: Path
) -> None:
    prepare(database, metadata)
    topic = await kafka.topic("parcels")
    ParcelMoved.topic = topic
    relay = TinyService(
        tmp_path / "tiny.db", kafka.broker, topic, instance_id=unique("relay"), database_url=new_database()
    )
    outbox = Database(relay.database_url)
    outbox.upgrade()
    subscription = within_transaction(ParcelMoved, note, lambda connection: connection)

    def done() -> int:
        return sum(map(len, noted(database).values()))

    # Each round stores more records, and both ends are killed while they are on their way.
    for part in (range(3), range(3, 7), range(7, RECORDS)):
        with outbox.write() as connection:
            for number, key in itertools.product(part, range(KEYS)):
                Outbox("depot").add(connection, ParcelMoved(parcel=f"p-{key}", number=number))
        enough = done() + KEYS
        async with service.working(subscription, instance_id="same"):
            with relay.run():  # killed with -9 at the end of the block
                await eventually("some records are handled", lambda enough=enough: done() >= enough, seconds=60)
    async with service.working(subscription, instance_id="same"):
        with relay.run():
            await eventually("all records are handled", lambda: done() >= KEYS * RECORDS, seconds=60)
    outbox.close()

    assert noted(database) == {f"p-{key}": list(range(RECORDS)) for key in range(KEYS)}


ORDERS, NUMBERS, PARTITIONS = 12, 9, 3


class OrderNumbered(OrderPlaced):
    """One of many events of an order, which fails so often before it is handled."""

    number: int
    failures: int


async def test_with_slots_and_retries_in_order_each_key_keeps_its_order_although_workers_are_killed_and_come_and_go(
    kafka: Kafka, new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("WORKER_SLOTS", "4"), ("RETRY_ORDER", "key"), ("RETRY_DELAY_S", "0.2"), ("RETRY_TRIES", "99")):
        monkeypatch.setenv(name, value)
    url, seed = new_database(), random.randrange(1000)
    dice = random.Random(seed)
    first = TinyService(
        tmp_path / "tiny.db", kafka.broker, await kafka.topic(), orders=await kafka.topic(), database_url=url
    )
    second = replace(first, instance_id=unique("instance"))
    database = Database(url)
    database.upgrade()

    def done() -> int:
        return count(database, inbox)

    with ExitStack() as both:
        for each in (first, second):
            both.enter_context(each.run())
        for number in range(NUMBERS):
            for partition in range(PARTITIONS):
                orders = [
                    OrderNumbered(order_id=f"o-{key}", number=number, failures=dice.choice((0, 0, 0, 1, 2)))
                    for key in range(partition, ORDERS, PARTITIONS)
                ]
                await kafka.put(first.orders, *map(encoded, orders), partition=partition)
            if number % 3 == 2:
                victim, enough = dice.choice((first, second)), done() + ORDERS
                await eventually("they work", lambda enough=enough: done() >= enough)
                if dice.random() < 0.5:
                    victim.process.kill()
                else:
                    victim.process.terminate()  # its partitions go to the other one
                await victim.exit_code()
                both.enter_context(victim.run())
        await eventually("everything is handled", lambda: done() == NUMBERS * ORDERS)
        await eventually("nobody waits", lambda: count(database, waiting) == 0)
        await eventually("all invoices are sent", lambda: count(database, outbox) == 0)
    database.close()
    invoices: dict[bytes, list[int]] = defaultdict(list)
    for record in await kafka.records(first.invoices):
        number = json.loads(record.value)["number"]
        if number not in invoices[record.key]:  # a killed relay sends some again
            invoices[record.key].append(number)

    assert invoices == {f"o-{key}".encode(): list(range(NUMBERS)) for key in range(ORDERS)}, f"seed {seed}"
