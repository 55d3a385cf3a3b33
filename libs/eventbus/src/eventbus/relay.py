"""Publishes the outbox: each row in order, in the trace that wrote it."""

import asyncio
import json
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from opentelemetry import context, propagate
from sqlalchemy import delete, update
from sqlalchemy.exc import SQLAlchemyError

from eventbus import kafka
from eventbus.database import Database
from eventbus.lock import only_one
from eventbus.patience import Patience, Stopped
from eventbus.tables import outbox

log = logging.getLogger(__name__)

POLL_S = 0.005
BATCH = 200


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
    deletion of a row publishes it again under the same CloudEvents id.
    """

    def __init__(self, database: Database, *, bootstrap_servers: str, client_id: str, patience: Patience) -> None:
        self._database = database
        self._bootstrap_servers = bootstrap_servers
        self._client_id = client_id
        self._patience = patience
        self._wake = threading.Event()
        self._stopping = False

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
                        "relay", self._publish_with_one_producer, retry_on=(KafkaError, OSError)
                    )
        except Stopped as stopped:
            log.info("the relay stops", extra={"reason": str(stopped)})
        finally:
            release.cancel()

    async def _release_reader_at_stop(self) -> None:
        await self._patience.stop.wait()
        self._stopping = True
        self._wake.set()

    async def _publish_with_one_producer(self) -> None:
        """Publish until stop. A KafkaError ends this producer: after OutOfOrderSequenceNumber only a new one works
        (aiokafka #1017), and the rows not acknowledged are read again."""
        last = 0
        producer = kafka.producer(self._bootstrap_servers, self._client_id)
        async with kafka.running(producer):
            self._patience.status.fine("relay")
            while rows := await asyncio.to_thread(self._next_rows, last):
                last = await self._publish(producer, rows)

    async def _publish(self, producer: AIOKafkaProducer, rows: Sequence[Row]) -> int:
        """Send *rows*, await their acknowledgements, forget those that have one; return the last id dealt with."""
        sent: list[tuple[Row, asyncio.Future[object]]] = []
        failure: KafkaError | None = None
        for row in rows:
            try:
                sent.append((row, await self._send(producer, row)))
            except MessageSizeTooLargeError as error:
                await self._park(row, error)
            except KafkaError as error:
                failure = error
                break
        acknowledged: list[str] = []
        try:
            for row, future in sent:
                try:
                    await self._patience.acknowledged("relay", future)
                    acknowledged.append(row.event_id)
                except MessageSizeTooLargeError as error:
                    await self._park(row, error)
                except KafkaError as error:
                    failure = failure or error
        finally:
            await self._forget(acknowledged)
        if failure:
            raise failure
        return rows[-1].id

    async def _send(self, producer: AIOKafkaProducer, row: Row) -> "asyncio.Future[object]":
        """Hand *row* to the producer in the trace that wrote it."""
        headers = [(name, value.encode()) for name, value in json.loads(row.headers)]
        token = context.attach(propagate.extract(json.loads(row.trace_context), context.Context()))
        try:
            future: asyncio.Future[object] = await producer.send(row.topic, row.value, key=row.key, headers=headers)
        finally:
            context.detach(token)
        log.info("published", extra={"event_id": row.event_id, "topic": row.topic, "key": row.key.decode()})
        return future

    def _next_rows(self, last: int) -> list[Row]:
        """Block until there are rows after *last*; return none at stop. Runs in a thread of its own."""
        connection = self._database.raw_reader()
        try:
            cursor = connection.cursor()
            while not self._stopping:
                self._wake.clear()
                cursor.execute(_NEXT_ROWS, (last, BATCH))
                if rows := cursor.fetchall():
                    return [Row(*row) for row in rows]
                self._wake.wait(POLL_S)
            return []
        finally:
            connection.close()

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
        self._patience.status.trouble("parked", f"outbox row of event {row.event_id} can never be sent")


# Plain SQL on a driver connection: a poll costs 6 microseconds, through the engine 20 times that.
_NEXT_ROWS = """
    SELECT id, event_id, topic, key, value, headers, trace_context FROM outbox
    WHERE id > ? AND parked_because IS NULL ORDER BY id LIMIT ?
"""
