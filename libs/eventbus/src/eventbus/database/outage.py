"""Whose fault an error of the database is: a message's own, an outage's, or that of tables that do not fit."""

import re
import sqlite3
from enum import Enum

import psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from eventbus.database.database import Database
from eventbus.errors import Unavailable, describe


class WrongTables(Exception):
    """The database lacks a table or a column that the program needs, or keeps the program from it.

    Waiting does not help, nor is a message to blame: the process ends.
    """


class Cause(Enum):
    """What made a handler fail."""

    MESSAGE = "its message, or the handler itself"
    OUTAGE = "something that every message needs is away"
    BROKEN_OFF = "its connection was lost, and a new one works"


# What only an outage raises, or others who are in the way: https://sqlite.org/rescode.html
_OUTAGES_OF_SQLITE = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_READONLY,
}
# The same, as the start of a SQLSTATE: https://www.postgresql.org/docs/16/errcodes-appendix.html
_OUTAGES_OF_POSTGRESQL = (
    "08",  # no connection
    "40001",  # of two transactions, this one was to give way
    "40P01",  # the same: a deadlock
    "53",  # no disk, no memory, too many connections
    "55P03",  # a lock that somebody keeps
    "57P",  # the server stops or starts
    "58",  # the server's disk fails
)
_WRONG_TABLES_OF_SQLITE = re.compile(r"no such (table|column)|has no column named")
_WRONG_TABLES_OF_POSTGRESQL = (
    "3F000",  # no such schema
    "42501",  # not allowed
    "42703",  # no such column
    "42P01",  # no such table
)


def cause_of(error: Exception, database: Database) -> Cause:
    """Return why a handler failed with *error*, which is Unavailable or one of the database's `errors`. Blocks.

    What a message alone can cause is an outage only if a transaction of its own cannot be had either. Raises
    WrongTables.
    """
    if isinstance(error, (Unavailable, NoConnection)):
        return Cause.OUTAGE
    of_driver = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(of_driver, sqlite3.Error):
        # None of an error that the driver itself has raised.
        code = getattr(of_driver, "sqlite_errorcode", None)
        outage = code is not None and code & 0xFF in _OUTAGES_OF_SQLITE
        wrong_tables, broken_off = _WRONG_TABLES_OF_SQLITE.search(str(of_driver)) is not None, False
    else:
        state = getattr(of_driver, "sqlstate", None) or ""
        outage = state.startswith(_OUTAGES_OF_POSTGRESQL)
        wrong_tables = state in _WRONG_TABLES_OF_POSTGRESQL
        broken_off = isinstance(of_driver, psycopg.OperationalError) and not state
    if wrong_tables:
        raise WrongTables(describe(error)) from error
    if outage or not _works(database):
        return Cause.OUTAGE
    return Cause.BROKEN_OFF if broken_off else Cause.MESSAGE


def is_message_fault(error: Exception, database: Database) -> bool:
    """Tell whether an error of *database* would come again, however often the same is tried. Blocks."""
    try:
        return cause_of(error, database) is Cause.MESSAGE
    except WrongTables:  # somebody has to mend them, and then it works
        return False


def _works(database: Database) -> bool:
    try:
        return database.can_be_written()
    except database.errors:
        return False
