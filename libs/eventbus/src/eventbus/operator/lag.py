"""How far consumer groups are behind: what their topics hold and they have not committed yet."""

import asyncio
import contextlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import CorruptRecordException

from eventbus import kafka
from eventbus.worker.assignment import readers

ANSWER_TIMEOUT_S = 30
COUNTED_ONE_BY_ONE = 500
COUNTING_S = 5


@dataclass(frozen=True)
class Position:
    """Where a group is in one partition, and how many records are left to it.

    *end* is the offset up to which it can be read: before the first transaction that is open. *reader* is the
    INSTANCE_ID of the member that has the partition, None if nobody has it; one that has stopped or died has it
    until the broker ends its session.
    """

    group: str
    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int
    reader: str | None


async def positions(bootstrap_servers: str, groups: Collection[str] = ()) -> list[Position]:
    """Return the positions of *groups*, or of all that the broker knows, in all topics that they read or have read.

    Raises KafkaError or TimeoutError if the broker does not answer within 30 s.
    """
    consumer = kafka.reader(bootstrap_servers, "eventbus-lag")
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=10_000)
    async with kafka.started(consumer):
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await admin.start()
                known = sorted({name for name, *_ in await admin.list_consumer_groups()})
                found = [await _of_group(admin, consumer, each) for each in known if not groups or each in groups]
        finally:
            await admin.close()
    return [each for positions in found for each in positions]


async def _of_group(admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, group: str) -> list[Position]:
    reading = await readers(admin, group)
    committed = {at: each.offset for at, each in (await admin.list_consumer_group_offsets(group)).items()}
    topics = sorted({at.topic for at in (*committed, *reading)})
    described = await admin.describe_topics(topics) if topics else []
    # All partitions: one that nobody has read yet has no offset.
    everywhere = sorted(
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        for partition in topic["partitions"]
    )
    consumer.assign(everywhere)
    starts, ends = await consumer.beginning_offsets(everywhere), await consumer.end_offsets(everywhere)
    # What was removed before anybody read it is not waiting any more.
    ahead = {at: range(max(starts[at], committed.get(at, 0)), ends[at]) for at in everywhere}
    lags = await _records_in(consumer, ahead)
    return [
        Position(
            group=group,
            topic=at.topic,
            partition=at.partition,
            committed=committed.get(at),
            end=ends[at],
            lag=lags[at],
            reader=reading.get(at),
        )
        for at in everywhere
    ]


async def _records_in(consumer: AIOKafkaConsumer, ahead: dict[TopicPartition, range]) -> dict[TopicPartition, int]:
    """Return how many records the offsets *ahead* hold.

    Marks of transactions and what was aborted or compacted have offsets too, and nobody is given them: so records are
    read. Behind the first 500 of a partition, in 5 s, all offsets count: there the number is an upper bound.
    """
    left = {at: offsets for at, offsets in ahead.items() if offsets}
    counts = dict.fromkeys(ahead, 0)
    if left:
        consumer.assign(list(left))
        for at, offsets in left.items():
            consumer.seek(at, offsets.start)
    # A record may be unreadable, to this command as to the group.
    with contextlib.suppress(TimeoutError, UnicodeDecodeError, CorruptRecordException):
        async with asyncio.timeout(COUNTING_S):
            while unread := [at for at in left if left[at] and counts[at] < COUNTED_ONE_BY_ONE]:
                for at, records in (await consumer.getmany(*unread, timeout_ms=200)).items():
                    counts[at] += sum(record.offset in left[at] for record in records)
                for at in unread:
                    left[at] = range(await consumer.position(at), left[at].stop)
    return {at: counted + len(left.get(at, ())) for at, counted in counts.items()}


_COLUMNS = ("GROUP", "TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "READER")


def table(positions: Iterable[Position]) -> list[str]:
    """Return the lines of a table for people."""
    rows = [_COLUMNS] + [
        tuple("-" if cell is None else str(cell) for cell in vars(each).values()) for each in positions
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def summary(positions: Iterable[Position]) -> list[str]:
    """Return a line for each group: how far it is behind, and how many read."""
    groups: dict[str, list[Position]] = {}
    for each in positions:
        groups.setdefault(each.group, []).append(each)
    return [f"{group}: {_state(its)}" for group, its in groups.items()]


def _state(positions: Collection[Position]) -> str:
    behind = sum(each.lag for each in positions)
    readers = len({each.reader for each in positions if each.reader})
    # The broker tells the two apart only when the session has ended.
    doubt = " or stopped a moment ago" if behind and readers else ""
    return f"{behind} behind, {readers} reading{doubt}"
