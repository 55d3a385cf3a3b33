"""Tells whether a consumer group reads all of its topics: one that was just created, or is gone, may be left out."""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import KafkaError

from eventbus import kafka
from eventbus.process.patience import backoff
from eventbus.process.status import Status

LOOK_EVERY_S = 0.1
ANSWER_TIMEOUT_S = 10
PART = "assignment"


class Assignment:
    """Keep the status not ready until each partition of *topics* has a leader, and a reader in the consumer's group.

    A member that has no partitions is ready as well, if the others have them all. aiokafka looks for new partitions
    every 30 s only: while some are missing, this has it look at once.
    """

    def __init__(self, consumer: AIOKafkaConsumer, topics: Sequence[str], *, group: str, servers: str) -> None:
        self._consumer = consumer
        self._topics = topics
        self._group = group
        self._servers = servers
        self._covered: object = None

    async def watch(self, status: Status) -> None:
        """Look forever, once the group is joined; a rebalance alone changes nothing."""
        delays, pause = backoff(), LOOK_EVERY_S
        while True:
            await asyncio.sleep(pause)
            if not self._joined:
                pause = LOOK_EVERY_S
            elif reason := await self.look():
                status.trouble(PART, reason)
                pause = next(delays)
            else:
                status.fine(PART)
                delays, pause = backoff(), LOOK_EVERY_S

    async def look(self) -> str | None:
        """Look once: return what is missing, or None."""
        client = self._consumer._client  # for want of a public name
        if unserved := kafka.unserved(client.cluster, self._topics):
            await client.force_metadata_update()
            return f"no partitions with leaders: {', '.join(unserved)}"
        wanted = {TopicPartition(topic, each) for topic in self._topics for each in self._partitions_of(topic)}
        mine = self._consumer.assignment()
        if wanted <= mine or self._covered == (state := (self._generation, wanted)):
            return None
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                unread = wanted - mine - await _read_by_group(self._servers, self._group)
        except (KafkaError, TimeoutError) as error:
            return f"the group cannot be asked who reads what: {type(error).__name__}"
        if unread:
            await client.force_metadata_update()
            return f"nobody in the group reads {', '.join(sorted({each.topic for each in unread}))}"
        self._covered = state
        return None

    def _partitions_of(self, topic: str) -> set[int]:
        return self._consumer.partitions_for_topic(topic) or set()

    @property
    def _joined(self) -> bool:
        coordinator, subscription = self._consumer._coordinator, self._consumer._subscription.subscription
        return coordinator is not None and subscription is not None and not coordinator.need_rejoin(subscription)

    @property
    def _generation(self) -> object:
        return getattr(self._consumer._coordinator, "generation", None)


async def _read_by_group(servers: str, group: str) -> set[TopicPartition]:
    """Return the partitions that the members of *group* have been assigned."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=ANSWER_TIMEOUT_S * 1000)
    try:
        await admin.start()
        return set(await readers(admin, group))
    finally:
        await admin.close()


async def readers(admin: AIOKafkaAdminClient, group: str) -> dict[TopicPartition, str]:
    """Return which member of *group*, by its client id, reads which partition now."""
    found: dict[TopicPartition, str] = {}
    for response in await admin.describe_consumer_groups([group]):
        for _, _, _, _, _, members, *_ in response.groups:  # type: ignore[attr-defined]  # set at run time
            for _, client_id, _, _, assignment in members:
                if assignment:
                    assigned = ConsumerProtocolMemberAssignment.decode(assignment)
                    found |= dict.fromkeys(assigned.partitions(), client_id)
    return found
