"""What is on the topics."""

import asyncio

from aiokafka import AIOKafkaConsumer, ConsumerRecord


def records_of(servers: str, order_id: str, *topics: str) -> list[ConsumerRecord[bytes, bytes]]:
    """Return all records of the topics that have the order's key."""
    return [record for record in asyncio.run(_read(servers, topics)) if record.key == order_id.encode()]


async def _read(servers: str, topics: tuple[str, ...]) -> list[ConsumerRecord[bytes, bytes]]:
    found: list[ConsumerRecord[bytes, bytes]] = []
    async with AIOKafkaConsumer(*topics, bootstrap_servers=servers, auto_offset_reset="earliest") as consumer:
        partitions = list(consumer.assignment())
        # A topic of dead letters does not begin at 0 once some have been dealt with.
        starts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        while len(found) < sum(ends.values()) - sum(starts.values()):
            for batch in (await consumer.getmany(timeout_ms=2000)).values():
                found += batch
    return found
