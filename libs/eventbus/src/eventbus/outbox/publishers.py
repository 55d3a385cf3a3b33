"""All publishers of an outbox: which of them gets which rows, and how many at a time."""

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from eventbus.database.database import Database
from eventbus.outbox.forgetting import Forgetting
from eventbus.outbox.pending import Pending, Row
from eventbus.outbox.publication import Publication
from eventbus.outbox.publisher import SLOW_S, Publisher
from eventbus.process.patience import Patience, Stopped

log = logging.getLogger(__name__)

# So many rows are read at once, and again as soon as no more of them wait for the broker: it need not wait for us.
BATCH = 100
# While the database deletes nothing, no more is sent: all of it would be sent again after a crash.
MOST_UNFORGOTTEN = 1000


class Publishers:
    """Deal rows out to the publishers of their topics, each of which works for itself, and forget what they publish."""

    def __init__(
        self,
        make_producer: Callable[[], AIOKafkaProducer],
        *,
        database: Database,
        pending: Pending,
        patience: Patience,
        publications: Mapping[str, Publication],
    ) -> None:
        self._make_producer = make_producer
        self._database = database
        self._pending = pending
        self._patience = patience
        self._publications = publications
        self._made: dict[str, Publisher] = {}
        self._passed_over: list[str] = []
        self._changed = asyncio.Event()
        self._forgetting = Forgetting(pending, database, patience, self.look)
        self._publishing: list[asyncio.Task[None]] = []
        self._deleting = self._begin(self._forgetting.run())

    def _begin(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._end_waits())
        return task

    def _end_waits(self) -> None:
        self.look()
        self._pending.look_again()

    def look(self) -> None:
        """See whether there is room."""
        self._changed.set()
        if self._passed_over and any(not self._made[topic].left for topic in self._passed_over):
            self._pending.look_again()

    async def open(self, topics: Collection[str]) -> None:
        """Have publishers for *topics* that can reach the broker; raises KafkaError or TimeoutError."""
        opened = await asyncio.gather(*(self._of(topic).open() for topic in topics), return_exceptions=True)
        for failure in filter(None, opened):
            raise failure

    def give(self, rows: Sequence[Row]) -> None:
        """Have *rows* published."""
        by_topic: dict[str, list[Row]] = {}
        for row in rows:
            by_topic.setdefault(row.topic, []).append(row)
        for topic, its in by_topic.items():
            self._of(topic).give(its)

    async def room(self) -> list[str]:
        """Return when more rows are to be read (or the process is to stop), and the topics of which none are: one that
        leaves the others no room for a second is passed over until it has taken all that it was given."""
        while True:
            for task in *self._publishing, self._deleting:
                if task.done():
                    task.result()
            self._passed_over = [topic for topic in self._passed_over if self._made[topic].left]
            others = {topic: each for topic, each in self._made.items() if each.left and topic not in self._passed_over}
            if self._patience.stop.is_set() or (
                sum(each.left for each in others.values()) <= BATCH and self._forgetting.waiting <= MOST_UNFORGOTTEN
            ):
                return self._passed_over
            self._changed.clear()
            until = min((each.oldest + SLOW_S for each in others.values()), default=None)
            try:
                async with asyncio.timeout_at(until):
                    await self._changed.wait()
            except TimeoutError:
                now = asyncio.get_running_loop().time()
                self._passed_over += [
                    topic for topic, each in others.items() if each.left and each.oldest + SLOW_S <= now
                ]

    async def close(self) -> None:
        """End the publishers; when the process is to stop, first wait for the acknowledgements that are still due."""
        for task in self._publishing:
            task.cancel()
        ended = await asyncio.gather(*self._publishing, return_exceptions=True)
        if self._patience.stop.is_set():
            ended += await asyncio.gather(*(each.answered() for each in self._made.values()), return_exceptions=True)
        self._forgetting.finish()
        ended += await asyncio.gather(self._deleting, return_exceptions=True)
        for error in (each for each in ended if isinstance(each, Exception) and not isinstance(each, Stopped)):
            log.warning("rows not published", exc_info=error)
        await asyncio.gather(*(each.retire() for each in self._made.values()))

    def _of(self, topic: str) -> Publisher:
        if topic not in self._made:
            publisher = Publisher(
                topic,
                make_producer=self._make_producer,
                database=self._database,
                pending=self._pending,
                patience=self._patience,
                copies=self._publications[topic].copies if topic in self._publications else lambda: 1,
                published=self._forgetting.add,
                settled=self.look,
            )
            self._publishing.append(self._begin(publisher.run()))
            self._made[topic] = publisher
        return self._made[topic]
