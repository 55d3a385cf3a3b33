"""The topics of a run: new ones, with nothing in them."""

import asyncio
from collections.abc import Awaitable, Callable

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from stack.polling import INTERVAL

PARTITIONS = 3
TOPICS = ("orders", "invoices")
WITHIN_S = 30


def renew(servers: str) -> None:
    """Delete what the last run left, and create TOPICS."""
    asyncio.run(_renew(servers))


async def _renew(servers: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        async with asyncio.timeout(WITHIN_S):
            await admin.delete_topics(await _left(admin))
            await _until(lambda: _are_gone(admin))
            await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in TOPICS])
            await _until(lambda: _are_served(admin))
    finally:
        await admin.close()


async def _until(check: Callable[[], Awaitable[bool]]) -> None:
    while True:
        if await check():
            return
        await asyncio.sleep(INTERVAL)


async def _are_gone(admin: AIOKafkaAdminClient) -> bool:
    return not await _left(admin)


async def _left(admin: AIOKafkaAdminClient) -> list[str]:
    return [name for name in await admin.list_topics() if not name.startswith("__")]


async def _are_served(admin: AIOKafkaAdminClient) -> bool:
    topics = await admin.describe_topics(list(TOPICS))
    leaders = [partition["leader"] for topic in topics for partition in topic["partitions"]]
    return len(leaders) == PARTITIONS * len(TOPICS) and -1 not in leaders
