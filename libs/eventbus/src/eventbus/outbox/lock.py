"""One relay an outbox: others stand by on a lock that dies with its holder."""

import asyncio
import fcntl
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from eventbus.database.database import Database
from eventbus.process.patience import Patience

log = logging.getLogger(__name__)

STANDBY_POLL_S = 0.5


class FileLock:
    """A lock between the processes of one host."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w")

    def take(self) -> bool:
        """Take the lock, or tell that somebody has it."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        """Give the lock back."""
        self._file.close()


class AdvisoryLock:
    """A lock that PostgreSQL keeps as long as *connection* lives, on the outbox that this connection sees."""

    def __init__(self, connection: Any) -> None:
        self._cursor = connection.cursor()

    def take(self) -> bool:
        """Take the lock, or tell that somebody has it."""
        (taken,) = self._cursor.execute(_TRY_LOCK).fetchone()
        return bool(taken)

    def close(self) -> None:
        """Do nothing: the lock goes with its connection."""


@asynccontextmanager
async def only_one(database: Database, patience: Patience) -> AsyncIterator[Any]:
    """Hold the lock on the outbox of *database*, after waiting for whoever has it; yield a connection to poll it by.

    A lock that can be lost, PostgreSQL's, is lost together with this connection. Raises Stopped while it waits, and the
    database's errors.
    """
    connection = await asyncio.to_thread(database.polling_connection)
    path = database.lock_file
    with closing(connection), closing(FileLock(path) if path else AdvisoryLock(connection)) as lock:
        standing_by = False
        while not await asyncio.to_thread(lock.take):
            if not standing_by:
                log.info("standing by: another relay has the outbox")
                standing_by = True
            patience.status.fine("relay")
            await patience.pause(STANDBY_POLL_S)
        log.info("relaying")
        yield connection


# Two numbers, so that no other program's lock is hit by chance: one for the purpose, one for the table.
_TRY_LOCK = "SELECT pg_try_advisory_lock(4735811, 'outbox'::regclass::oid::int)"
