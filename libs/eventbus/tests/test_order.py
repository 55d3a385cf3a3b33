"""Events with one key keep their order, whoever is killed between the transaction and the handler."""

import itertools
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from eventbus import Database, Event, Outbox, within_transaction
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, insert, select

from .processes import TinyService
from .support import Kafka, Service, eventually, unique

KEYS, RECORDS = 60, 10

metadata = MetaData()
steps = Table(
    "steps",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("parcel", String, nullable=False),
    Column("number", Integer, nullable=False),
)


class ParcelMoved(Event):
    topic: ClassVar[str] = ""
    type: ClassVar[str] = "parcel.moved.v1"
    key_field: ClassVar[str] = "parcel"

    parcel: str
    number: int


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
    database.create(metadata)
    topic = await kafka.topic("parcels")
    ParcelMoved.topic = topic
    relay = TinyService(
        tmp_path / "tiny.db", kafka.broker, topic, instance_id=unique("relay"), database_url=new_database()
    )
    outbox = Database(relay.database_url)
    outbox.create()
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
