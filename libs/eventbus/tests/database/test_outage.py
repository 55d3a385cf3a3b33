"""Whose fault an error is: what a handler does to the database, and what happens to the database meanwhile."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from eventbus import Database, Unavailable
from eventbus.database.outage import Cause, WrongTables, cause_of
from sqlalchemy import Connection, bindparam, insert, select, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from libs.eventbus.tests.support import effects


class Unknown:
    """A value that no driver can bind."""


def bind(value: object) -> Callable[[Connection], object]:
    return lambda connection: connection.execute(text("SELECT :value").bindparams(bindparam("value", value)))


def go_on_after_an_integrity_error(connection: Connection) -> None:
    for _ in range(3):
        try:
            connection.execute(insert(effects).values(id=1, order_id="o-1"))
        except DBAPIError:
            connection.execute(select(effects))  # PostgreSQL: the transaction is aborted
    connection.execute(insert(effects).values(id=1, order_id="o-1"))


def use_the_driver(connection: Connection) -> None:
    driver = connection.connection.driver_connection
    assert driver is not None
    driver.execute("this is no SQL")


THEIR_OWN: dict[str, Callable[[Connection], object]] = {
    "a value of a class that the driver does not know": bind(Unknown()),
    "a tuple of such values": bind((Unknown(), {})),
    "going on after an integrity error": go_on_after_an_integrity_error,
    "no SQL": lambda connection: connection.execute(text("this is no SQL")),
    "no SQL, past SQLAlchemy": use_the_driver,
    "a missing value": lambda connection: connection.execute(insert(effects).values(order_id=None)),
    "a function that is not there": lambda connection: connection.execute(text("SELECT nothing('')")),
}


def error_of(database: Database, action: Callable[[Connection], object]) -> Exception:
    with pytest.raises(database.errors) as caught, database.write() as connection:
        action(connection)
    return caught.value


@pytest.mark.parametrize("action", THEIR_OWN.values(), ids=THEIR_OWN)
def test_what_a_message_alone_can_cause_is_its_own_while_the_database_works(
    database: Database, action: Callable[[Connection], object]
) -> None:
    assert cause_of(error_of(database, action), database) is Cause.MESSAGE


WRONG = {
    "a table": "SELECT 1 FROM parcels",
    "a column": "SELECT colour FROM effects",
    "a column to insert into": "INSERT INTO effects (colour) VALUES ('red')",
    "a column to update": "UPDATE effects SET colour = 'red'",
}


@pytest.mark.parametrize("statement", WRONG.values(), ids=WRONG)
def test_a_table_or_a_column_that_is_missing_is_named(database: Database, statement: str) -> None:
    error = error_of(database, lambda connection: connection.execute(text(statement)))

    with pytest.raises(WrongTables, match=r"colour|parcels"):
        cause_of(error, database)


def test_a_lock_that_somebody_keeps_is_an_outage(
    on_sqlite: Database, on_postgresql: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = {on_sqlite: text("SELECT 1"), on_postgresql: text("LOCK TABLE effects")}
    causes = []
    for database, statement in lock.items():
        with database.write() as holder:
            holder.execute(statement)
            error = wait_briefly_for(database)
        causes.append(cause_of(error, database))

    assert causes == [Cause.OUTAGE, Cause.OUTAGE]


def wait_briefly_for(database: Database) -> Exception:
    """Return the error of who cannot wait for a lock."""
    if database.lock_file is None:
        with pytest.raises(OperationalError) as caught, database.write() as connection:
            connection.execute(text("SET lock_timeout = '50ms'"))
            connection.execute(insert(effects).values(order_id="o-1"))
        return caught.value
    with pytest.raises(sqlite3.OperationalError) as locked, sqlite3.connect(file_of(database), timeout=0.05) as other:
        other.execute("INSERT INTO effects (order_id) VALUES ('o-1')")
    return locked.value


def file_of(database: Database) -> Path:
    assert database.lock_file is not None
    return database.lock_file.with_suffix("")


@contextmanager
def nobody_may_write(database: Database) -> Iterator[None]:
    """Let a server only read."""
    with database.write() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar_one()
    change = f'ALTER DATABASE "{name}" SET default_transaction_read_only = '
    with database.write() as connection:
        connection.execute(text(change + "on"))
    try:
        yield
    finally:
        with database.write() as connection:
            connection.execute(text("SET TRANSACTION READ WRITE"))
            connection.execute(text(change + "off"))


def test_a_server_that_only_reads_is_an_outage(on_postgresql: Database) -> None:
    with nobody_may_write(on_postgresql):
        on_postgresql.close()
        error = error_of(on_postgresql, lambda each: each.execute(insert(effects).values(order_id="o-1")))
        cause = cause_of(error, on_postgresql)

    assert cause is Cause.OUTAGE


def test_who_writes_in_a_reading_transaction_is_no_outage(on_postgresql: Database) -> None:
    with pytest.raises(DBAPIError, match="read-only") as caught, on_postgresql.read() as connection:
        connection.execute(insert(effects).values(order_id="o-1"))

    assert cause_of(caught.value, on_postgresql) is Cause.MESSAGE


def test_a_connection_that_is_lost_is_an_outage_where_there_is_no_other(unused_tcp_port: int) -> None:
    away = Database(f"postgresql+psycopg://ada:secret@127.0.0.1:{unused_tcp_port}/shop")
    unbindable = InterfaceError("", {}, psycopg.InterfaceError("cannot adapt"))
    with pytest.raises(OperationalError) as refused, away.read():
        pass

    assert cause_of(refused.value, away) is Cause.OUTAGE
    # Whatever it looks like.
    assert cause_of(unbindable, away) is Cause.OUTAGE


def test_a_connection_that_is_lost_while_there_are_others_is_said_to_be_that(on_postgresql: Database) -> None:
    def lose(connection: Connection) -> None:
        assert isinstance(connection.connection.driver_connection, psycopg.Connection)
        os.close(connection.connection.driver_connection.fileno())
        connection.execute(text("SELECT 1"))

    assert cause_of(error_of(on_postgresql, lose), on_postgresql) is Cause.BROKEN_OFF


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    "error",
    [
        Unavailable("the mail server is away"),
        NoConnection("none came free"),
        sqlite_error(sqlite3.SQLITE_FULL),
        sqlite_error(sqlite3.SQLITE_IOERR_WRITE),
        sqlite_error(sqlite3.SQLITE_READONLY_DBMOVED),
        psycopg.errors.DiskFull(),
        psycopg.errors.AdminShutdown(),
        psycopg.errors.CannotConnectNow(),
        psycopg.errors.DeadlockDetected(),
        psycopg.errors.LockNotAvailable(),
    ],
    ids=repr,
)
def test_what_only_an_outage_raises_is_one_without_a_question(on_sqlite: Database, error: Exception) -> None:
    assert cause_of(error, on_sqlite) is Cause.OUTAGE


def test_a_file_that_is_gone_is_an_outage(tmp_path: Path) -> None:
    away = Database(f"sqlite:///{tmp_path}/folder/service.db")
    with pytest.raises(OperationalError) as caught, away.write():
        pass

    assert cause_of(caught.value, away) is Cause.OUTAGE


def test_the_question_has_no_effect(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(effects).values(order_id="o-1"))
    works = database.can_be_written()
    with database.read() as connection:
        rows: list[Any] = list(connection.execute(select(effects.c.order_id)))

    assert works
    assert len(rows) == 1
