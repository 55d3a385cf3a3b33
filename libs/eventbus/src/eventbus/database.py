"""A service's database, used synchronously: the web in the request's thread, a worker by ``asyncio.to_thread``."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

from sqlalchemy import Connection, Engine, MetaData, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from eventbus import tables

# SQLite has one writer. Waiting for it in the pool's queue is fair; in SQLite's busy loop 16 threads starve each other.
_WRITER_POOL = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 15}
_BUSY_TIMEOUT_MS = 15_000
_ASK_AGAIN_AFTER_S = 0.01


class Database:
    """One SQLite database with a writing and a reading side.

    No connection is opened before the first use, so an instance may be made before a fork. Raises ValueError for a
    *url* that is not ``sqlite:///path``.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise ValueError("not a database URL: write sqlite:///path/to/file.db") from None
        if parsed.drivername != "sqlite" or not parsed.database or parsed.database == ":memory:":
            raise ValueError("only SQLite is supported: write sqlite:///path/to/file.db")
        self.path = parsed.database
        self._writer = _engine(url, begin="BEGIN IMMEDIATE", **_WRITER_POOL)
        self._reader = _engine(url, begin="BEGIN")

    def create(self, *metadata: MetaData) -> None:
        """Create the tables of *metadata* and the bus's own where they are missing."""
        with self.write() as connection:
            for each in (tables.metadata, *metadata):
                each.create_all(connection)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Hold the one writing transaction: committed (and synced to disk) at the end, rolled back by an exception.

        Raises sqlalchemy.exc.OperationalError or sqlalchemy.exc.TimeoutError where the lock cannot be had in 15 s.
        """
        with self._writer.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Hold a reading transaction: one snapshot, which no writer delays."""
        with self._reader.begin() as connection:
            yield connection

    def raw_reader(self) -> Any:
        """Return a driver connection in autocommit mode for cheap polling; the caller closes it."""
        return self._reader.raw_connection()

    def close(self) -> None:
        """Close all connections."""
        self._writer.dispose()
        self._reader.dispose()


def _engine(url: str, *, begin: str, **pool: Any) -> Engine:
    # Error texts travel in logs and spans: hide_parameters keeps customers' data out of them.
    engine = create_engine(url, hide_parameters=True, connect_args={"check_same_thread": False}, **pool)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # no implicit BEGIN by the driver: the "begin" hook below decides
        _set_wal(connection)
        for pragma in (
            "synchronous=FULL",
            f"busy_timeout={_BUSY_TIMEOUT_MS}",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _set_wal(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on, however many processes do so on a new file at the same moment.

    Each of them reads the file first and then wants it alone. SQLite, which sees that waiting might be a deadlock, does
    not wait for its busy timeout there but says "database is locked" at once (sqlite.org/c3ref/busy_handler.html).
    """
    deadline = monotonic() + _BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or monotonic() > deadline:
                raise
            sleep(_ASK_AGAIN_AFTER_S)
        else:
            return
