from contextlib import AsyncExitStack

import pytest
from aiokafka import TopicPartition
from eventbus import kafka as bus_kafka
from eventbus import within_transaction
from eventbus.worker import assignment
from eventbus.worker.assignment import Assignment

from libs.eventbus.tests.support import Kafka, OrderPlaced, Service, encoded, eventually, status_of, unique


async def test_a_worker_is_ready_only_when_its_topic_is_there_and_then_reads_it_at_once(
    service: Service, kafka: Kafka
) -> None:
    topic, handled = unique("orders"), []
    subscription = within_transaction(
        OrderPlaced.on(topic), lambda order, _: handled.append(order.order_id), lambda connection: connection
    )
    async with service.working(subscription, joins=False) as worker:
        expected = f"assignment: no partitions with leaders: {topic}"
        await eventually("it says what is missing", lambda: expected in status_of(worker.patience)["reason"])
        await kafka.create(topic)
        await eventually("the worker is ready", lambda: status_of(worker.patience)["ready"])
        await kafka.put(topic, *(encoded(OrderPlaced(order_id=f"o-{number}")) for number in range(3)))
        await eventually("all is handled", lambda: len(handled) == 3)


async def test_members_without_partitions_are_ready_as_well(service: Service, kafka: Kafka) -> None:
    topic = await kafka.topic()
    subscription = within_transaction(OrderPlaced.on(topic), lambda order, _: None, lambda connection: connection)
    async with AsyncExitStack() as members:
        for _ in range(bus_kafka.PARTITIONS + 1):  # each says that it has joined
            last = await members.enter_async_context(service.working(subscription))

        assert status_of(last.patience)["ready"]


async def test_partitions_that_nobody_in_the_group_reads_are_named_until_somebody_does(
    kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_by_others: set[TopicPartition] = set()

    async def asked(servers: str, group: str) -> set[TopicPartition]:
        return read_by_others

    monkeypatch.setattr(assignment, "_read_by_group", asked)
    topics = [await kafka.topic("orders"), await kafka.topic("left-out")]
    consumer = bus_kafka.consumer(kafka.broker, group=unique("group"), instance_id=unique("member"))
    consumer.subscribe(topics)
    async with bus_kafka.running(consumer, kafka.patience):
        await eventually("all is assigned", lambda: len(consumer.assignment()) == 2 * bus_kafka.PARTITIONS)
        everything = consumer.assignment()
        left_out = {each for each in everything if each.topic == topics[1]}
        monkeypatch.setattr(consumer, "assignment", lambda: everything - left_out)
        looking = Assignment(consumer, topics, group="group", servers=kafka.broker)
        before = await looking.look()
        read_by_others |= left_out
        after = await looking.look()

    assert before == f"nobody in the group reads {topics[1]}"
    assert after is None
