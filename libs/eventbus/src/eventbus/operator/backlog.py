"""The command `eventbus outbox`: what waits to be published, and what was set aside because it cannot be."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import func, make_url, select, update

from eventbus.database.database import Database
from eventbus.database.tables import outbox
from eventbus.settings import DATABASE_URL, read_settings

_PARKED = outbox.c.parked_because.is_not(None)


@dataclass(frozen=True)
class Parked:
    """A row that could never be sent, and why."""

    event_id: str
    topic: str
    reason: str


@dataclass(frozen=True)
class Backlog:
    """What an outbox holds: *waiting* rows, the first of them stored at *since* (RFC 3339)."""

    waiting: int
    since: str | None
    parked: Sequence[Parked]


def look(database: Database) -> Backlog:
    """Return what the outbox of *database* holds."""
    with database.read() as connection:
        waiting = connection.execute(select(func.count()).select_from(outbox).where(~_PARKED)).scalar_one()
        oldest = select(outbox.c.headers).where(~_PARKED).order_by(outbox.c.id).limit(1)
        headers = connection.execute(oldest).scalar_one_or_none()
        parked = connection.execute(select(outbox.c.event_id, outbox.c.topic, outbox.c.parked_because).where(_PARKED))
        found = [Parked(*row) for row in parked]
    return Backlog(waiting, dict(json.loads(headers))["ce_time"] if headers else None, found)


def release(database: Database) -> int:
    """Have all parked rows sent again, in their order and before younger ones; return how many there were."""
    with database.write() as connection:
        return connection.execute(update(outbox).where(_PARKED).values(parked_because=None)).rowcount


class Settings(BaseSettings):
    """What the command reads from the environment."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    database_url: str = Field(pattern=DATABASE_URL, description="the service's database, like sqlite:///orders.db")


@click.command(epilog="DATABASE_URL names the service's database, like sqlite:///.stack/data/orders.db.")
@click.option("--release", "releasing", is_flag=True, help="Have the parked events sent again: their cause is mended.")
def show(releasing: bool) -> None:
    """Show what waits in a service's outbox, and what is parked there because it cannot be sent."""
    database = _database(read_settings(Settings).database_url)
    try:
        released = release(database) if releasing else None
        backlog = look(database)
    except database.errors as error:
        cause = str(getattr(error, "orig", error)).splitlines()[0]
        raise click.ClickException(f"there is no outbox to look into: {cause}") from None
    finally:
        database.close()
    since = f", the first since {backlog.since[:19]}" if backlog.since else ""
    click.echo(f"{backlog.waiting} waiting{since}; {len(backlog.parked)} parked")
    for each in backlog.parked:
        click.echo(f"parked: event {each.event_id} for topic {each.topic}: {each.reason}")
    if released is not None:
        click.echo(f"{released} released")


def _database(url: str) -> Database:
    file = make_url(url)
    # SQLite would create what is only misspelled.
    if file.drivername == "sqlite" and not Path(file.database or "").is_file():
        raise click.ClickException(f"there is no file {file.database}")
    return Database(url)
