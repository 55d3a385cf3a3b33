"""How this bus talks to Kafka: every client setting and its reason, in one place."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaError, NotControllerError, TopicAlreadyExistsError, for_code

from eventbus.process.patience import Patience

log = logging.getLogger(__name__)

PARTITIONS = 3
# A consumer may be away as long as that, and finds everything when it is back.
RETENTION = timedelta(days=7)
# Kafka removes whole segments, by the age of their newest message: the others stay up to this much longer.
SEGMENT = timedelta(days=1)
CONNECT_TIMEOUT_S = 30
# A person waits for the answer.
ASK_TIMEOUT_S = 10
STOP_TIMEOUT_S = 2
ASK_AGAIN_AFTER_S = 0.5
SERVED_POLL_S = 0.02
SERVED_WITHIN_S = 10
NO_LEADER = -1


def kept_for(retention: timedelta) -> dict[str, str]:
    """Return the settings of a topic that keeps each message for *retention*, and at most a day longer."""
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(retention // timedelta(milliseconds=1)),
        "segment.ms": str(SEGMENT // timedelta(milliseconds=1)),
    }


async def create_topics(bootstrap_servers: str, topics: Mapping[str, Mapping[str, str]], patience: Patience) -> None:
    """Create the topics (each with its settings) that are missing; those that exist are left as they are.

    They keep messages for a week unless their settings say else. The broker creates none by itself: it would give
    them one partition. Waits, at most 10 s, until the broker tells of all their partitions and each has a leader.
    Raises KafkaError or TimeoutError.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    async with patience.bounded(CONNECT_TIMEOUT_S):
        try:
            await admin.start()
            await create_missing(admin, topics)
            await _until_served(admin, list(topics))
        finally:
            await admin.close()


async def create_missing(admin: AIOKafkaAdminClient, topics: Mapping[str, Mapping[str, str]]) -> None:
    """Ask for the topics that are missing, with a client that is started already; not bounded in time."""
    new = [
        NewTopic(name, PARTITIONS, 1, topic_configs={**kept_for(RETENTION), **settings})
        for name, settings in topics.items()
    ]
    try:
        answer = await admin.create_topics(new)
    except AttributeError as error:
        # aiokafka asks the controller for its id, also in the moment in which the cluster has not elected one.
        if error.name != "nodeId":
            raise
        raise NotControllerError("the cluster has no controller yet") from None
    errors: list[tuple[str, int, str]] = answer.topic_errors  # type: ignore[attr-defined]  # set at run time
    for name, code, message in errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise for_code(code)(f"topic {name}: {message}")


async def _until_served(admin: AIOKafkaAdminClient, topics: list[str]) -> None:
    """Wait for partitions and leaders: who subscribes to a topic just created would be assigned nothing of it."""
    try:
        async with asyncio.timeout(SERVED_WITHIN_S):
            while True:
                if all(_is_served(each) for each in await admin.describe_topics(topics)):
                    return
                await asyncio.sleep(SERVED_POLL_S)
    except TimeoutError:  # a broker that has some of the partitions may be away: the others are read and written
        log.warning("not all topics have partitions with leaders", extra={"topics": topics})


def _is_served(topic: Mapping[str, Any]) -> bool:
    return bool(topic["partitions"]) and all(each["leader"] != NO_LEADER for each in topic["partitions"])


def unserved(cluster: ClusterMetadata, topics: Iterable[str]) -> list[str]:
    """Return those of *topics* that do not exist in *cluster*, or have a partition without a leader."""
    return [
        topic
        for topic in topics
        if not (partitions := cluster.partitions_for_topic(topic))
        or cluster.available_partitions_for_topic(topic) != partitions
    ]


def producer(
    bootstrap_servers: str,
    client_id: str,
    *,
    max_bytes: int = 1024 * 1024,
    compression: str | None = None,
    gives_up: bool = False,
) -> AIOKafkaProducer:
    """Return a producer (not started) that keeps order and never gives up a record by itself.

    One that *gives_up* fails a record that is not acknowledged within some 10 s (it may have arrived all the same), and
    a record that the broker refuses is of no consequence for the next ones.
    """
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers,
        client_id=client_id,
        acks="all",
        enable_idempotence=not gives_up,
        request_timeout_ms=10_000,
        retry_backoff_ms=200,
        metadata_max_age_ms=30_000,
        # One batch may hold a whole read of the outbox, so that a broker outage fills no buffer.
        max_batch_size=1024 * 1024,
        max_request_size=max_bytes,
        compression_type=compression,
    )


