"""How much an outbox takes: while the broker is away it grows, and must not fill the disk."""

import logging
import shutil
import threading
from pathlib import Path
from time import monotonic

from sqlalchemy import Connection, func, select

from eventbus.database.tables import outbox
from eventbus.errors import Unavailable

log = logging.getLogger(__name__)

MAX_ROWS = 100_000
MIN_FREE_DISK_MB = 200
LOOK_EVERY_S = 1.0


class OutboxFull(Unavailable):
    """Nothing was stored: the outbox takes no event at present, and will when older ones are published."""


class OutboxLimit:
    """Bound the rows of an outbox, and the space that SQLite leaves free on its disk.

    Looks once a second at most, whatever the number of threads. What all processes store within that second is the
    overshoot: about 2,000 rows for each of them. A server such as PostgreSQL watches over its own disk.
    """

    def __init__(self, *, max_rows: int = MAX_ROWS, min_free_disk_mb: int = MIN_FREE_DISK_MB) -> None:
        self._max_rows = max_rows
        self._min_free_disk_mb = min_free_disk_mb
        self._lock = threading.Lock()
        self._look_at = 0.0
        self._full: str | None = None

    def check(self, connection: Connection) -> None:
        """Raise OutboxFull, with the reason, if the outbox takes nothing at present. Only reads."""
        with self._lock:
            if monotonic() >= self._look_at:
                self._note(self._reason(connection))
                self._look_at = monotonic() + LOOK_EVERY_S
            full = self._full
        if full:
            raise OutboxFull(full)

    def _reason(self, connection: Connection) -> str | None:
        rows = select(outbox.c.id).limit(self._max_rows).subquery()
        if connection.execute(select(func.count()).select_from(rows)).scalar_one() >= self._max_rows:
            return f"{self._max_rows} events or more wait in the outbox to be published"
        if connection.dialect.name == "sqlite":
            free = shutil.disk_usage(Path(connection.engine.url.database or "").absolute().parent).free
            if free < self._min_free_disk_mb * 1024 * 1024:
                return f"less than {self._min_free_disk_mb} MB of disk are free"
        return None

    def _note(self, reason: str | None) -> None:
        # Once, not for each event that is refused: a log may be on the same disk.
        if reason and not self._full:
            log.error("the outbox takes no more", extra={"reason": reason})
        elif self._full and not reason:
            log.info("the outbox takes events again")
        self._full = reason
