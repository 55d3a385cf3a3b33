"""Records of the retry topic wait without a span: their partition is paused until they are due."""

import asyncio
import time
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from eventbus.worker.origin import due_of


class NotDue:
    """Put records of *topic* back that are not due yet. Nobody waits longer than *delay_s*, whatever a header says."""

    def __init__(self, consumer: AIOKafkaConsumer, *, topic: str, delay_s: float) -> None:
        self._consumer = consumer
        self._topic = topic
        self._delay_s = delay_s
        self._paused: set[TopicPartition] = set()
        # For each partition the record that was put back last, and until when by the clock of the event loop. It is
        # kept: the record may come again with its partition. The clocks of two hosts differ: once waited is enough.
        self._waits: dict[TopicPartition, tuple[int, float]] = {}

    def put_back(self, record: ConsumerRecord[Any, Any]) -> bool:
        """Pause the partition of a record that is not due yet, and say whether it was so."""
        if record.topic != self._topic:
            return False
        partition = TopicPartition(record.topic, record.partition)
        now = asyncio.get_running_loop().time()
        offset, until = self._waits.get(partition, (None, now))
        if offset != record.offset:
            until = now + min(due_of(record) - time.time(), self._delay_s)
        if until <= now:
            return False
        self._waits[partition] = record.offset, until
        self._paused.add(partition)
        self._consumer.pause(partition)
        self._consumer.seek(partition, record.offset)
        return True

    def resume(self) -> None:
        """Go on with the partitions whose record is due."""
        now = asyncio.get_running_loop().time()
        for partition in [each for each in self._paused if self._until(each) <= now]:
            self._paused.remove(partition)
            if partition in self._consumer.assignment():
                self._consumer.resume(partition)

    def forget_pauses(self) -> None:
        """Forget who is paused: a partition that comes anew is not, and its first record is put back again."""
        self._paused.clear()

    @property
    def next_at(self) -> float | None:
        """When the next one is due, by the clock of the event loop; None where none waits."""
        return min(map(self._until, self._paused), default=None)

    def _until(self, partition: TopicPartition) -> float:
        return self._waits[partition][1]
