"""The offsets of finished records, and their commit."""

import asyncio
import logging
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError
from opentelemetry.instrumentation.utils import suppress_instrumentation

from eventbus.process.spans import Flusher
from eventbus.process.status import Status

log = logging.getLogger(__name__)

COMMIT_EVERY_S = 0.2
COMMIT_TIMEOUT_S = 2
COMMIT_AGAIN_AFTER_S = 2


class Offsets:
    """Commit the offsets of finished records at most every 200 ms, each after the spans of its record are exported."""

    def __init__(self, consumer: AIOKafkaConsumer, spans: Flusher, status: Status) -> None:
        self._consumer = consumer
        self._spans = spans
        self._status = status
        # Of each partition, what is in hand, in its order, and the offset behind the last record that is done.
        self._in_hand: dict[TopicPartition, dict[int, None]] = {}
        self._end: dict[TopicPartition, int] = {}
        self._done: dict[TopicPartition, int] = {}
        self._due = 0.0
        self._committing: asyncio.Task[None] | None = None

    def in_hand(self, record: ConsumerRecord[Any, Any]) -> None:
        """Note that *record* is taken: nothing behind it is committed before it is finished."""
        self._in_hand.setdefault(TopicPartition(record.topic, record.partition), {})[record.offset] = None

    def finished(self, record: ConsumerRecord[Any, Any]) -> None:
        """Note that all work on *record* is durable."""
        partition = TopicPartition(record.topic, record.partition)
        in_hand = self._in_hand.get(partition, {})
        if record.offset not in in_hand:  # given back meanwhile: it may come again
            return
        is_first = record.offset == next(iter(in_hand))
        del in_hand[record.offset]
        end = max(record.offset + 1, self._end.pop(partition, 0))
        if in_hand:
            self._end[partition] = end
        if is_first:
            self._done[partition] = next(iter(in_hand), end)

    def given_back(self) -> None:
        """Forget what is in hand: the next reader of the partitions begins at the committed offsets."""
        self._in_hand.clear()
        self._end.clear()

    @property
    def due_at(self) -> float | None:
        """When the next commit is due, by the clock of the event loop; None if there is nothing to commit."""
        return self._due if self._done else None

    def commit_if_due(self) -> None:
        """Begin a commit if one is due; the next records need not wait for it."""
        now = asyncio.get_running_loop().time()
        if self.due_at is None or now < self.due_at:
            return
        if self._committing is None or self._committing.done():
            if self._committing is not None:
                self._committing.result()
            self._committing = asyncio.create_task(self._commit())
        self._due = now + COMMIT_EVERY_S

    async def commit(self) -> None:
        """Commit what is finished; what fails is tried again, unless the partitions are gone."""
        if self._committing is not None:
            await self._committing
        await self._commit()

    async def _commit(self) -> None:
        assigned = self._consumer.assignment()
        offsets = {partition: offset for partition, offset in self._done.items() if partition in assigned}
        self._done = {}
        try:
            if offsets:
                # What is committed does not come again: its spans must be safe before.
                await asyncio.wrap_future(self._spans.begin())
                async with asyncio.timeout(COMMIT_TIMEOUT_S):
                    with suppress_instrumentation():
                        await self._consumer.commit(offsets)
        except CommitFailedError:
            log.warning("offsets not committed after a rebalance: the inbox knows what is repeated")
        except (KafkaError, TimeoutError) as error:
            log.warning("offsets not committed", extra={"error": type(error).__name__})
            self._done = {**offsets, **self._done}
            self._due = asyncio.get_running_loop().time() + COMMIT_AGAIN_AFTER_S
            self._status.trouble("offsets", f"not committed: {type(error).__name__}")
            return
        self._status.fine("offsets")
