"""Records of the retry topic wait without a span: their partition is paused until they are due."""

import asyncio
import time
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from eventbus.origin import due_of


class NotDue:
    """Put records of *topic* back that are not due yet. Nobody waits longer than *delay_s*, whatever a header says."""

    def __init__(self, consumer: AIOKafkaConsumer, *, topic: str, delay_s: float) -> None:
        self._consumer = consumer
        self._topic = topic
        self._delay_s = delay_s
        self._until: dict[TopicPartition, float] = {}
        self._waited: dict[TopicPartition, int] = {}

    def put_back(self, record: ConsumerRecord[Any, Any]) -> bool:
        """Pause the partition of a record that is not due yet, and say whether it was so."""
        if record.topic != self._topic:
            return False
        partition = TopicPartition(record.topic, record.partition)
        # The clocks of two hosts differ: once waited is enough.
        wait = min(due_of(record) - time.time(), self._delay_s)
        if wait <= 0 or self._waited.get(partition) == record.offset:
            return False
        self._waited[partition] = record.offset
        self._consumer.pause(partition)
        self._consumer.seek(partition, record.offset)
        self._until[partition] = asyncio.get_running_loop().time() + wait
        return True

    def resume(self) -> None:
        """Go on with the partitions whose record is due."""
        now = asyncio.get_running_loop().time()
        for partition in [each for each, until in self._until.items() if until <= now]:
            del self._until[partition]
            if partition in self._consumer.assignment():
                self._consumer.resume(partition)

    def forget(self) -> None:
        """Forget who waits: a partition that comes anew is not paused, and its first record says when it is due."""
        self._until.clear()

    @property
    def next_at(self) -> float | None:
        """When the next one is due, by the clock of the event loop; None where none waits."""
        return min(self._until.values(), default=None)
