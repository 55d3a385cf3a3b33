"""How far a group is behind, as an operator sees it."""

import asyncio

from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.structs import TopicPartition
from eventbus import Database
from eventbus.tables import inbox

from .operating import Answer, Operator
from .support import Kafka, OrderPlaced, Service, count, encoded, eventually
from .test_worker import Handler


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
    heading, *rows, summary = behind.out.splitlines()
    assert heading.split() == ["GROUP", "TOPIC", "PARTITION", "COMMITTED", "END", "LAG", "READER"]
    assert [row.split()[2:] for row in rows if topic in row.split()] == [
        ["0", "2", "3", "1", "-"],
        ["1", "-", "2", "2", "-"],
        ["2", "-", "0", "0", "-"],
    ]
    assert summary == f"{service.group}: 3 behind, 0 reading"


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
