"""Deliveries that the process did not survive: by them a message that kills its worker is found out."""

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from aiokafka import TopicPartition
from sqlalchemy import ColumnElement, bindparam, delete, select, text
from sqlalchemy.exc import SQLAlchemyError

from eventbus.database.database import Database
from eventbus.database.tables import unfinished
from eventbus.errors import Poison

log = logging.getLogger(__name__)

# Of each partition, after it was assigned. What killed the last process is among them: it was behind the committed
# offset by no more than a worker handles between two commits (200 ms).
SUSPECTS = 300
# A worker may be killed by accident with the same record in hand, but hardly so often.
FEWEST_DEATHS = 3


class WorkerKilled(Poison):
    """A message's last *deaths* deliveries each ended together with the process that handled it."""

    def __init__(self, deaths: int) -> None:
        super().__init__(
            f"{deaths} deliveries in a row ended with the process: it was killed, ran out of memory, crashed or hung"
        )
        self.deaths = deaths


class Unfinished:
    """Count the deliveries of a record that ended with the process, in the service's database.

    Deliveries are noted before a turn begins and struck off when it is over, so that what is left are sudden ends: no
    failure, no outage, no stop. A record that was in hand at one has its next turn alone, since only one of those in a
    turn is to blame. Noted are only the first records of a partition after it was assigned, since steady work must not
    pay for it: a first death in the midst of that is not counted.
    """

    def __init__(self, database: Database, group: str, *, tries: int) -> None:
        self._database = database
        self._group = group
        self._limit = max(tries, FEWEST_DEATHS)
        # The offsets of the first records of each partition since it was assigned.
        self._first: dict[TopicPartition, set[int]] = {}
        self._noted: set[str] = set()
        self._changing = threading.Lock()

    def assigned(self) -> None:
        """Note that partitions were assigned: their last reader may have died."""
        self._first.clear()

    @contextmanager
    def turn(self, records: Sequence[Any]) -> Iterator[int]:
        """Count what happens inside as one delivery of each record in the turn, if the process does not survive it.

        Yields how many of *records*, from the first on, that may be. Blocks. Raises WorkerKilled for the first one
        where RETRY_TRIES of its deliveries in a row ended with the process (three at least), and what the database
        raises while it is away.
        """
        together = self._note(records)
        try:
            yield together
        except Exception:
            self.strike_off()
            raise
        self.strike_off()

    def strike_off(self) -> None:
        """Do not count the deliveries that go on, if any, whatever becomes of the process. Blocks."""
        with self._changing:
            if not self._noted:
                return
            try:
                with self._database.write(synced=False) as connection:
                    connection.execute(delete(unfinished).where(self._are(self._noted)))
            except SQLAlchemyError as error:  # noted still: the next try of these records is not counted once more
                log.warning("deliveries are not struck off", extra={"records": len(self._noted)}, exc_info=error)
            else:
                self._noted.clear()

    def _note(self, records: Sequence[Any]) -> int:
        suspects = {number: _place(each) for number, each in enumerate(records) if self._is_suspect(each)}
        with self._changing:
            new = {number: place for number, place in suspects.items() if place not in self._noted}
            if not new:
                return len(records)
            # What kills a process, and not the machine, finds it there.
            with self._database.write(synced=False) as connection:
                blamed = set(connection.scalars(select(unfinished.c.record).where(self._are(new.values()))))
                # One that is blamed is alone.
                first = next((number for number, place in new.items() if place in blamed), len(records))
                noting = [place for number, place in new.items() if number < max(first, 1)]
                for place in noting:
                    row = {"consumer": self._group, "record": place, "since": datetime.now(UTC)}
                    deliveries: int = connection.execute(_NOTE, {**row, "most": self._limit + 1}).scalar_one()
                    if deliveries > self._limit:  # until it is set aside for good, nobody may handle it
                        raise WorkerKilled(deliveries - 1)
            self._noted.update(noting)
        return max(first, 1)

    def _is_suspect(self, record: Any) -> bool:
        first = self._first.setdefault(TopicPartition(record.topic, record.partition), set())
        if len(first) < SUSPECTS:
            first.add(record.offset)
        return record.offset in first

    def _are(self, places: Iterable[str]) -> ColumnElement[bool]:
        return (unfinished.c.consumer == self._group) & unfinished.c.record.in_(places)


def _place(record: Any) -> str:
    # With its time, since a topic that is made again begins at the same offsets.
    return f"{record.topic} {record.partition}:{record.offset} {record.timestamp}"


# As text, since SQLAlchemy has this statement for each database only, not for both.
_NOTE = text(
    "INSERT INTO unfinished (consumer, record, deliveries, since) VALUES (:consumer, :record, 1, :since)"
    " ON CONFLICT (consumer, record) DO UPDATE SET since = :since,"
    " deliveries = CASE WHEN unfinished.deliveries < :most THEN unfinished.deliveries + 1 ELSE :most END"
    " RETURNING deliveries"
).bindparams(bindparam("since", type_=unfinished.c.since.type))
