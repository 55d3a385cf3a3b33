"""Configuration from the environment, read once."""

import sys
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from eventbus.database.database import Database
from eventbus.database.schema import Schema
from eventbus.outbox.limits import MAX_ROWS, MIN_FREE_DISK_MB, OutboxLimit
from eventbus.process import logs

S = TypeVar("S", bound=BaseSettings)

# So many effects a crash can repeat: they have happened and are not remembered.
EFFECTS_AT_ONCE = 16

DATABASE_URL = r"^(sqlite:///|postgresql\+psycopg://[^/]*/).+"


class DatabaseSettings(BaseSettings):
    """The variables of whoever uses a service's database."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    database_url: str = Field(
        pattern=DATABASE_URL,
        description="where this service keeps its data, like sqlite:////var/lib/shop/shop.db "
        "or postgresql+psycopg://user:password@host/name",
    )
    migrate: Literal["yes", "no"] = Field(
        default="yes", description="no starts only if the database is up to date, yes brings it up to date"
    )

    def open_database(self, *schemas: Schema) -> Database:
        """Return the database, which has the bus's own tables and those of *schemas*; see `Database.upgrade`.

        Logs are JSON lines from here on.
        """
        logs.configure()
        database = Database(self.database_url)
        database.upgrade(*schemas, only_check=self.migrate == "no")
        return database


class OutboxSettings(DatabaseSettings):
    """The variables of whoever writes to an outbox."""

    outbox_max_rows: int = Field(
        default=MAX_ROWS, ge=1, description=f"how many events may wait to be published, like {MAX_ROWS}"
    )
    min_free_disk_mb: int = Field(
        default=MIN_FREE_DISK_MB,
        ge=0,
        description=f"MB of the disk that SQLite leaves free, like {MIN_FREE_DISK_MB}",
    )

    def outbox_limit(self) -> OutboxLimit:
        """Make the limit that these variables set; a process needs one."""
        return OutboxLimit(max_rows=self.outbox_max_rows, min_free_disk_mb=self.min_free_disk_mb)


class WorkerSettings(OutboxSettings):
    """The variables that every worker reads; a service adds its own."""

    kafka_bootstrap_servers: str = Field(pattern=r"^[^:]+:\d+", description="brokers, like 127.0.0.1:9092")
    instance_id: str = Field(min_length=1, description="a name that no other living worker has, like billing-1")
    status_file: Path = Field(description="the file that tells whether this worker is ready")
    retry_delay_s: float = Field(
        default=5, gt=0, le=86_400, description="seconds until a message that failed is tried again, like 5"
    )
    retry_tries: int = Field(
        default=5, ge=1, le=1000, description="how often a message is tried before it is a dead letter, like 5"
    )
    retry_order: Literal["none", "key"] = Field(
        default="none", description="key lets a key's messages wait behind one that is to be tried again, none does not"
    )
    effects_at_once: int = Field(
        default=EFFECTS_AT_ONCE,
        ge=1,
        le=1000,
        description=f"how many e-mails, or other effects, a crash may repeat at most, like {EFFECTS_AT_ONCE}",
    )
    worker_slots: int = Field(
        default=1, ge=1, le=32, description="how many messages are handled at a time, each key's in order, like 1"
    )


def read_settings(settings: type[S]) -> S:
    """Return *settings* as the environment has them, frozen.

    If a variable is missing or wrong, ends the process (exit code 2) with one line for each that names it and says
    what belongs there.
    """
    try:
        return settings()
    except ValidationError as error:
        for each in error.errors():
            name = str(each["loc"][0])
            fault = "is missing" if each["type"] == "missing" else f"is wrong ({each['msg']})"
            expected = settings.model_fields[name].description
            print(f"{name.upper()} {fault}: {expected}", file=sys.stderr)  # noqa: T201 logs are not set up yet
        raise SystemExit(2) from None
