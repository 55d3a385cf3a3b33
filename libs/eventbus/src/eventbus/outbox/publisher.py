"""Publishes the outbox's rows of one topic: those of each key in their order, whatever the broker refuses."""

import asyncio
import contextlib
import functools
import json
import logging
from collections.abc import Callable, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from opentelemetry import context, propagate
from opentelemetry.context import Context

from eventbus import kafka
from eventbus.database.database import Database
from eventbus.outbox.line import Line
from eventbus.outbox.pending import Pending, Row
from eventbus.process.patience import Patience

log = logging.getLogger(__name__)

SEND_TIMEOUT_S = 30
# A topic that has not taken its rows by then is left to itself, and the others go on.
SLOW_S = 1.0
ACKNOWLEDGED_AFTER_S = 5.0
PARKED = "outbox row of event {} can never be sent"


class Publisher:
    """Publish rows of one topic with a producer of its own: what happens to this topic holds up no other.

    A row is handed to the producer as soon as the broker has acknowledged the one before it of its key, whatever
    becomes of others: whatever is refused, lost or sent again, nothing goes past it. A row that can never be sent is
    parked, and those behind it go on. *published* is called with the event id of each row that was acknowledged,
    *settled* after each row that needs no other try.
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
        published: Callable[[str], None],
        settled: Callable[[], None],
    ) -> None:
        self._topic = topic
        self._part = self._broker_part = f"topic {topic}"
        self._make_producer = make_producer
        self._database = database
        self._pending = pending
        self._patience = patience
        self._copies = copies
        self._published = published
        self._settled = settled
        self._producer: AIOKafkaProducer | None = None
        self._running = contextlib.AsyncExitStack()
        self._line = Line()
        # When each row came that is not done with; the first one is the oldest.
        self._since: dict[int, float] = {}
        self._in_flight = 0
        self._moved = 0.0
        self._refused: list[tuple[Row, Exception]] = []
        self._failure: Exception | None = None
        # Rows of batches that the broker refused as too large: they go one by one, with nothing else in flight.
        self._suspects: set[int] = set()
        self._changed = asyncio.Event()
        self._telling: asyncio.TimerHandle | None = None

    @property
    def left(self) -> int:
        """How many rows are neither published nor parked."""
        return len(self._since)

    @property
    def oldest(self) -> float:
        """When the oldest row came that is *left*, by the clock of the loop."""
        return next(iter(self._since.values()))

    def give(self, rows: Sequence[Row]) -> None:
        """Have *rows* published by `run`."""
        loop = asyncio.get_running_loop()
        self._since |= dict.fromkeys([row.id for row in rows], loop.time())
        self._line.add(rows)
        self._changed.set()
        if self._telling is None:
            self._telling = loop.call_later(ACKNOWLEDGED_AFTER_S, self._tell)

    async def run(self) -> None:
        """Publish what is given, forever. Rows wait while the topic takes nothing; raises Stopped if the process is
        to stop meanwhile."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._since:
                await self._patience.until_done(self._part, self._try, retry_on=(KafkaError, OSError))

    async def open(self) -> None:
        """Have a producer that works; raises KafkaError or TimeoutError if there can be none."""
        if self._producer is None:
            producer = self._make_producer()
            self._broker_part = kafka.part_of(producer.client, self._topic)
            await self._running.enter_async_context(kafka.running(producer, self._patience, use=self._topic))
            self._producer = producer

    async def answered(self) -> None:
        """Return when the broker has answered for all that was handed over; raises Stopped after a stop's grace."""
        if self._in_flight:
            waiting = asyncio.create_task(self._until_quiet())
            try:
                await self._patience.finished(self._part, waiting)
            finally:
                waiting.cancel()

    async def _until_quiet(self) -> None:
        while self._in_flight:
            self._changed.clear()
            await self._changed.wait()

    async def retire(self) -> None:
        """Stop working, and leave the topic to another relay."""
        if self._telling is not None:
            self._telling.cancel()
        await self._close()
        if not self._patience.stop.is_set():
            for part in self._part, self._broker_part:
                self._patience.status.fine(part)

    async def _close(self) -> None:
        self._producer = None
        await self._running.aclose()

    async def _try(self) -> None:
        """Publish what is left. A producer that has failed once is replaced: after a batch that was refused, or
        OutOfOrderSequenceNumber, only a new one works (aiokafka #1017)."""
        try:
            while self._since:
                await self.open()
                try:
                    await self._publish()
                except MessageSizeTooLargeError:
                    await self._close()  # and go on: alone, each row is sent or parked
        except (KafkaError, OSError):
            await self._close()
            raise

    async def _publish(self) -> None:
        """Hand over what may go until nothing is left, or raise the first failure, when nothing is in flight."""
        while self._since:
            self._changed.clear()
            if self._failure is None:
                await self._hand_over()
            if self._failure is not None and not self._in_flight:
                await self._take_back()
            if self._since:
                await self._changed.wait()

    async def _hand_over(self) -> None:
        """Hand the rows that may go to the producer, each in the trace that wrote it, up to the first failure."""
        if not self._line.ready:
            return
        status = self._patience.status
        telling = asyncio.get_running_loop().call_later(SLOW_S, status.trouble, self._part, "takes nothing")
        try:
            async with asyncio.timeout(SEND_TIMEOUT_S):
                for _ in range(len(self._line.ready)):
                    if self._failure is not None or (self._suspects and self._in_flight):
                        break
                    await self._send(self._line.ready[0])
        except (KafkaError, OSError) as error:
            self._failure = self._failure or error
        finally:
            telling.cancel()

    async def _send(self, row: Row) -> None:
        assert self._producer is not None
        try:
            headers = [(name, value.encode()) for name, value in json.loads(row.headers)]
            # In the trace that wrote the row, and in no other.
            trace = propagate.extract(json.loads(row.trace_context), Context())
            token = context.attach(trace)
            try:
                futures = [
                    await self._producer.send(row.topic, row.value, key=row.key, headers=headers)
                    for _ in range(self._copies())
                ]
            finally:
                context.detach(token)
        except (MessageSizeTooLargeError, ValueError) as error:
            await self._park_first(error)
            return
        self._line.ready.popleft()
        self._in_flight += 1
        self._moved = asyncio.get_running_loop().time()
        answer = futures[0] if len(futures) == 1 else asyncio.gather(*futures)
        answer.add_done_callback(functools.partial(self._take_answer, row, trace))

    def _take_answer(self, row: Row, trace: Context, answer: "asyncio.Future[object]") -> None:
        self._in_flight -= 1
        self._moved = answer.get_loop().time()
        error = answer.exception()
        if error is None:
            self._patience.status.fine(self._part)
            self._published(row.event_id)
            _log_published(row, trace)
            self._done(row)
        else:
            assert isinstance(error, Exception)
            self._refused.append((row, error))
            self._failure = self._failure or error
            self._changed.set()

    def _done(self, row: Row) -> None:
        """Let the next row of its key go."""
        del self._since[row.id]
        self._suspects.discard(row.id)
        self._line.done(row)
        self._changed.set()
        self._settled()

    async def _take_back(self) -> None:
        """Let what was refused go again, park what was refused for its size though it was alone; raise the failure."""
        refused, self._refused = self._refused, []
        failure, self._failure = self._failure, None
        self._line.put_back(row for row, _ in refused)
        for row, error in refused:
            if isinstance(error, MessageSizeTooLargeError):
                if row.id in self._suspects:
                    await self._park_first(error)
                else:
                    self._suspects.add(row.id)
        assert failure is not None
        raise failure

    async def _park_first(self, error: Exception) -> None:
        row, reason = self._line.ready[0], type(error).__name__
        await self._patience.until_done(
            "outbox",
            lambda: asyncio.to_thread(self._pending.park, row, reason),
            retry_on=self._database.errors,
        )
        log.error("parked: it can never be sent", extra={"event_id": row.event_id, "reason": reason})
        self._patience.status.trouble("parked", PARKED.format(row.event_id))
        self._line.ready.popleft()
        self._done(row)

    def _tell(self) -> None:
        """Say so in the status while the broker keeps a row waiting; look again as long as there are any."""
        self._telling = None
        if self._since:
            loop = asyncio.get_running_loop()
            if self._in_flight and loop.time() - self._moved >= ACKNOWLEDGED_AFTER_S:
                self._patience.status.trouble(self._part, "the broker does not acknowledge")
            self._telling = loop.call_later(SLOW_S, self._tell)


def _log_published(row: Row, trace: Context) -> None:
    token = context.attach(trace)
    try:
        key = None if row.key is None else row.key.decode(errors="replace")
        log.info("published", extra={"event_id": row.event_id, "topic": row.topic, "key": key})
    finally:
        context.detach(token)
