"""Publishes the outbox: each row in order, in the trace that wrote it."""

import asyncio
import logging
import threading
from collections.abc import Callable, Collection, Sequence

from aiokafka.errors import KafkaError

from eventbus import kafka
from eventbus.database import Database
from eventbus.lock import only_one
from eventbus.patience import Patience, Stopped
from eventbus.pending import Pending, Row
from eventbus.publisher import PARKED, SLOW_S, Publisher

log = logging.getLogger(__name__)

BATCH = 200


class Relay:
    """Publish the outbox of one database at least once, the rows of each key in their order.

    One relay is active for each database; others stand by. A crash between the broker's acknowledgement and the
    deletion of a row publishes it again under the same CloudEvents id. Rows of a topic that takes none wait, those of
    others do not. *topics* are those that are known before: the relay is ready when it can send to them. *copies* is
    asked, in the trace of each row, how often that is to be sent.
    """

    def __init__(
        self,
        database: Database,
        *,
        bootstrap_servers: str,
        client_id: str,
        patience: Patience,
        topics: Collection[str] = (),
        copies: Callable[[], int] = lambda: 1,
    ) -> None:
        self._database = database
        self._bootstrap_servers = bootstrap_servers
        self._client_id = client_id
        self._patience = patience
        self._topics = topics
        self._copies = copies
        self._wake = threading.Event()

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
            publishers = _Publishers(lambda topic: self._publisher(topic, pending), pending, self._patience)
            release = asyncio.create_task(self._release_at_stop(pending))
            try:
                for event_id in await asyncio.to_thread(pending.parked):  # a restart does not make them good
                    self._patience.status.trouble("parked", PARKED.format(event_id))
                await self._patience.until_done(
                    "relay", lambda: publishers.open(self._topics), retry_on=(KafkaError, OSError)
                )
                while not self._patience.stop.is_set():
                    await publishers.publish(await asyncio.to_thread(pending.next_rows, BATCH, publishers.busy))
            finally:
                release.cancel()
                await publishers.close()
                pending.close()

    async def _release_at_stop(self, pending: Pending) -> None:
        await self._patience.stop.wait()
        pending.release()

    def _publisher(self, topic: str, pending: Pending) -> Publisher:
        return Publisher(
            topic,
            make_producer=lambda: kafka.producer(self._bootstrap_servers, self._client_id),
            database=self._database,
            pending=pending,
            patience=self._patience,
            copies=self._copies,
        )


class _Publishers:
    """Deal rows out to the publishers of their topics, each of which works for itself."""

    def __init__(self, make: Callable[[str], Publisher], pending: Pending, patience: Patience) -> None:
        self._make = make
        self._pending = pending
        self._patience = patience
        self._made: dict[str, Publisher] = {}
        self._working: dict[str, asyncio.Task[None]] = {}

    @property
    def busy(self) -> list[str]:
        """The topics that have not taken all of their rows yet: no more of them are to be read."""
        return list(self._working)

    async def open(self, topics: Collection[str]) -> None:
        """Have publishers for *topics* that can reach the broker; raises KafkaError or TimeoutError."""
        opened = await asyncio.gather(*(self._of(topic).open() for topic in topics), return_exceptions=True)
        for failure in filter(None, opened):
            raise failure

    async def publish(self, rows: Sequence[Row]) -> None:
        """Have *rows* published, and return when they are; leave to itself a topic that takes longer than a second."""
        by_topic: dict[str, list[Row]] = {}
        for row in rows:
            by_topic.setdefault(row.topic, []).append(row)
        begun = {topic: asyncio.create_task(self._of(topic).publish(its)) for topic, its in by_topic.items()}
        self._working |= begun
        if begun:
            _, slow = await asyncio.wait(begun.values(), timeout=SLOW_S)
            for each in slow:
                each.add_done_callback(lambda _: self._pending.look_again())
        for topic in [topic for topic, task in self._working.items() if task.done()]:
            self._working.pop(topic).result()

    async def close(self) -> None:
        """End the publishers; when the process is to stop, first wait for the acknowledgements that are still due."""
        for task in () if self._patience.stop.is_set() else self._working.values():
            task.cancel()
        ended = await asyncio.gather(*self._working.values(), return_exceptions=True)
        for error in (each for each in ended if isinstance(each, Exception) and not isinstance(each, Stopped)):
            log.warning("rows not published", exc_info=error)
        await asyncio.gather(*(each.retire() for each in self._made.values()))

    def _of(self, topic: str) -> Publisher:
        if topic not in self._made:
            self._made[topic] = self._make(topic)
        return self._made[topic]
