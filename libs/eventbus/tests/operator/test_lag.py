"""How far a group is behind, as an operator sees it."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition
from eventbus import Database
from eventbus.database.tables import inbox
from eventbus.operator.lag import Position, summary
from opentelemetry.instrumentation.utils import suppress_instrumentation

from libs.eventbus.tests.operating import Answer, Operator
from libs.eventbus.tests.support import Kafka, OrderPlaced, Service, count, encoded, eventually, unique
from libs.eventbus.tests.worker.test_worker import Handler


async def lag(kafka: Kafka, *arguments: str) -> Answer:
    """Run `eventbus lag`."""
    operator = Operator(kafka, "unused", asyncio.Runner())
    return await asyncio.to_thread(operator.eventbus, "lag", *arguments)


def an_order(name: str) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    return encoded(OrderPlaced(order_id=name))


async def test_a_group_is_behind_by_what_its_topics_hold_and_nobody_has_handled(
    kafka: Kafka, database: Database, service: Service
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, an_order("o-1"), an_order("o-2"))
    async with service.working(Handler().on(topic), instance_id="billing-1"):
        await eventually("two are handled", lambda: count(database, inbox) == 2)
        await kafka.until_committed(service.group, topic, {0: 2})
        working = await lag(kafka, "--group", service.group, "--json")
    await kafka.put(topic, an_order("o-3"), partition=0)
    await kafka.put(topic, an_order("o-4"), an_order("o-5"), partition=1)
    await until_left(kafka, service.group)
    behind = await lag(kafka, "--group", service.group)

    partitions = [each for each in working.json if each["topic"] == topic]
    assert [(each["committed"], each["end"], each["lag"]) for each in partitions] == [
        (2, 2, 0),
        (None, 0, 0),
        (None, 0, 0),
    ]
    assert {each["topic"] for each in working.json} == {topic, service.retries}
    assert {each["reader"] for each in working.json} == {"billing-1"}
    heading, *rows, last = behind.out.splitlines()
    assert heading.split() == ["GROUP", "TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "READER"]
    assert [row.split()[2:] for row in rows if topic in row.split()] == [
        ["0", "2", "3", "1", "-"],
        ["1", "-", "2", "2", "-"],
        ["2", "-", "0", "0", "-"],
    ]
    assert last == f"{service.group}: 3 behind, 0 reading"


@pytest.mark.parametrize(
    ("lag", "reader", "says"),
    [
        (40, "billing-1", "billing: 40 behind, 1 reading or stopped a moment ago"),
        (40, None, "billing: 40 behind, 0 reading"),
        (0, "billing-1", "billing: 0 behind, 1 reading"),
    ],
)
def test_who_has_a_partition_may_have_stopped_as_the_broker_learns_it_later(
    lag: int, reader: str | None, says: str
) -> None:
    assert summary([Position("billing", "orders", 0, 2, 2 + lag, lag, reader)]) == [says]


async def until_left(kafka: Kafka, group: str) -> None:
    """Wait until the broker has forgotten a static member, which does not leave by itself."""
    async with asyncio.timeout(60):
        while not (await lag(kafka, "--group", group)).out.endswith(" 0 reading\n"):
            pass


async def test_what_was_removed_unread_is_not_waited_for(kafka: Kafka, service: Service) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, *(an_order(f"o-{number}") for number in range(5)))
    async with service.working(Handler().on(topic)):
        await kafka.until_committed(service.group, topic, {0: 5})
    await kafka.put(topic, *(an_order(f"p-{number}") for number in range(5)))
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.broker)
    await admin.start()
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(8)})
    await admin.close()
    answer = await lag(kafka, "--group", service.group, "--json")

    assert [each["lag"] for each in answer.json if each["topic"] == topic] == [2, 0, 0]


async def test_marks_of_transactions_and_what_was_aborted_are_not_waited_for_nor_is_a_transaction_that_is_open(
    kafka: Kafka, database: Database, service: Service
) -> None:
    topic = await kafka.topic()

    async def send(producer: AIOKafkaProducer, partition: int, name: str) -> None:
        key, value, headers = an_order(name)
        with suppress_instrumentation():
            await producer.send_and_wait(topic, value, key=key, headers=headers, partition=partition)

    async with (
        kafka.producer(transactional_id=unique("tx")) as producer,
        kafka.producer(transactional_id=unique("tx")) as hanging,
    ):
        for number in range(3):
            async with producer.transaction():
                await send(producer, 0, f"o-{number}")
        await producer.begin_transaction()
        await send(producer, 1, "aborted")
        await producer.abort_transaction()
        await hanging.begin_transaction()
        await send(hanging, 2, "open")
        await kafka.put(topic, an_order("behind"), partition=2)
        before = await lag(kafka, "--group", service.group, "--json")
        async with service.working(Handler().on(topic)):
            await kafka.until_committed(service.group, topic, {0: 5})
            handled = await lag(kafka, "--group", service.group, "--json")
            async with producer.transaction():
                await send(producer, 1, "o-4")
            await kafka.until_committed(service.group, topic, {0: 5, 1: 3})
        async with producer.transaction():
            await send(producer, 1, "o-5")
        one_left = await lag(kafka, "--group", service.group, "--json")
        await hanging.commit_transaction()
    all_left = await lag(kafka, "--group", service.group, "--json")

    assert before.exit_code == 1
    assert [each["lag"] for each in handled.json if each["topic"] == topic] == [0, 0, 0]
    assert [each["lag"] for each in one_left.json if each["topic"] == topic] == [0, 1, 0]
    assert [each["lag"] for each in all_left.json if each["topic"] == topic] == [0, 1, 2]


async def test_of_many_records_only_the_first_are_counted_one_by_one(
    kafka: Kafka, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventbus.operator.lag.COUNTED_ONE_BY_ONE", 2)
    topic = await kafka.topic()
    await kafka.put(topic, an_order("o-1"))
    async with service.working(Handler().on(topic)):
        await kafka.until_committed(service.group, topic, {0: 1})
    await kafka.put(topic, *(an_order(f"o-{number}") for number in range(9)))
    answer = await lag(kafka, "--group", service.group, "--json")

    assert [each["lag"] for each in answer.json if each["topic"] == topic] == [9, 0, 0]


async def test_all_groups_are_shown_where_none_is_named(kafka: Kafka, service: Service) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, an_order("o-1"))
    async with service.working(Handler().on(topic)):
        await kafka.until_committed(service.group, topic, {0: 1})
        answer = await lag(kafka, "--json")

    assert answer.exit_code == 0
    assert service.group in {each["group"] for each in answer.json}


async def test_a_group_that_nobody_knows_is_said_so(kafka: Kafka) -> None:
    answer = await lag(kafka, "--group", "nobody")

    assert (answer.exit_code, answer.out, answer.err) == (1, "", "no such group has read anything\n")


async def test_a_broker_that_is_away_is_named(kafka: Kafka, unused_tcp_port: int) -> None:
    kafka.broker = f"127.0.0.1:{unused_tcp_port}"
    answer = await lag(kafka)

    assert answer.exit_code == 2
    assert f"the broker at {kafka.broker} does not answer" in answer.err
