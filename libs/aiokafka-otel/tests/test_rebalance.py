"""A rebalance does not touch the record in hand."""

import asyncio

from aiokafka import ConsumerRebalanceListener, TopicPartition
from opentelemetry import trace

from .support import Kafka, Recorded, eventually, parent_id


class Listener(ConsumerRebalanceListener):
    """Remembers what was current when partitions went and came."""

    def __init__(self) -> None:
        self.spans: list[trace.Span] = []

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self.spans.append(trace.get_current_span())

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self.spans.append(trace.get_current_span())


async def test_the_span_of_the_record_in_hand_outlives_a_rebalance(kafka: Kafka, recorded: Recorded) -> None:
    source, target = await kafka.topic(partitions=2), await kafka.topic()
    for partition in range(2):
        await kafka.put(source, b"1", b"2", partition=partition)
    listener = Listener()
    async with kafka.producer() as producer:
        first = kafka.unstarted(group_id=source)
        first.subscribe([source], listener=listener)
        async with first:
            await first.getone()
            in_hand = trace.get_current_span()
            second = kafka.unstarted(source, group_id=source)
            joining = asyncio.create_task(second.start())
            await eventually("the partitions are shared", lambda: len(first.assignment()) == 1 and joining.done())

            assert in_hand.is_recording() and trace.get_current_span() is in_hand
            await producer.send_and_wait(target, b"value")
            await first.getone()
            assert not in_hand.is_recording()
        await second.stop()

    assert parent_id(recorded.span("send")) == in_hand.get_span_context().span_id
    assert len(listener.spans) >= 3
    assert set(listener.spans) == {trace.INVALID_SPAN}
