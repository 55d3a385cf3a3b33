"""How far consumer groups are behind: what their topics hold and they have not committed yet."""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from eventbus import kafka
from eventbus.dlq.desk import started

ANSWER_TIMEOUT_S = 30


@dataclass(frozen=True)
class Position:
    """Where a group is in one partition; *reader* is the INSTANCE_ID of who reads it now, None where nobody does."""

    group: str
    topic: str
    partition: int
    committed: int | None
    end: int
    lag: int
    reader: str | None


async def positions(bootstrap_servers: str, groups: Collection[str] = ()) -> list[Position]:
    """Return the positions of *groups*, or of all that the broker knows, in all topics that they read or have read.

    Raises KafkaError or TimeoutError where the broker does not answer within 30 s.
    """
    consumer = kafka.reader(bootstrap_servers, "eventbus-lag")
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=10_000)
    async with started(consumer):
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await admin.start()
                known = sorted({name for name, *_ in await admin.list_consumer_groups()})
                found = [await _of_group(admin, consumer, each) for each in known if not groups or each in groups]
        finally:
            await admin.close()
    return [each for positions in found for each in positions]


async def _of_group(admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, group: str) -> list[Position]:
    readers = await _readers(admin, group)
    committed = {at: each.offset for at, each in (await admin.list_consumer_group_offsets(group)).items()}
    topics = sorted({at.topic for at in (*committed, *readers)})
    described = await admin.describe_topics(topics) if topics else []
    # All partitions: one that nobody has read yet has no offset.
    everywhere = sorted(
        TopicPartition(topic["topic"], partition["partition"])
        for topic in described
        for partition in topic["partitions"]
    )
    consumer.assign(everywhere)
    starts, ends = await consumer.beginning_offsets(everywhere), await consumer.end_offsets(everywhere)
    return [
        Position(
            group=group,
            topic=at.topic,
            partition=at.partition,
            committed=committed.get(at),
            end=ends[at],
            # What was removed before anybody read it is not waiting any more.
            lag=max(0, ends[at] - max(starts[at], committed.get(at, 0))),
            reader=readers.get(at),
        )
        for at in everywhere
    ]


async def _readers(admin: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, str]:
    """Return who reads which partition now."""
    found: dict[TopicPartition, str] = {}
    for response in await admin.describe_consumer_groups([group]):
        for _, _, _, _, _, members, *_ in response.groups:  # type: ignore[attr-defined]  # set at run time
            for _, client_id, _, _, assignment in members:
                if assignment:
                    assigned = ConsumerProtocolMemberAssignment.decode(assignment)
                    found |= dict.fromkeys(assigned.partitions(), client_id)
    return found


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
    readers = {group: len({each.reader for each in its if each.reader}) for group, its in groups.items()}
    return [
        f"{group}: {sum(each.lag for each in its)} behind, {readers[group]} reading" for group, its in groups.items()
    ]
