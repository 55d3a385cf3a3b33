"""Publishes the outbox: each row in order, in the trace that wrote it."""

import asyncio
import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from opentelemetry import context, propagate
from sqlalchemy import delete, select, update
from sqlalchemy.exc import SQLAlchemyError

from eventbus import kafka
from eventbus.database import Database
from eventbus.lock import only_one
from eventbus.patience import Patience, Stopped
from eventbus.tables import outbox

log = logging.getLogger(__name__)

POLL_S = 0.005
BATCH = 200
SEND_TIMEOUT_S = 30


@dataclass(frozen=True)
class Row:
    """One stored event, as it goes to Kafka."""

    id: int
    event_id: str
    topic: str
    key: bytes
    value: bytes
    headers: str
    trace_context: str


class Relay:
    """Publish the outbox of one database at least once, in the order of its rows.

    One relay is active for each database; others stand by. A crash between the broker's acknowledgement and the
    deletion of a row publishes it again under the same CloudEvents id. *copies* says, in the context of a row, how
    often to send it.
    """

    def __init__(
        self,
        database: Database,
        *,
        bootstrap_servers: str,
        client_id: str,
        patience: Patience,
        copies: Callable[[], int] = lambda: 1,
    ) -> None:
        self._database = database
        self._bootstrap_servers = bootstrap_servers
        self._client_id = client_id
        self._patience = patience
        self._copies = copies
        self._wake = threading.Event()
        self._stopping = False
        self._one_by_one_until = 0

    def wake(self) -> None:
        """Look at the outbox now: something was committed in this process."""
        self._wake.set()

    async def run(self) -> None:
        """Publish until the process is to stop; then wait for the acknowledgements still due, at most 5 s."""
        release = asyncio.create_task(self._release_reader_at_stop())
        try:
            async with only_one(Path(f"{self._database.path}.relay"), self._patience):
                while not self._patience.stop.is_set():
                    await self._patience.until_done(
                        "relay",
                        self._publish_with_one_producer,
                        retry_on=(KafkaError, OSError, SQLAlchemyError, sqlite3.Error),
                    )
        except Stopped as stopped:
            log.info("the relay stops", extra={"reason": str(stopped)})
        finally:
            release.cancel()
            self._release_reader()

    async def _release_reader_at_stop(self) -> None:
        await self._patience.stop.wait()
        self._release_reader()

    def _release_reader(self) -> None:
        """End the reading thread: no process can end before it, whatever ended the relay."""
        self._stopping = True
        self._wake.set()

    async def _publish_with_one_producer(self) -> None:
        """Publish until stop. A KafkaError ends this producer: after OutOfOrderSequenceNumber only a new one works
        (aiokafka #1017), and the rows not acknowledged are read again."""
        last = 0
        producer = kafka.producer(self._bootstrap_servers, self._client_id)
        async with kafka.running(producer, self._patience):
            await asyncio.to_thread(self._report_parked)
            self._patience.status.fine("relay")
            while rows := await asyncio.to_thread(self._next_rows, last):
                last = await self._publish(producer, rows)

    async def _publish(self, producer: AIOKafkaProducer, rows: Sequence[Row]) -> int:
        """Send *rows*, await their acknowledgements, forget those that have one; return the last id dealt with."""
        sent, failure = await self._send_all(producer, rows)
        acknowledged: list[str] = []
        try:
            for row, future in sent:
                try:
                    await self._patience.acknowledged("relay", future)
                except KafkaError as error:
                    failure = failure or error
                    if isinstance(error, MessageSizeTooLargeError):
                        await self._find_too_large(rows, error)
                else:
                    acknowledged.append(row.event_id)
                    _log_published(row)
        finally:
            await self._forget(acknowledged)
        if failure:
            raise failure
        return rows[-1].id

    async def _send_all(
        self, producer: AIOKafkaProducer, rows: Sequence[Row]
    ) -> "tuple[list[tuple[Row, asyncio.Future[object]]], Exception | None]":
        """Hand *rows* to the producer, each in the trace that wrote it, up to the first failure; return both."""
        sent: list[tuple[Row, asyncio.Future[object]]] = []
        try:
            async with self._patience.bounded(SEND_TIMEOUT_S):
                for row in rows:
                    try:
                        headers = [(name, value.encode()) for name, value in json.loads(row.headers)]
                        with _in_trace_of(row):
                            for _ in range(self._copies()):
                                future = await producer.send(row.topic, row.value, key=row.key, headers=headers)
                                sent.append((row, future))
                    except (MessageSizeTooLargeError, ValueError) as error:
                        await self._park(row, error)
        except (KafkaError, TimeoutError, Stopped) as error:
            return sent, error
        return sent, None

    async def _find_too_large(self, rows: Sequence[Row], error: MessageSizeTooLargeError) -> None:
        """Park the row that the broker refuses. It refuses whole batches, so all *rows* go again one by one first."""
        self._one_by_one_until = rows[-1].id
        if len(rows) == 1:
            await self._park(rows[0], error)

    def _next_rows(self, last: int) -> list[Row]:
        """Block until there are rows after *last*; return none at stop. Runs in a thread of its own."""
        connection = self._database.raw_reader()
        try:
            cursor = connection.cursor()
            while not self._stopping:
                self._wake.clear()
                cursor.execute(_NEXT_ROWS, (last, 1 if last < self._one_by_one_until else BATCH))
                if rows := cursor.fetchall():
                    return [Row(*row) for row in rows]
                self._wake.wait(POLL_S)
            return []
        finally:
            connection.close()

    def _report_parked(self) -> None:
        """Say that rows are parked: a restart does not make them good."""
        with self._database.read() as connection:
            for event_id in connection.scalars(select(outbox.c.event_id).where(outbox.c.parked_because.is_not(None))):
                self._patience.status.trouble("parked", _PARKED.format(event_id))

    async def _forget(self, event_ids: Sequence[str]) -> None:
        if not event_ids:
            return

        def forget() -> None:
            with self._database.write() as connection:
                # By event id: a row id is only unique while its row exists in databases that reuse them.
                connection.execute(delete(outbox).where(outbox.c.event_id.in_(event_ids)))

        await self._patience.until_done("outbox", lambda: asyncio.to_thread(forget), retry_on=(SQLAlchemyError,))

    async def _park(self, row: Row, error: Exception) -> None:
        """Set a row aside that can never be sent, so that those behind it can."""

        def park() -> None:
            with self._database.write() as connection:
                connection.execute(
                    update(outbox).where(outbox.c.event_id == row.event_id).values(parked_because=type(error).__name__)
                )

        await self._patience.until_done("outbox", lambda: asyncio.to_thread(park), retry_on=(SQLAlchemyError,))
        log.error("parked: it can never be sent", extra={"event_id": row.event_id, "reason": type(error).__name__})
        self._patience.status.trouble("parked", _PARKED.format(row.event_id))


@contextmanager
def _in_trace_of(row: Row) -> Iterator[None]:
    """Be in the trace that wrote *row*, and in no other."""
    token = context.attach(propagate.extract(json.loads(row.trace_context), context.Context()))
    try:
        yield
    finally:
        context.detach(token)


def _log_published(row: Row) -> None:
    with _in_trace_of(row):
        about = {"event_id": row.event_id, "topic": row.topic, "key": row.key.decode(errors="replace")}
        log.info("published", extra=about)


_PARKED = "outbox row of event {} can never be sent"

# Plain SQL on a driver connection: a poll costs 6 microseconds, through the engine 20 times that.
_NEXT_ROWS = """
    SELECT id, event_id, topic, key, value, headers, trace_context FROM outbox
    WHERE id > ? AND parked_because IS NULL ORDER BY id LIMIT ?
"""
