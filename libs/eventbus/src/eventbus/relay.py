"""Publishes the outbox: each row in order, in the trace that wrote it."""

import asyncio
import json
import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from opentelemetry import context, propagate

from eventbus import kafka
from eventbus.database import Database
from eventbus.lock import only_one
from eventbus.patience import Patience, Stopped
from eventbus.pending import Pending, Row
from eventbus.spans import Flusher

log = logging.getLogger(__name__)

BATCH = 200
SEND_TIMEOUT_S = 30


class Relay:
    """Publish the outbox of one database at least once, the rows of each key in their order.

    One relay is active for each database; others stand by. A crash between the broker's acknowledgement and the
    deletion of a row publishes it again under the same CloudEvents id. *copies* is asked, in the trace of each row, how
    often that is to be sent.
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
        self._spans = Flusher()
        self._wake = threading.Event()
        self._one_by_one_until = 0

    def wake(self) -> None:
        """Look at the outbox now: something was committed in this process."""
        self._wake.set()

    async def run(self) -> None:
        """Publish until the process is to stop; then wait for the acknowledgements still due, at most 5 s."""
        trouble = (*self._database.errors, OSError)
        try:
            while not self._patience.stop.is_set():
                await self._patience.until_done("relay", self._publish_alone, retry_on=trouble)
        except Stopped as stopped:
            log.info("the relay stops", extra={"reason": str(stopped)})

    async def _publish_alone(self) -> None:
        """Publish until stop, once no other relay does. An error of the database ends this turn: the lock may be lost
        with it, so it is asked for again."""
        async with only_one(self._database, self._patience) as connection:
            pending = Pending(self._database, connection, self._wake)
            release = asyncio.create_task(self._release_at_stop(pending))
            try:
                while not self._patience.stop.is_set():
                    await self._patience.until_done(
                        "relay", lambda: self._publish_with_one_producer(pending), retry_on=(KafkaError, OSError)
                    )
            finally:
                release.cancel()
                pending.close()

    async def _release_at_stop(self, pending: Pending) -> None:
        await self._patience.stop.wait()
        pending.release()

    async def _publish_with_one_producer(self, pending: Pending) -> None:
        """Publish until stop. A KafkaError ends this producer: after OutOfOrderSequenceNumber only a new one works
        (aiokafka #1017), and the rows not acknowledged are read again."""
        producer = kafka.producer(self._bootstrap_servers, self._client_id)
        async with kafka.running(producer, self._patience):
            for event_id in await asyncio.to_thread(pending.parked):  # a restart does not make them good
                self._patience.status.trouble("parked", _PARKED.format(event_id))
            self._patience.status.fine("relay")
            while rows := await asyncio.to_thread(pending.next_rows, 1 if self._one_by_one_until else BATCH):
                if rows[0].id >= self._one_by_one_until:
                    self._one_by_one_until = 0
                await self._publish(producer, pending, rows)

    async def _publish(self, producer: AIOKafkaProducer, pending: Pending, rows: Sequence[Row]) -> None:
        """Send *rows*, await their acknowledgements, forget those that have one."""
        sent, failure = await self._send_all(producer, pending, rows)
        acknowledged: list[str] = []
        try:
            for row, future in sent:
                try:
                    await self._patience.acknowledged("relay", future)
                except KafkaError as error:
                    failure = failure or error
                    if isinstance(error, MessageSizeTooLargeError):
                        await self._find_too_large(pending, rows, error)
                else:
                    acknowledged.append(row.event_id)
                    _log_published(row)
        finally:
            await self._forget(pending, acknowledged)
        if failure:
            raise failure

    async def _send_all(
        self, producer: AIOKafkaProducer, pending: Pending, rows: Sequence[Row]
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
                        await self._park(pending, row, error)
        except (KafkaError, TimeoutError, Stopped) as error:
            return sent, error
        return sent, None

    async def _find_too_large(self, pending: Pending, rows: Sequence[Row], error: MessageSizeTooLargeError) -> None:
        """Park the row that the broker refuses. It refuses whole batches, so all *rows* go again one by one first."""
        self._one_by_one_until = rows[-1].id
        if len(rows) == 1:
            await self._park(pending, rows[0], error)

    async def _forget(self, pending: Pending, event_ids: Sequence[str]) -> None:
        if not event_ids:
            return

        def forget() -> None:
            # First the spans: what is forgotten is never sent again, and its span would be missing after a crash.
            self._spans.flush()
            pending.forget(event_ids)

        await self._until_stored(forget)

    async def _park(self, pending: Pending, row: Row, error: Exception) -> None:
        reason = type(error).__name__
        await self._until_stored(lambda: pending.park(row, reason))
        log.error("parked: it can never be sent", extra={"event_id": row.event_id, "reason": reason})
        self._patience.status.trouble("parked", _PARKED.format(row.event_id))

    async def _until_stored(self, change: Callable[[], None]) -> None:
        await self._patience.until_done("outbox", lambda: asyncio.to_thread(change), retry_on=self._database.errors)


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
        key = None if row.key is None else row.key.decode(errors="replace")
        log.info("published", extra={"event_id": row.event_id, "topic": row.topic, "key": key})


_PARKED = "outbox row of event {} can never be sent"
