"""Reading dead letters from the broker: bounded in time, and never all in memory."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from eventbus import kafka
from eventbus.operator.dlq import resolved
from eventbus.operator.dlq.letters import DEAD_LETTERS, Choice, Letter
from eventbus.operator.dlq.resolved import Position, Resolved
from eventbus.worker.dead_letters import RESOLVED_TOPIC_SETTINGS, resolved_topic_of

ANSWER_TIMEOUT_S = 30
BATCH = 500

ALL = Choice()

Records = list[ConsumerRecord[bytes, bytes]]


class LetterBox:
    """Look into the dead letters of a broker.

    Everything here raises KafkaError or TimeoutError if the broker does not answer within 30 s. To be used under
    suppress_instrumentation(): looking at a message is not processing it.
    """

    def __init__(self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        self._consumer = consumer
        self._admin = admin
        self.partitions: dict[str, list[int]] = {}

    @property
    def topics(self) -> list[str]:
        """The dead letter topics."""
        return sorted(topic for topic in self.partitions if topic.endswith(DEAD_LETTERS))

    async def look_around(self) -> None:
        """Learn which topics there are."""
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            described = await self._admin.describe_topics()
        self.partitions = {
            each["topic"]: sorted(partition["partition"] for partition in each["partitions"])
            for each in described
            if not each["is_internal"]
        }

    async def create(self, topic: str) -> None:
        """Create the topic that remembers what was done with the letters of *topic*, where it is missing."""
        done = resolved_topic_of(topic)
        if done not in self.partitions:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await kafka.create_missing(self._admin, {done: RESOLVED_TOPIC_SETTINGS})
            self.partitions[done] = list(range(kafka.PARTITIONS))

    async def delete_before(self, topic: str, offsets: dict[int, int]) -> None:
        """Remove the records before these offsets, by partition, forever."""
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await self._admin.delete_records(
                {TopicPartition(topic, partition): RecordsToDelete(offset) for partition, offset in offsets.items()}
            )

    async def marks(self, topic: str) -> dict[Position, Resolved]:
        """Return what was done with which letters of *topic*; a mark may be of a letter that is gone."""
        found: dict[Position, Resolved | None] = {}
        done = resolved_topic_of(topic)
        async for records in self._read(await self._bounds(done, self.partitions.get(done, ()))):
            found.update(mark for record in records if (mark := resolved.decode(record.key, record.value)))
        return {position: mark for position, mark in found.items() if mark}

    async def letters(self, topic: str, choice: Choice = ALL) -> AsyncGenerator[list[Letter], None]:
        """Yield the letters of *topic* that are there now and meant by *choice*, in order for each partition."""
        done = await self.marks(topic)
        bounds = await self._bounds(topic, self.partitions[topic])
        ranges = {at: choice.within(at.partition, each.start, each.stop) for at, each in bounds.items()}
        async for records in self._read(ranges):
            letters = (Letter(record, _mark_of(record, done)) for record in records)
            if chosen := [letter for letter in letters if choice.takes(letter)]:
                yield chosen

    async def bounds(self, topic: str) -> dict[int, range]:
        """Return the offsets that *topic* holds now, by partition."""
        return {at.partition: offsets for at, offsets in (await self._bounds(topic, self.partitions[topic])).items()}

    async def first_left(self, topic: str, done: Mapping[Position, Resolved]) -> dict[int, int]:
        """Return for each partition the offset before which all letters have been dealt with."""
        bounds = await self._bounds(topic, self.partitions[topic])
        return {at.partition: await self._first_left(at, offsets, done) for at, offsets in bounds.items()}

    async def _first_left(self, at: TopicPartition, offsets: range, done: Mapping[Position, Resolved]) -> int:
        async with contextlib.aclosing(self._read({at: offsets})) as batches:
            async for records in batches:
                for record in records:
                    if _mark_of(record, done) is None:
                        return int(record.offset)
        return offsets.stop

    async def _bounds(self, topic: str, partitions: Collection[int]) -> dict[TopicPartition, range]:
        where = [TopicPartition(topic, partition) for partition in partitions]
        if not where:
            return {}
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            self._consumer.assign(where)
            starts, ends = await self._consumer.beginning_offsets(where), await self._consumer.end_offsets(where)
        return {at: range(starts[at], ends[at]) for at in where}

    async def _read(self, ranges: dict[TopicPartition, range]) -> AsyncGenerator[Records, None]:
        unread = {at: offsets for at, offsets in ranges.items() if offsets}
        if not unread:
            return
        self._consumer.assign(list(unread))
        for at, offsets in unread.items():
            self._consumer.seek(at, offsets.start)
        while unread:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                found, read = await self._more(unread)
            for at, records in found.items():
                yield [record for record in records if record.offset in unread[at]]
            for at in read:
                self._consumer.pause(at)
                del unread[at]

    async def _more(
        self, unread: dict[TopicPartition, range]
    ) -> tuple[dict[TopicPartition, Records], list[TopicPartition]]:
        """Return the next records, and the partitions that have been read to the end of their range."""
        while True:
            found = await self._consumer.getmany(*unread, timeout_ms=200, max_records=BATCH)
            # Not the last record's offset: the end of a partition may be no record but a mark of a transaction.
            read = [at for at, offsets in unread.items() if await self._consumer.position(at) >= offsets.stop]
            if found or read:
                return found, read


@contextlib.asynccontextmanager
async def opened(bootstrap_servers: str) -> AsyncIterator[LetterBox]:
    """Open the letter box of a broker, which knows which topics there are."""
    consumer = kafka.reader(bootstrap_servers, "eventbus-dlq")
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=10_000)
    async with kafka.started(consumer):
        try:
            async with asyncio.timeout(kafka.ASK_TIMEOUT_S):
                await admin.start()
            box = LetterBox(consumer, admin)
            await box.look_around()
            yield box
        finally:
            await admin.close()


def _mark_of(record: ConsumerRecord[bytes, bytes], done: Mapping[Position, Resolved]) -> Resolved | None:
    mark = done.get((record.partition, record.offset))
    return mark if mark and mark.timestamp == record.timestamp else None
