"""The groups' topics: what is unread, what is in the dead letters, offsets set back, records written by hand."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.chaos.findings import Record
from tests.e2e.polling import poll_until

T = TypeVar("T")

GROUPS: Mapping[str, str] = {"billing": "orders", "notifier": "invoices"}
READ_S = 20
REWIND_S = 30


@dataclass(frozen=True)
class Topics:
    """The topics of one broker."""

    servers: str

    def lags(self) -> dict[str, int]:
        """Count the records that each group has still to read, retries included."""
        return _ask(self._lags)

    def unread(self) -> dict[str, frozenset[str]]:
        """Return the keys of the records that each group has still to read."""
        return _ask(self._unread)

    def letters(self) -> dict[str, frozenset[str]]:
        """Return the keys of each group's dead letters."""
        return _ask(self._letters)

    def rewind(self, group: str, records: int) -> dict[str, int]:
        """Set a group whose members have stopped back by so many records a partition; return the offsets by partition.

        A static member stays in the group until its session is over: until then the broker would refuse.
        """
        poll_until(lambda: asyncio.run(self._state(group)) == "Empty", f"the group {group} is empty", timeout=REWIND_S)
        return asyncio.run(self._rewind(group, records))

    async def _lags(self) -> dict[str, int]:
        lags = {}
        for group in GROUPS:
            begins = await self._committed(group)
            async with self._reader(begins) as (_, ends):
                lags[group] = sum(ends[each] - begins[each] for each in begins)
        return lags

    async def _unread(self) -> dict[str, frozenset[str]]:
        return {group: await self._keys(await self._committed(group)) for group in GROUPS}

    async def _letters(self) -> dict[str, frozenset[str]]:
        return {group: await self._keys(await self._begins(f"{group}.dlq")) for group in GROUPS}

    async def _committed(self, group: str) -> dict[TopicPartition, int]:
        """Return where a group goes on reading, in all partitions of its topics."""
        begins = await self._begins(GROUPS[group], f"{group}.retry")
        async with self._admin() as admin:
            offsets = await admin.list_consumer_group_offsets(group)
        return begins | {each: offsets[each].offset for each in begins if each in offsets and offsets[each].offset >= 0}

    async def _begins(self, *topics: str) -> dict[TopicPartition, int]:
        """Return all partitions of those topics that exist. Nothing is ever deleted within a run: all begin at 0."""
        async with self._admin() as admin:
            existing = [topic for topic in topics if topic in await admin.list_topics()]
            found = await admin.describe_topics(existing) if existing else []
        return {TopicPartition(each["topic"], part["partition"]): 0 for each in found for part in each["partitions"]}

    @contextlib.asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.servers)
        try:
            await admin.start()
            yield admin
        finally:
            await admin.close()

    @contextlib.asynccontextmanager
    async def _reader(
        self, begins: Mapping[TopicPartition, int]
    ) -> AsyncIterator[tuple[AIOKafkaConsumer, Mapping[TopicPartition, int]]]:
        async with AIOKafkaConsumer(bootstrap_servers=self.servers, enable_auto_commit=False) as consumer:
            consumer.assign(list(begins))
            for partition, offset in begins.items():
                consumer.seek(partition, offset)
            yield consumer, await consumer.end_offsets(list(begins))

    async def _keys(self, begins: Mapping[TopicPartition, int]) -> frozenset[str]:
        """Return the keys of all records from *begins* to the present end."""
        keys: set[str] = set()
        if not begins:
            return frozenset()
        async with asyncio.timeout(READ_S), self._reader(begins) as (consumer, ends):
            while any([await consumer.position(each) < ends[each] for each in begins]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    keys.update((record.key or b"").decode(errors="replace") for record in records)
        return frozenset(keys)

    async def _rewind(self, group: str, records: int) -> dict[str, int]:
        begins = await self._committed(group)
        offsets = {each: max(0, offset - records) for each, offset in begins.items()}
        async with AIOKafkaConsumer(bootstrap_servers=self.servers, group_id=group) as consumer:
            consumer.assign(list(offsets))
            await consumer.commit(offsets)
        return {f"{each.topic}/{each.partition}": offset for each, offset in offsets.items()}

    async def _state(self, group: str) -> str:
        async with self._admin() as admin:
            (answer,) = await admin.describe_consumer_groups([group])
        _error, _group, state, *_ = answer.groups[0]
        return state


def _ask(question: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Return the answer of a broker that may have come up this moment: its groups come a little later."""
    deadline = time.monotonic() + READ_S
    while True:
        try:
            return asyncio.run(question())
        except KafkaError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def group_of(topic: str) -> str:
    """Return the group that reads a topic."""
    return next(group for group, its in GROUPS.items() if topic in (its, f"{group}.retry"))


Headers = Iterable[tuple[str, bytes | None]]


async def write(servers: str, topic: str, records: Mapping[str, tuple[bytes | None, Headers]]) -> dict[str, Record]:
    """Write records (value and headers, by name) to every partition of a topic; return their keys and where they are.

    Each key is its name with more, and is there once.
    """
    written = {}
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        for partition in await producer.partitions_for(topic):
            for name, (value, headers) in records.items():
                key = f"{name} {token_hex(4)}"
                where = await producer.send_and_wait(topic, value, key.encode(), partition, headers=list(headers))
                written[key] = (topic, partition, where.offset)
    return written
