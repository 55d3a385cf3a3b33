"""SQLite, the embedded default: one file, one host, one writer at a time."""

import sqlite3
from time import monotonic, sleep
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event

# SQLite has one writer. Waiting for it in the pool's queue is fair; in SQLite's busy loop 16 threads starve each other.
WRITER_TIMEOUT_S = 15
_WRITER_POOL = {"pool_size": 1, "max_overflow": 0, "pool_timeout": WRITER_TIMEOUT_S}
_BUSY_TIMEOUT_MS = 1000 * WRITER_TIMEOUT_S
_ASK_AGAIN_AFTER_S = 0.01


def writer(url: str) -> Engine:
    """Return an engine whose transactions hold the write lock from their begin: a reader that becomes a writer fails
    at once where another one was quicker."""
    return _engine(url, begin="BEGIN IMMEDIATE", **_WRITER_POOL)


def unsynced(writer: Engine) -> Engine:
    """Return an engine on the same connection whose transactions do not wait for the disk: they hold the write lock for
    a moment only, and are on the disk with the next one that waits (sqlite.org/pragma.html#pragma_synchronous)."""
    return writer.execution_options(synchronous="NORMAL")


def reader(url: str) -> Engine:
    """Return an engine whose transactions read one snapshot and lock nothing."""
    return _engine(url, begin="BEGIN")


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
        wanted = connection.get_execution_options().get("synchronous", "FULL")
        if connection.info.get("synchronous", "FULL") != wanted:
            connection.exec_driver_sql(f"PRAGMA synchronous={wanted}")
            connection.info["synchronous"] = wanted
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
