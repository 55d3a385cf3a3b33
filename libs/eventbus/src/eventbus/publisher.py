"""Publishes the outbox's rows of one topic: those of each key in their order, whatever the broker refuses."""

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from opentelemetry import context, propagate

from eventbus import kafka
from eventbus.database import Database
from eventbus.patience import Patience, Stopped
from eventbus.pending import Pending, Row
from eventbus.spans import Flusher

log = logging.getLogger(__name__)

SEND_TIMEOUT_S = 30
# A topic that has not taken its rows by then is left to itself, and the others go on.
SLOW_S = 1.0
PARKED = "outbox row of event {} can never be sent"


class Publisher:
    """Publish rows of one topic with a producer of its own: what happens to this topic holds up no other.

    A row is handed to the producer after the broker has acknowledged all earlier ones of its key: whatever is refused,
    lost or sent again, nothing goes past it. A row that can never be sent is parked, and those behind it go on.
    """

    def __init__(
        self,
        topic: str,
        *,
        make_producer: Callable[[], AIOKafkaProducer],
        database: Database,
        pending: Pending,
        patience: Patience,
        copies: Callable[[], int],
    ) -> None:
        self._topic = topic
        self._part = self._broker_part = f"topic {topic}"
        self._make_producer = make_producer
        self._database = database
        self._pending = pending
        self._patience = patience
        self._copies = copies
        self._spans = Flusher()
        self._producer: AIOKafkaProducer | None = None
        self._running = contextlib.AsyncExitStack()
        self._alone_until = 0

    async def publish(self, rows: Sequence[Row]) -> None:
        """Return when all *rows* are published or parked, and forgotten. They wait while the topic takes nothing."""
        left = list(rows)
        await self._patience.until_done(self._part, lambda: self._try(left), retry_on=(KafkaError, OSError))

    async def open(self) -> None:
        """Have a producer that works; raises KafkaError or TimeoutError where there can be none."""
        if self._producer is None:
            producer = self._make_producer()
            self._broker_part = kafka.part_of(producer.client, self._topic)
            await self._running.enter_async_context(kafka.running(producer, self._patience, use=self._topic))
            self._producer = producer

    async def retire(self) -> None:
        """Stop working, and leave the topic to another relay."""
        await self._close()
        if not self._patience.stop.is_set():
            for part in self._part, self._broker_part:
                self._patience.status.fine(part)

    async def _close(self) -> None:
        self._producer = None
        await self._running.aclose()

    async def _try(self, left: list[Row]) -> None:
        """Publish what is *left* and take it off. A producer that has failed once is replaced: after a batch that was
        refused, or OutOfOrderSequenceNumber, only a new one works (aiokafka #1017)."""
        acknowledged: list[str] = []
        try:
            while left:
                await self.open()
                try:
                    await self._send_next(left, acknowledged)
                except MessageSizeTooLargeError:
                    await self._close()  # and go on: alone, each row is sent or parked
        except (KafkaError, OSError):
            await self._close()
            raise
        finally:
            await self._forget(acknowledged)

    async def _send_next(self, left: list[Row], acknowledged: list[str]) -> None:
        """Send the first row of each key, await what becomes of them, and take off *left* what needs no other try."""
        rows = left[:1] if left[0].id <= self._alone_until else _first_of_each_key(left)
        settled: set[int] = set()
        sent, failure = await self._hand_over(rows, settled)
        try:
            for row, futures in sent:
                try:
                    for future in futures:
                        await self._patience.acknowledged(self._part, future)
                except KafkaError as error:
                    failure = failure or error
                    if isinstance(error, MessageSizeTooLargeError):
                        await self._find_too_large(rows, settled, error)
                else:
                    settled.add(row.id)
                    acknowledged.append(row.event_id)
                    _log_published(row)
        finally:
            left[:] = [row for row in left if row.id not in settled]
        if failure:
            raise failure

    async def _hand_over(
        self, rows: Sequence[Row], settled: set[int]
    ) -> "tuple[list[tuple[Row, list[asyncio.Future[object]]]], Exception | None]":
        """Hand *rows* to the producer, each in the trace that wrote it, up to the first failure; return both."""
        sent: list[tuple[Row, list[asyncio.Future[object]]]] = []
        status = self._patience.status
        telling = asyncio.get_running_loop().call_later(SLOW_S, status.trouble, self._part, "takes nothing")
        try:
            async with self._patience.bounded(SEND_TIMEOUT_S):
                for row in rows:
                    try:
                        sent.append((row, await self._send(row)))
                    except (MessageSizeTooLargeError, ValueError) as error:
                        await self._park(row, error)
                        settled.add(row.id)
        except (KafkaError, TimeoutError, Stopped) as error:
            return sent, error
        finally:
            telling.cancel()
        return sent, None

    async def _send(self, row: Row) -> "list[asyncio.Future[object]]":
        assert self._producer is not None
        headers = [(name, value.encode()) for name, value in json.loads(row.headers)]
        with _in_trace_of(row):
            return [
                await self._producer.send(row.topic, row.value, key=row.key, headers=headers)
                for _ in range(self._copies())
            ]

    async def _find_too_large(self, rows: Sequence[Row], settled: set[int], error: MessageSizeTooLargeError) -> None:
        """Park the row that the broker refuses. It refuses whole batches, so *rows* go again one by one first."""
        self._alone_until = max(row.id for row in rows)
        if len(rows) == 1:
            await self._park(rows[0], error)
            settled.add(rows[0].id)

    async def _forget(self, event_ids: Sequence[str]) -> None:
        if not event_ids:
            return

        def forget() -> None:
            # First the spans: what is forgotten is never sent again, and its span would be missing after a crash.
            self._spans.flush()
            self._pending.forget(event_ids)

        await self._until_stored(forget)

    async def _park(self, row: Row, error: Exception) -> None:
        reason = type(error).__name__
        await self._until_stored(lambda: self._pending.park(row, reason))
        log.error("parked: it can never be sent", extra={"event_id": row.event_id, "reason": reason})
        self._patience.status.trouble("parked", PARKED.format(row.event_id))

    async def _until_stored(self, change: Callable[[], None]) -> None:
        await self._patience.until_done("outbox", lambda: asyncio.to_thread(change), retry_on=self._database.errors)


def _first_of_each_key(rows: Sequence[Row]) -> list[Row]:
    """Return the first row of each key, and every row that has none."""
    keys: set[bytes | None] = set()
    first: list[Row] = []
    for row in rows:
        if row.key is None or row.key not in keys:
            first.append(row)
        keys.add(row.key)
    return first


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
