"""The rows of the outbox that are still to be published, as the one active relay sees them."""

import logging
import threading
from collections.abc import Collection, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from sqlalchemy import delete, select, update

from eventbus.database.bell import Waiting
from eventbus.database.database import Database
from eventbus.database.tables import NO_KEY, outbox

log = logging.getLogger(__name__)

BETWEEN_LONG_LOOKS_S = 0.5
# Which takes PostgreSQL some 10 ms.
TIDY_AFTER = 5000


class Row(NamedTuple):
    """One stored event, as it goes to Kafka; one without a key to any partition."""

    id: int
    event_id: str
    topic: str
    key: bytes | None
    value: bytes
    headers: str
    trace_context: str


class Pending:
    """Read rows, each once until it was forgotten or parked; each method but `release` blocks.

    *connection* is to poll by; the bell of the database ends a wait between two polls. Always the lowest ids are looked
    at, never only those behind the last one: on PostgreSQL a lower id may be committed after a higher one was
    published, and would be passed over, or come after a later row of its key.
    """

    def __init__(self, database: Database, connection: Any) -> None:
        self._database = database
        self._connection = connection
        self._other_topics = threading.Event()
        self._reading = threading.Lock()
        # The events whose rows were read, until these are gone.
        self._held: set[str] = set()
        self._forgotten = 0
        self._released = False
        self._look_again = False

    def next_rows(self, limit: int, without: Collection[str] = ()) -> list[Row]:
        """Return the first rows that were not read before, at most *limit*, as soon as there are any, but none of the
        topics *without*.

        None once it was released, or is to look again for other topics.
        """
        # To find what is behind the rows of a topic that waits, all of them are passed over: not for each new row.
        if without:
            return self._wait_for(self._other_topics, BETWEEN_LONG_LOOKS_S, limit, without)
        with self._database.bell.listening() as woken:
            return self._wait_for(woken, self._database.poll_s, limit, without)

    def _wait_for(self, woken: Waiting, pause: float, limit: int, without: Collection[str]) -> list[Row]:
        while True:
            woken.clear()
            if self._look_again:
                self._look_again = False
                return []
            with self._reading:
                if self._released:
                    return []
                if rows := self._look(limit, without):
                    return rows
            woken.wait(pause)

    def _look(self, limit: int, without: Collection[str]) -> list[Row]:
        """Find the new ones by their ids first: a row may be large, and those that were read stay until forgotten."""
        others = f"AND topic NOT IN ({', '.join([self._database.marker] * len(without))})" if without else ""
        # In whole hundreds, so that there are few statements for PostgreSQL to prepare.
        at_most = -(-(len(self._held) + limit) // 100) * 100
        cursor = self._connection.cursor()
        cursor.execute(_FIRST.format(others=others, limit=at_most), tuple(without))
        new = [row for row in cursor.fetchall() if row[1] not in self._held][:limit]
        if not new:
            return []
        first, last = new[0][0], new[-1][0]
        cursor.execute(_ROWS.format(others=others, marker=self._database.marker), (first, last, *without))
        # Not what was committed between the two looks: an earlier row of its key may have been, too.
        chosen = {event_id for _, event_id in new}
        rows = [_row(*row) for row in cursor.fetchall() if row[1] in chosen]
        self._held.update(row.event_id for row in rows)
        return rows

    def look_again(self) -> None:
        """End the wait of the thread in `next_rows`: the topics that it leaves out have changed."""
        self._look_again = True
        self._end_wait()

    def release(self) -> None:
        """End the wait of the thread in `next_rows`: no process can end before it."""
        self._released = True
        self._end_wait()

    def _end_wait(self) -> None:
        self._database.bell.ring()
        self._other_topics.set()

    def close(self) -> None:
        """Release the thread in `next_rows`; when this returns, it does not use the connection any more."""
        self.release()
        with self._reading:
            pass

    def forget(self, event_ids: Sequence[str]) -> None:
        """Delete rows that were published."""
        # What a power cut brings back is sent again, as after a crash.
        with self._database.write(synced=False) as connection:
            # By event id: a row id is only unique while its row exists in databases that reuse them.
            connection.execute(delete(outbox).where(outbox.c.event_id.in_(event_ids)))
        self._let_go(event_ids)
        self._forgotten += len(event_ids)
        if self._forgotten >= TIDY_AFTER and self._database.lock_file is None:
            self._forgotten = 0
            self._tidy()

    def _tidy(self) -> None:
        """Have PostgreSQL remove what was deleted: each look passes over that, and after some ten thousand rows reads
        the whole table. Its own autovacuum comes once a minute at most."""
        try:
            with closing(self._database.polling_connection()) as connection:
                connection.cursor().execute(_VACUUM)
        except self._database.errors as error:  # the next one will do
            log.warning("the outbox is not vacuumed", exc_info=error)

    def park(self, row: Row, reason: str) -> None:
        """Set a row aside that can never be sent, so that those behind it can."""
        with self._database.write() as connection:
            connection.execute(update(outbox).where(outbox.c.event_id == row.event_id).values(parked_because=reason))
        self._let_go([row.event_id])

    def _let_go(self, event_ids: Sequence[str]) -> None:
        # Not in the middle of a look, which may have seen these rows before they were gone.
        with self._reading:
            self._held.difference_update(event_ids)

    def parked(self) -> Sequence[str]:
        """Return the event ids of all rows that were set aside."""
        with self._database.read() as connection:
            return connection.scalars(select(outbox.c.event_id).where(outbox.c.parked_because.is_not(None))).all()


def _row(id: int, event_id: str, topic: str, key: bytes, *content: Any) -> Row:
    return Row(id, event_id, topic, None if key == NO_KEY else key, *content)


# Plain SQL on a driver connection: on SQLite a poll costs 6 microseconds, through the engine 20 times that.
_FIRST = "SELECT id, event_id FROM outbox WHERE parked_because IS NULL {others} ORDER BY id LIMIT {limit:d}"
_ROWS = """
    SELECT id, event_id, topic, key, value, headers, trace_context FROM outbox
    WHERE id BETWEEN {marker} AND {marker} AND parked_because IS NULL {others} ORDER BY id
"""
# Nobody waits for it, and it waits for nobody; a table that keeps its pages is not locked to give them back.
_VACUUM = "VACUUM (SKIP_LOCKED, INDEX_CLEANUP ON, TRUNCATE OFF) outbox"
