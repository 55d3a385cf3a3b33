"""A service's database, used synchronously: the web in the request's thread, a worker by ``asyncio.to_thread``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, make_url, text
from sqlalchemy.exc import ArgumentError, OperationalError, SQLAlchemyError

from eventbus.database import postgresql, sqlite
from eventbus.database.bell import Bell, Pipe
from eventbus.database.group_commit import GroupCommit
from eventbus.database.schema import Schema, SchemaError, upgrade

T = TypeVar("T")

_EXPECTED = "write sqlite:///path/to/file.db or postgresql+psycopg://user:password@host/name"
# What a connection's `info` has if a row was added to the outbox.
ADDED = "eventbus.added"
_ONLY_READS = text("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean")


class Database:
    """A database with a writing and a reading side: a SQLite file, or PostgreSQL for a service on several hosts.

    No connection is opened before the first use, so an instance may be made before a fork. Raises ValueError for a
    *url* of another kind. Everything that waits for the database is bounded: see sqlite.py and postgresql.py.
    """

    def __init__(self, url: str) -> None:
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise ValueError(f"not a database URL: {_EXPECTED}") from None
        if not parsed.database or parsed.database == ":memory:":
            raise ValueError(f"this database URL names no database: {_EXPECTED}")
        # By which the processes of a host exclude each other; None if the database itself can.
        self.lock_file: Path | None = None
        if parsed.drivername == "sqlite":
            self.lock_file = Path(f"{parsed.database}.relay")
            self._writer, self._reader = sqlite.writer(url), sqlite.reader(url)
            self._unsynced = sqlite.unsynced(self._writer)
            self._poller = self._reader
            self.bell: Bell = Pipe(Path(f"{parsed.database}.bell"))
            # If the process was killed before it could ring.
            self.poll_s = 0.5
            self.marker = "?"  # of a parameter, on a polling connection
        elif parsed.drivername == "postgresql+psycopg":
            self._writer = postgresql.writer(parsed)
            self._reader = postgresql.reader(self._writer)
            self._unsynced = postgresql.unsynced(self._writer)
            self._poller = postgresql.poller(parsed)
            self.bell = Bell()
            # If another host has stored a row.
            self.poll_s = 0.02
            self.marker = "%s"
        else:
            raise ValueError(f"{parsed.drivername!r} is no database that is supported: {_EXPECTED}")
        self.errors: tuple[type[Exception], ...] = (SQLAlchemyError, self._writer.dialect.loaded_dbapi.Error)
        self._group = GroupCommit(self.write, sqlite.WRITER_TIMEOUT_S, self.errors) if self.has_one_writer else None

    def upgrade(self, *schemas: Schema, only_check: bool = False) -> None:
        """Bring the database up to date with the bus's own schema and *schemas*, whoever else does so too, or
        *only_check* whether it is.

        A process begins with this. If the database cannot be used or does not fit, it ends (exit code 1) with a line
        that says why; nothing is changed then.
        """
        try:
            with self.read() if only_check else self.write() as connection:
                upgrade(connection, schemas, only_check=only_check)
        except SchemaError as error:
            raise SystemExit(f"DATABASE_URL: {error}") from error
        except OperationalError as error:
            raise SystemExit(f"DATABASE_URL: the database cannot be used: {_first_line(error)}") from error

    @contextmanager
    def write(self, *, synced: bool = True) -> Iterator[Connection]:
        """Hold a writing transaction: committed (and synced to disk) at the end, rolled back by an exception.

        One that is not *synced* takes a fraction of the time. No crash of a process undoes it, but a power cut may, as
        long as nothing synced was written after it.

        On SQLite there is one at a time. On PostgreSQL there are many, each of which sees what others have committed: a
        row that a decision rests on is inserted or updated first, which makes the others wait. Raises
        sqlalchemy.exc.OperationalError or sqlalchemy.exc.TimeoutError where a lock cannot be had in 15 s. A relay hears
        at once of what was added to the outbox.
        """
        with (self._writer if synced else self._unsynced).begin() as connection:
            about = connection.info
            about.pop(ADDED, None)
            yield connection
        if about.pop(ADDED, False):
            self.bell.ring()

    def commit(self, work: Callable[[Connection], T]) -> T:
        """Return what *work* returns, once all that it has written is committed; raise what it raises.

        On SQLite, threads that come while others write share one transaction, as group_commit.py says; so *work* may be
        run by another thread and a second time, has no effect but on the database, and lets the database's errors pass.
        On PostgreSQL each has a transaction of its own, as in `write`. Raises what `write` does.
        """
        if self._group is not None:
            return self._group.run(work)
        with self.write() as connection:
            return work(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Hold a reading transaction: one snapshot, which no writer delays."""
        with self._reader.begin() as connection:
            yield connection

    def can_be_written(self) -> bool:
        """Begin a writing transaction on a connection of its own, without an effect, and say whether it may write.

        Raises one of `errors` if there is none to be had.
        """
        if self.lock_file is not None:
            with self._writer.begin():  # which takes the write lock
                return True
        with self._poller.connect() as connection:
            return not connection.execute(_ONLY_READS).scalar_one()

    def polling_connection(self) -> Any:
        """Open a driver's connection in autocommit mode for cheap polling every `poll_s` seconds; the caller closes it.

        It and what is read by it raise one of `errors`, as everything here.
        """
        return self._poller.raw_connection()

    @property
    def has_one_writer(self) -> bool:
        """Tell whether there is one writing transaction at a time."""
        return self.lock_file is not None

    def close(self) -> None:
        """Close all connections."""
        for engine in (self._writer, self._reader, self._poller):
            engine.dispose()


def _first_line(error: OperationalError) -> str:
    return next(iter(str(error.orig).splitlines()), "no reason given")
