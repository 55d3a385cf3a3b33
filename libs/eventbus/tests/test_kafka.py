import asyncio
import contextlib
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import InvalidTopicError, KafkaConnectionError, NotControllerError
from eventbus import kafka as bus_kafka
from eventbus.process.patience import Stopped

from libs.eventbus.tests.support import Kafka, eventually, make_patience, status_of, unique


async def partitions(kafka: Kafka, topic: str) -> int:
    """Return how many partitions a topic has."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.broker)
    await admin.start()
    try:
        [found] = await admin.describe_topics([topic])
        return len(found["partitions"])
    finally:
        await admin.close()


async def test_missing_topics_are_created_and_others_left_as_they_are(kafka: Kafka) -> None:
    missing, existing = unique("orders"), unique("orders")
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.broker)
    await admin.start()
    await admin.create_topics([NewTopic(existing, 1, 1)])
    await admin.close()
    for _ in range(2):
        await bus_kafka.create_topics(kafka.broker, {missing: {}, existing: {}}, kafka.patience)

    assert await partitions(kafka, missing) == 3
    assert await partitions(kafka, existing) == 1


async def test_a_topic_that_was_created_is_waited_for_until_its_partitions_have_leaders(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaderless = {"partition": 0, "leader": -1}
    answers: list[Any] = [[{"partitions": []}], [{"partitions": [leaderless]}]]
    describe = AIOKafkaAdminClient.describe_topics

    async def described(admin: AIOKafkaAdminClient, topics: list[str]) -> Any:
        return answers.pop(0) if answers else await describe(admin, topics)

    monkeypatch.setattr(AIOKafkaAdminClient, "describe_topics", described)
    topic = await kafka.topic()

    assert answers == []
    assert await partitions(kafka, topic) == 3


async def test_topics_that_nobody_leads_are_named_and_hold_up_nothing(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def described(*_: object) -> Any:
        return [{"partitions": []}]

    monkeypatch.setattr(AIOKafkaAdminClient, "describe_topics", described)
    monkeypatch.setattr(bus_kafka, "SERVED_WITHIN_S", 0.1)
    topic = await kafka.topic()

    (told,) = [vars(record)["topics"] for record in caplog.records if "topics" in vars(record)]
    assert told == [topic]


async def test_a_cluster_without_a_controller_is_an_error_that_passes(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = ClusterMetadata.update_metadata

    def update_without_controller(cluster: ClusterMetadata, metadata: Any) -> None:
        update(cluster, metadata)
        cluster.controller = None

    monkeypatch.setattr(ClusterMetadata, "update_metadata", update_without_controller)
    with pytest.raises(NotControllerError, match="no controller yet"):
        await bus_kafka.create_topics(kafka.broker, {unique("orders"): {}}, kafka.patience)


async def test_a_client_whose_topic_is_gone_asks_for_it_at_a_pace(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def counted(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    client = bus_kafka.producer(kafka.broker, "shop-1")
    async with bus_kafka.running(client, kafka.patience):
        client.client.add_topic(unique("gone"))
        await client.client.force_metadata_update()
        monkeypatch.setattr("eventbus.kafka.asyncio.sleep", counted)
        for _ in range(3):
            await client.client.force_metadata_update()

    assert pauses == [bus_kafka.ASK_AGAIN_AFTER_S] * 3


async def test_a_topic_that_cannot_be_created_is_an_error_that_names_it(kafka: Kafka) -> None:
    with pytest.raises(InvalidTopicError, match="not/a/topic"):
        await bus_kafka.create_topics(kafka.broker, {"not/a/topic": {}}, kafka.patience)


async def test_a_broker_that_is_away_is_an_error(tmp_path: Path, unused_tcp_port: int) -> None:
    with pytest.raises(KafkaConnectionError):
        await bus_kafka.create_topics(f"127.0.0.1:{unused_tcp_port}", {"orders": {}}, make_patience(tmp_path))


async def test_a_stop_ends_connecting_to_a_broker_that_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_kafka, "CONNECT_TIMEOUT_S", 3600)  # so that it is the stop which ends it
    patience = make_patience(tmp_path)
    silent = socket.create_server(("127.0.0.1", 0))
    broker = f"127.0.0.1:{silent.getsockname()[1]}"
    asyncio.get_running_loop().call_later(0.1, patience.stop.set)
    with pytest.raises(Stopped):
        await bus_kafka.create_topics(broker, {"orders": {}}, patience)
    for client in (
        bus_kafka.producer(broker, "p"),
        bus_kafka.consumer(broker, group="g", instance_id="i"),
    ):
        with pytest.raises(Stopped):
            async with bus_kafka.running(client, patience):
                pytest.fail("started without a broker")
    silent.close()


class Stubborn:
    """A client whose stop never ends, as aiokafka's may (#1101, #773)."""

    def __init__(self) -> None:
        self.stopping = False

    async def start(self) -> None:
        """Start."""

    async def stop(self) -> None:
        self.stopping = True
        await asyncio.Event().wait()


