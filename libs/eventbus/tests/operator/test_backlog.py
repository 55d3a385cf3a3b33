"""What waits in an outbox, as an operator sees it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from eventbus import Database, Outbox
from eventbus.database.tables import outbox
from eventbus.operator.cli import main
from sqlalchemy import select, update

from libs.eventbus.tests.operating import levels_restored
from libs.eventbus.tests.support import Kafka, OrderPlaced, count, eventually, relaying


def command(database_url: str, *arguments: str) -> Result:
    """Run `eventbus outbox`."""
    with levels_restored():
        return CliRunner(env={"DATABASE_URL": database_url}).invoke(main, ["outbox", *arguments])


def store(database: Database, *orders: str, topic: str = "orders") -> list[str]:
    """Put orders into the outbox; return their event ids."""
    with database.write() as connection:
        return [Outbox("shop").add(connection, OrderPlaced.on(topic)(order_id=each)).event_id for each in orders]


def park(database: Database, event_id: str) -> None:
    with database.write() as connection:
        connection.execute(update(outbox).where(outbox.c.event_id == event_id).values(parked_because="TooLarge"))


def test_an_empty_outbox_says_so(database: Database, database_url: str) -> None:
    answer = command(database_url)

    assert (answer.exit_code, answer.output) == (0, "0 waiting; 0 parked\n")


def test_what_waits_is_counted_with_the_time_of_the_first_and_what_is_parked_is_named(
    database: Database, database_url: str
) -> None:
    before = datetime.now(UTC).isoformat()[:19]
    first, _, _ = store(database, "o-1", "o-2", "o-3")
    park(database, first)
    answer = command(database_url)
    after = datetime.now(UTC).isoformat()[:19]

    said, parked = answer.output.splitlines()
    assert said.startswith("2 waiting, the first since ") and said.endswith("; 1 parked")
    assert before <= said.split()[5].rstrip(";") <= after
    assert parked == f"parked: event {first} for topic orders: TooLarge"


async def test_what_is_released_is_sent(database: Database, database_url: str, kafka: Kafka, tmp_path: Path) -> None:
    topic = await kafka.topic()
    event_id, _ = store(database, "o-1", "o-2", topic=topic)
    park(database, event_id)
    async with relaying(database, kafka.broker, tmp_path):
        await eventually("the other is published", lambda: count(database, outbox) == 1)
        answer = command(database_url, "--release")
        await eventually("it is published too", lambda: count(database, outbox) == 0)

    assert answer.output.splitlines()[-1] == "1 released"
    assert sorted(record.key or b"" for record in await kafka.records(topic)) == [b"o-1", b"o-2"]


def test_looking_changes_nothing(database: Database, database_url: str) -> None:
    store(database, "o-1")
    park(database, store(database, "o-2")[0])
    command(database_url)
    with database.read() as connection:
        reasons = list(connection.scalars(select(outbox.c.parked_because).order_by(outbox.c.id)))

    assert reasons == [None, "TooLarge"]


def test_a_database_that_is_not_there_is_said_so_and_not_made(tmp_path: Path) -> None:
    answer = command(f"sqlite:///{tmp_path}/oders.db")

    assert (answer.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert "there is no file" in answer.output


def test_a_database_without_an_outbox_is_said_so(database_url: str) -> None:
    empty = Database(database_url)
    with empty.write():
        """Make the file."""
    empty.close()
    answer = command(database_url)

    assert answer.exit_code == 1
    assert "there is no outbox to look into" in answer.output


@pytest.mark.parametrize("url", ["", "orders.db"])
def test_a_database_url_that_is_none_is_named(url: str) -> None:
    answer = command(url)

    assert answer.exit_code == 2
    assert "DATABASE_URL is" in answer.stderr