def consumer(bootstrap_servers: str, *, group: str, instance_id: str) -> AIOKafkaConsumer:
    """Return a consumer (not started) whose offsets are committed by hand."""
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        client_id=instance_id,
        group_id=group,
        # Static membership (KIP-345): a killed worker is back in 0.3 s instead of waiting out its old session.
        group_instance_id=instance_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        session_timeout_ms=6_000,
        heartbeat_interval_ms=500,
        # Out of the way: a record may take as long as its handler needs; heartbeats show that the process lives.
        max_poll_interval_ms=24 * 3600 * 1000,
        rebalance_timeout_ms=10_000,
        request_timeout_ms=10_000,
        fetch_max_wait_ms=500,
        metadata_max_age_ms=30_000,
        check_crcs=True,
    )


def reader(bootstrap_servers: str, client_id: str) -> AIOKafkaConsumer:
    """Return a consumer (not started) outside of any group, for who looks into topics."""
    return AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        client_id=client_id,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        request_timeout_ms=10_000,
        fetch_max_wait_ms=500,
        metadata_max_age_ms=30_000,
        check_crcs=True,
    )


class Client(Protocol):
    """A producer or a consumer."""

    async def start(self) -> None: ...
    async def stop(self) -> None: ...


@contextlib.asynccontextmanager
async def started(client: Client, limit: AbstractAsyncContextManager[object] | None = None) -> AsyncIterator[None]:
    """Start *client* within 10 s or another *limit*, and stop it at the end within a bounded time (aiokafka #1101,
    #773: stop() may hang). Raises KafkaError or TimeoutError if it cannot be started."""
    try:
        async with limit or asyncio.timeout(ASK_TIMEOUT_S):
            await client.start()
        yield
    finally:
        await _stop(client)


@contextlib.asynccontextmanager
async def running(client: Client, patience: Patience, *, use: str = "") -> AsyncIterator[None]:
    """Be `started`, and tell in the status whether the broker can be reached.

    *use* tells the client from others with the same client id. Raises KafkaError or TimeoutError if it cannot be
    started, Stopped if the process is to stop meanwhile.
    """
    async with started(client, patience.bounded(CONNECT_TIMEOUT_S)):
        if isinstance(client, AIOKafkaProducer):
            _tell_of_broker(client.client, patience, use)
        elif isinstance(client, AIOKafkaConsumer):
            _tell_of_broker(client._client, patience, use)
        yield


async def _stop(client: Client) -> None:
    # In a task of its own: aiokafka's client.close() takes a cancellation for that of its own task, and the caller, who
    # was cancelled, would go on.
    stopping = asyncio.create_task(client.stop())
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await asyncio.shield(stopping)
    except (TimeoutError, KafkaError) as error:
        log.warning("a Kafka client did not stop cleanly", extra={"error": type(error).__name__})
    finally:
        stopping.cancel()


def part_of(client: AIOKafkaClient, use: str = "") -> str:
    """Return the part of the status that says whether *client* reaches the broker."""
    return f"broker ({' '.join(filter(None, (client._client_id, use)))})"


def _tell_of_broker(client: AIOKafkaClient, patience: Patience, use: str) -> None:
    """Let *client* say in the status whether it reaches the broker, also while there is nothing to send or to read.

    While it does not, or while one of its topics is missing, it asks twice a second: by themselves aiokafka's loops may
    ask hundreds of times, and log each.
    """
    # A private method, for want of a hook: aiokafka logs an update of its metadata that failed, returns False from here
    # and goes on; who had asked for the update asks again, the producer's sender for one without any pause.
    update = client._metadata_update
    # Each client has connections of its own: one may reach the broker while another does not.
    part = part_of(client, use)
    patience.status.fine(part)

    async def update_and_tell(cluster: ClusterMetadata, topics: Collection[str]) -> bool:
        reached: bool = await update(cluster, topics)  # type: ignore[no-untyped-call]
        if reached:
            patience.status.fine(part)
            if any(cluster.partitions_for_topic(topic) is None for topic in topics or ()):
                await asyncio.sleep(ASK_AGAIN_AFTER_S)
        else:
            patience.status.trouble(part, "cannot be reached")
            await asyncio.sleep(ASK_AGAIN_AFTER_S)
            asyncio.get_running_loop().call_soon(client.force_metadata_update)
        return reached

    client._metadata_update = update_and_tell  # type: ignore[method-assign]
