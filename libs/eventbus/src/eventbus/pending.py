"""The rows of the outbox that are still to be published, as the one active relay sees them."""

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select, update

from eventbus.database import Database
from eventbus.tables import NO_KEY, outbox

BETWEEN_LONG_LOOKS_S = 0.5


@dataclass(frozen=True)
class Row:
    """One stored event, as it goes to Kafka; one without a key to any partition."""

    id: int
    event_id: str
    topic: str
    key: bytes | None
    value: bytes
    headers: str
    trace_context: str


class Pending:
    """Wait for rows, and forget or park those that were dealt with; each method but `release` blocks.

    *connection* is to poll by, *wake* ends a wait between two polls. Always the lowest ids are read, never those behind
    the last one: on PostgreSQL a lower id may be committed after a higher one was published, and would be passed over.
    """

    def __init__(self, database: Database, connection: Any, wake: threading.Event) -> None:
        self._database = database
        self._connection = connection
        self._wake = wake
        self._other_topics = threading.Event()
        self._reading = threading.Lock()
        self._released = False
        self._look_again = False

    def next_rows(self, limit: int, without: Collection[str] = ()) -> list[Row]:
        """Return the first *limit* rows as soon as there are any, but none of the topics *without*.

        None once it was released, or is to look again for other topics.
        """
        # To find what is behind the rows of a topic that waits, all of them are passed over: not for each new row.
        pause, woken = self._database.poll_s, self._wake
        if without:
            pause, woken = BETWEEN_LONG_LOOKS_S, self._other_topics
        others = f"AND topic NOT IN ({', '.join([self._database.marker] * len(without))})" if without else ""
        query = _NEXT_ROWS.format(others=others, limit=limit)
        while True:
            woken.clear()
            if self._look_again:
                self._look_again = False
                return []
            with self._reading:
                if self._released:
                    return []
                cursor = self._connection.cursor()
                cursor.execute(query, tuple(without))
                rows = cursor.fetchall()
            if rows:
                return [_row(*row) for row in rows]
            woken.wait(pause)

    def look_again(self) -> None:
        """End the wait of the thread in `next_rows`: the topics that it leaves out have changed."""
        self._look_again = True
        self._end_wait()

    def release(self) -> None:
        """End the wait of the thread in `next_rows`: no process can end before it."""
        self._released = True
        self._end_wait()

    def _end_wait(self) -> None:
        self._wake.set()
        self._other_topics.set()

    def close(self) -> None:
        """Release the thread in `next_rows`; when this returns, it does not use the connection any more."""
        self.release()
        with self._reading:
            pass

    def forget(self, event_ids: Sequence[str]) -> None:
        """Delete rows that were published."""
        with self._database.write() as connection:
            # By event id: a row id is only unique while its row exists in databases that reuse them.
            connection.execute(delete(outbox).where(outbox.c.event_id.in_(event_ids)))

    def park(self, row: Row, reason: str) -> None:
        """Set a row aside that can never be sent, so that those behind it can."""
        with self._database.write() as connection:
            connection.execute(update(outbox).where(outbox.c.event_id == row.event_id).values(parked_because=reason))

    def parked(self) -> Sequence[str]:
        """Return the event ids of all rows that were set aside."""
        with self._database.read() as connection:
            return connection.scalars(select(outbox.c.event_id).where(outbox.c.parked_because.is_not(None))).all()


def _row(id: int, event_id: str, topic: str, key: bytes, *content: Any) -> Row:
    return Row(id, event_id, topic, None if key == NO_KEY else key, *content)


# Plain SQL on a driver connection: on SQLite a poll costs 6 microseconds, through the engine 20 times that.
_NEXT_ROWS = """
    SELECT id, event_id, topic, key, value, headers, trace_context FROM outbox
    WHERE parked_because IS NULL {others} ORDER BY id LIMIT {limit:d}
"""