async def test_a_client_that_does_not_stop_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bus_kafka, "STOP_TIMEOUT_S", 0.01)
    client = Stubborn()
    async with bus_kafka.running(client, make_patience(tmp_path)):
        pass

    assert client.stopping
    assert "a Kafka client did not stop cleanly" in caplog.messages


async def test_a_client_is_stopped_also_where_its_use_fails(tmp_path: Path) -> None:
    class Client(Stubborn):
        async def stop(self) -> None:
            self.stopping = True

    client = Client()
    with pytest.raises(LookupError):
        async with bus_kafka.running(client, make_patience(tmp_path)):
            raise LookupError

    assert client.stopping


async def test_who_is_cancelled_while_a_client_stops_does_not_go_on(tmp_path: Path) -> None:
    class Deaf(Stubborn):
        """Takes a cancellation for that of its own task, as aiokafka's clients do."""

        async def stop(self) -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await super().stop()

    client = Deaf()

    async def use() -> None:
        async with bus_kafka.running(client, make_patience(tmp_path)):
            pass

    using = asyncio.create_task(use())
    await eventually("it is being stopped", lambda: client.stopping)
    using.cancel()
    await asyncio.wait({using})

    assert using.cancelled()


@pytest.mark.parametrize("kind", ["producer", "consumer"])
async def test_a_broker_that_cannot_be_reached_is_told_and_asked_for_at_a_pace_until_it_is_back(
    kafka: Kafka, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bus_kafka, "ASK_AGAIN_AFTER_S", 0.1)
    patience = make_patience(tmp_path)
    client: Any = bus_kafka.producer(kafka.broker, "shop-1")
    inner = client.client
    if kind == "consumer":
        await client.stop()
        client = bus_kafka.consumer(kafka.broker, group=unique("g"), instance_id="shop-1")
        inner = client._client
    connect, attempts = inner._get_conn, []

    async def no_connection(*_: object, **__: object) -> None:
        attempts.append(time.monotonic())

    async with bus_kafka.running(client, patience):
        before = status_of(patience)
        inner._get_conn = no_connection
        while len(attempts) < 4:
            await inner.force_metadata_update()  # as aiokafka's loops do
        meanwhile = status_of(patience)
        inner._get_conn = connect
        await eventually("the broker is found again", lambda: status_of(patience)["ready"])

    assert before["ready"]
    assert meanwhile == {"ready": False, "reason": "broker (shop-1): cannot be reached"}
    assert attempts[3] - attempts[0] >= 3 * 0.1


async def test_a_client_that_reaches_the_broker_does_not_speak_for_one_that_does_not(
    kafka: Kafka, tmp_path: Path
) -> None:
    async def no_connection(*_: object, **__: object) -> None:
        """Reach nobody."""

    patience = make_patience(tmp_path)
    clients: list[Any] = [bus_kafka.producer(kafka.broker, name) for name in ("shop-1-relay", "shop-1-dead-letters")]
    async with bus_kafka.running(clients[0], patience), bus_kafka.running(clients[1], patience):
        clients[0].client._get_conn = no_connection
        await clients[0].client.force_metadata_update()
        await clients[1].client.force_metadata_update()
        status = status_of(patience)

    assert status == {"ready": False, "reason": "broker (shop-1-relay): cannot be reached"}
