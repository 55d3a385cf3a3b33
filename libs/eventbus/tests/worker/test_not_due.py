"""How long a record of the retry topic waits."""

import time
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from eventbus.own_attributes import RETRY_HEADER_DUE
from eventbus.worker.not_due import NotDue

from libs.eventbus.tests.support import eventually

DELAY_S = 0.2


def record(due_in: float, *, topic: str = "retry", offset: int = 7) -> Any:
    headers = ((RETRY_HEADER_DUE, str(int((time.time() + due_in) * 1000)).encode()),)
    return ConsumerRecord(topic, 0, offset, 0, 0, b"k", b"v", None, 0, 0, headers)  # type: ignore[arg-type]


class FakeConsumer:
    """Remember which partitions are paused."""

    def __init__(self) -> None:
        self.paused: set[TopicPartition] = set()

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition("retry", 0)}

    def pause(self, partition: TopicPartition) -> None:
        self.paused.add(partition)

    def resume(self, partition: TopicPartition) -> None:
        self.paused.discard(partition)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Go back."""

    def rebalance(self) -> None:
        """Come again with all partitions."""
        self.paused.clear()


@pytest.fixture
def consumer() -> FakeConsumer:
    return FakeConsumer()


@pytest.fixture
def not_due(consumer: FakeConsumer) -> NotDue:
    return NotDue(consumer, topic="retry", delay_s=DELAY_S)  # type: ignore[arg-type]


async def test_a_record_waits_until_it_is_due_and_then_passes(not_due: NotDue, consumer: FakeConsumer) -> None:
    waiting = record(DELAY_S)
    put_back = not_due.put_back(waiting)
    paused = bool(consumer.paused)
    await until_resumed(not_due, consumer)

    assert (put_back, paused) == (True, True)
    assert not not_due.put_back(waiting)
    assert not_due.next_at is None


async def until_resumed(not_due: NotDue, consumer: FakeConsumer) -> None:
    def resumed() -> bool:
        not_due.resume()
        return not consumer.paused

    await eventually("its partition goes on", resumed)


async def test_a_record_that_comes_again_with_its_partition_still_waits(
    not_due: NotDue, consumer: FakeConsumer
) -> None:
    waiting = record(DELAY_S)
    not_due.put_back(waiting)
    due = not_due.next_at
    consumer.rebalance()
    not_due.forget_pauses()
    nobody_waits = not_due.next_at is None
    put_back = not_due.put_back(waiting)

    assert (nobody_waits, put_back) == (True, True)
    assert consumer.paused
    assert not_due.next_at == due


async def test_nobody_waits_longer_than_the_delay_nor_twice_whatever_the_clock_of_another_host_says(
    not_due: NotDue, consumer: FakeConsumer
) -> None:
    far = record(3600)
    not_due.put_back(far)
    await until_resumed(not_due, consumer)
    consumer.rebalance()
    not_due.forget_pauses()

    assert not not_due.put_back(far)
    assert not_due.put_back(record(3600, offset=8))


async def test_what_is_due_or_of_another_topic_does_not_wait(not_due: NotDue) -> None:
    assert not not_due.put_back(record(-1))
    assert not not_due.put_back(record(3600, topic="orders"))
