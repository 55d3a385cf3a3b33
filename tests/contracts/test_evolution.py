"""docs/events.md on a real broker: how a type gets a v2."""

import asyncio
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
from eventbus import Database, Event, Money, Subscription, within_transaction
from eventbus.operator.lag import positions
from pydantic import BaseModel
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, insert, select

from libs.eventbus.tests.operating import ended, process
from libs.eventbus.tests.support import Kafka, Service, encoded, eventually, make_patience, prepare, unique

pytestmark = pytest.mark.long

DOC = (Path(__file__).parents[2] / "docs" / "events.md").read_text()

metadata = MetaData()
bills = Table(
    "bills",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("order_id", String, nullable=False),
    Column("total", String, nullable=False),
)


class Ledger:
    """What the example's handler works with."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, order_id: str, total: Any) -> None:
        self._connection.execute(insert(bills).values(order_id=order_id, total=f"{total.amount} {total.currency}"))


@dataclass(frozen=True)
class Example:
    """The code of the page, on a topic of the test's own."""

    v1: type[Event]
    v2: type[Event]
    both: Sequence[Subscription]

    @classmethod
    def on(cls, topic: str) -> "Example":
        (code,) = re.findall(r"```python\n(.*?)```", DOC, re.DOTALL)
        names: dict[str, Any] = {
            "BaseModel": BaseModel,
            "ClassVar": ClassVar,
            "Event": Event,
            "Ledger": Ledger,
            "Money": Money,
            "within_transaction": within_transaction,
            "__name__": __name__,
        }
        exec(code.replace('"orders"', f'"{topic}"'), names)
        return cls(names["OrderPlaced"], names["OrderPlacedV2"], names["SUBSCRIPTIONS"])

    @property
    def old(self) -> Sequence[Subscription]:
        """What the reader subscribed to before."""
        return self.both[:1]

    @property
    def new(self) -> Sequence[Subscription]:
        """What it subscribes to in the end."""
        return self.both[1:]

    def written(self, order_id: str, version: int) -> Any:
        """An order as one or the other."""
        total = {"total": "19.90", "currency": "EUR"}, {"total": {"amount": "19.90", "currency": "EUR"}}
        event = (self.v1, self.v2)[version - 1]
        return encoded(event.model_validate({"order_id": order_id, **total[version - 1]}))


@pytest.fixture
def kafka(broker: str, tmp_path: Path) -> Kafka:
    return Kafka(broker, make_patience(tmp_path))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/billing.db")
    prepare(database, metadata)
    yield database
    database.close()


@pytest.fixture
def billing(broker: str, database: Database, tmp_path: Path) -> Service:
    return Service(broker, database, tmp_path, unique("billing"))


def billed(database: Database) -> list[tuple[str, str]]:
    with database.read() as connection:
        rows = connection.execute(select(bills.c.order_id, bills.c.total).order_by(bills.c.id))
        return [(order_id, total) for order_id, total in rows]


async def until_billed(database: Database, *orders: str) -> None:
    await eventually(f"{', '.join(orders)} are billed", lambda: set(orders) <= {order for order, _ in billed(database)})


async def until_drained(kafka: Kafka, group: str) -> None:
    async with asyncio.timeout(60):
        while any(each.lag for each in await positions(kafka.broker, [group])):
            pass


async def test_readers_first_and_nothing_is_lost_done_twice_or_dead(
    kafka: Kafka, database: Database, billing: Service
) -> None:
    topic = await kafka.topic()
    example = Example.on(topic)
    async with billing.working(*example.old):
        await kafka.put(topic, example.written("before", 1))
        await until_billed(database, "before")
        # Replica by replica: old and new readers share the topic, and all is v1.
        async with billing.working(*example.both):
            for partition in range(3):
                await kafka.put(topic, example.written(f"meanwhile-{partition}", 1), partition=partition)
            await until_billed(database, "meanwhile-0", "meanwhile-1", "meanwhile-2")
    async with billing.working(*example.both):
        versions = [1, 2, 1, 2, 2]  # replica by replica: old and new writers share the topic
        await kafka.put(topic, *(example.written(f"switch-{n}", version) for n, version in enumerate(versions)))
        await until_billed(database, "switch-4")
        await until_drained(kafka, billing.group)
    async with billing.working(*example.new):
        await kafka.put(topic, example.written("after", 2))
        await until_billed(database, "after")

    orders = [order for order, _ in billed(database)]
    assert sorted(orders) == sorted(
        ["before", *(f"meanwhile-{n}" for n in range(3)), *(f"switch-{n}" for n in range(5)), "after"]
    )
    assert [order for order in orders if order.startswith("switch")] == [f"switch-{n}" for n in range(5)]
    assert {total for _, total in billed(database)} == {"19.90 EUR"}
    assert await kafka.records(billing.letters) == await kafka.records(billing.retries) == []


async def test_the_writer_first_makes_dead_letters_of_v2_alone_and_they_can_be_sent_back(
    kafka: Kafka, database: Database, billing: Service
) -> None:
    topic = await kafka.topic()
    example = Example.on(topic)
    await kafka.put(topic, example.written("o-1", 1), example.written("o-2", 2), example.written("o-3", 1))
    async with billing.working(*example.old):
        await until_billed(database, "o-1", "o-3")
        await until_drained(kafka, billing.group)
    letters = await kafka.records(billing.letters)
    reasons = [value for letter in letters for name, value in letter.headers if name == "dlq.error-message"]
    command = re.search(r'make dlq DO="(redrive --group billing [^"]+)"', DOC)
    assert command
    async with billing.working(*example.both):
        arguments = command[1].replace("billing", billing.group).split()
        with process(kafka.broker, "dlq", *arguments) as running:
            sent_back = await asyncio.to_thread(ended, running)
        await until_billed(database, "o-2")

    assert [letter.key for letter in letters] == [b"o-2"]
    assert reasons == [b"ce_type 'order.placed.v2' is not known here"]
    assert sent_back.exit_code == 0, sent_back.err
    assert [order for order, _ in billed(database)] == ["o-1", "o-3", "o-2"]


async def test_a_version_removed_too_early_makes_dead_letters_of_what_is_left_of_it(
    kafka: Kafka, database: Database, billing: Service
) -> None:
    topic = await kafka.topic()
    example = Example.on(topic)
    await kafka.put(topic, example.written("o-1", 1), example.written("o-2", 2))
    async with billing.working(*example.new):
        await until_billed(database, "o-2")
        await until_drained(kafka, billing.group)

    assert [letter.key for letter in await kafka.records(billing.letters)] == [b"o-1"]
