"""Deliveries that the process did not survive: by them a message that kills its worker is found out."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from aiokafka import TopicPartition
from sqlalchemy import ColumnElement, bindparam, delete, text
from sqlalchemy.exc import SQLAlchemyError

from eventbus.database import Database
from eventbus.errors import Poison
from eventbus.tables import unfinished

log = logging.getLogger(__name__)

# Of each partition, after it was assigned. What killed the last process is among them: it was behind the committed
# offset by no more than a worker handles between two commits (200 ms).
SUSPECTS = 100
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

    A delivery is noted before the handler is called and struck off when it returns or raises, so that what is left are
    sudden ends: no failure, no outage, no stop. Noted are only the first records of a partition after it was assigned,
    since steady work must not pay for it: a first death in the midst of that is not counted.
    """

    def __init__(self, database: Database, group: str, *, tries: int) -> None:
        self._database = database
        self._group = group
        self._limit = max(tries, FEWEST_DEATHS)
        # Of each partition the last record, and the number of records, since it was assigned.
        self._read: dict[TopicPartition, tuple[int, int]] = {}
        self._noted: str | None = None
        self._changing = threading.Lock()

    def assigned(self) -> None:
        """Note that partitions were assigned: their last reader may have died."""
        self._read.clear()

    @contextmanager
    def delivery(self, record: Any) -> Iterator[None]:
        """Count what happens inside as one delivery of *record*, if the process does not survive it. Blocks.

        Raises WorkerKilled where that was so RETRY_TRIES times in a row (three times at least), and what the database
        raises while it is away.
        """
        if not self._is_suspect(record):
            yield
            return
        # With its time, since a topic that is made again begins at the same offsets.
        place = f"{record.topic} {record.partition}:{record.offset} {record.timestamp}"
        self._note(place)
        try:
            yield
        except Exception:
            self.strike_off()
            raise
        self.strike_off()

    def strike_off(self) -> None:
        """Do not count the delivery that goes on, if any, whatever becomes of the process. Blocks."""
        with self._changing:
            if self._noted is None:
                return
            try:
                with self._database.write() as connection:
                    connection.execute(delete(unfinished).where(self._is(self._noted)))
            except SQLAlchemyError as error:  # noted still: the next try of this record is not counted once more
                log.warning("a delivery is not struck off", extra={"record": self._noted}, exc_info=error)
            else:
                self._noted = None

    def _is_suspect(self, record: Any) -> bool:
        partition = TopicPartition(record.topic, record.partition)
        last, number = self._read.get(partition, (-1, 0))
        if record.offset != last:  # the same one again is another try
            number += 1
            self._read[partition] = record.offset, number
        return number <= SUSPECTS

    def _note(self, place: str) -> None:
        with self._changing:
            if self._noted == place:
                return
            with self._database.write() as connection:
                row = {"consumer": self._group, "record": place, "since": datetime.now(UTC), "most": self._limit + 1}
                deliveries: int = connection.execute(_NOTE, row).scalar_one()
            if deliveries > self._limit:  # and stays noted: until it is set aside for good, nobody may handle it
                raise WorkerKilled(deliveries - 1)
            self._noted = place

    def _is(self, place: str) -> ColumnElement[bool]:
        return (unfinished.c.consumer == self._group) & (unfinished.c.record == place)


# As text, since SQLAlchemy has this statement for each database only, not for both.
_NOTE = text(
    "INSERT INTO unfinished (consumer, record, deliveries, since) VALUES (:consumer, :record, 1, :since)"
    " ON CONFLICT (consumer, record) DO UPDATE SET since = :since,"
    " deliveries = CASE WHEN unfinished.deliveries < :most THEN unfinished.deliveries + 1 ELSE :most END"
    " RETURNING deliveries"
).bindparams(bindparam("since", type_=unfinished.c.since.type))
