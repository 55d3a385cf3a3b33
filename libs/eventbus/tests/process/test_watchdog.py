import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from eventbus import kafka as bus_kafka
from eventbus.process.watchdog import HANDLER_S, Progress, Watchdog, watched_loop
from opentelemetry.instrumentation.utils import suppress_instrumentation

from libs.eventbus.tests.support import HANGS_AFTER_S, Kafka, OrderPlaced, encoded, unique


@pytest.fixture
async def consumer(kafka: Kafka) -> Any:
    """A consumer that has read the one record of its topic."""
    topic = await kafka.topic()
    await kafka.put(topic, encoded(OrderPlaced(order_id="o-1")))
    consumer = bus_kafka.consumer(kafka.broker, group=unique("group"), instance_id=unique("member"))
    consumer.subscribe([topic])
    async with bus_kafka.running(consumer, kafka.patience):
        await consumer.getone()
        yield consumer


async def looks(watchdog: Watchdog, consumer: AIOKafkaConsumer, times: int = 1000) -> str | None:
    """Look some times, or until something is wrong."""
    progress = Progress()
    for _ in range(times):
        if reason := await watchdog.look(consumer, progress):
            return reason
        await asyncio.sleep(0.05)
    return None


async def test_a_consumer_that_waits_for_records_is_left_alone(kafka: Kafka, consumer: AIOKafkaConsumer) -> None:
    assert await looks(Watchdog(kafka.patience.status, silent_s=0.2), consumer, times=20) is None


async def test_the_marks_of_transactions_at_the_end_of_a_partition_are_no_records(
    kafka: Kafka, consumer: AIOKafkaConsumer
) -> None:
    (topic,) = consumer.subscription()
    reading = asyncio.create_task(consumer.getone())
    async with kafka.producer(transactional_id=unique("tx")) as producer:
        await producer.begin_transaction()
        with suppress_instrumentation():
            await producer.send_and_wait(topic, b"aborted", partition=0)
        await producer.abort_transaction()
    async with asyncio.timeout(HANGS_AFTER_S):
        # The aborted record, and the mark.
        while await consumer.position(TopicPartition(topic, 0)) < 2:  # noqa: ASYNC110  aiokafka has no event for it
            await asyncio.sleep(0.01)
    reason = await looks(Watchdog(kafka.patience.status, silent_s=0.2), consumer, times=20)
    handed_over = reading.done()
    reading.cancel()

    assert (reason, handed_over) == (None, False)


@pytest.mark.parametrize(
    ("part", "task", "name"),
    [("_coordinator", "_coordination_task", "coordination"), ("_fetcher", "_fetch_task", "fetching")],
)
async def test_a_background_task_that_has_ended_is_noticed(
    part: str, task: str, name: str, kafka: Kafka, consumer: AIOKafkaConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = asyncio.get_running_loop().create_future()
    ended.set_result(None)
    with monkeypatch.context() as patch:
        patch.setattr(getattr(consumer, part), task, ended)
        reason = await looks(Watchdog(kafka.patience.status), consumer)

    assert reason == f"background tasks of the consumer have ended: {name}"


async def test_a_consumer_that_is_silent_although_there_are_records_is_noticed(
    kafka: Kafka, consumer: AIOKafkaConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = asyncio.Event()

    async def silent(*_: object) -> bool:
        await over.wait()
        return False

    (topic,) = consumer.subscription()
    monkeypatch.setattr(consumer._fetcher, "_proc_fetch_request", silent)
    await kafka.put(topic, *(encoded(OrderPlaced(order_id=f"o-{number}")) for number in range(5)))
    # The request that was on its way has brought some of them; whoever reads on hears nothing more.
    reason = await looks(Watchdog(kafka.patience.status, silent_s=0.5), consumer)
    over.set()

    assert reason == f"no progress for 0.5 s: there are records in {topic}/0"


async def test_a_consumer_that_never_joins_its_group_again_is_noticed(
    kafka: Kafka, consumer: AIOKafkaConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer._coordinator, "need_rejoin", lambda subscription: True)  # aiokafka #1154
    reason = await looks(Watchdog(kafka.patience.status, silent_s=0.2), consumer)

    assert reason == "no progress for 0.2 s: the consumer is not in its group"


async def test_nobody_is_silent_while_the_broker_is_away(
    kafka: Kafka, consumer: AIOKafkaConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer._coordinator, "need_rejoin", lambda subscription: True)
    kafka.patience.status.trouble("broker (member-1)", "cannot be reached")

    assert await looks(Watchdog(kafka.patience.status, silent_s=0.2), consumer, times=20) is None


async def test_a_handler_may_work_long_but_not_for_ever(kafka: Kafka, consumer: AIOKafkaConsumer) -> None:
    progress, watchdog = Progress(), Watchdog(kafka.patience.status, silent_s=0)
    impatient = Watchdog(kafka.patience.status, silent_s=0, handler_s=-1)
    with progress.in_hand(), progress.working():
        seen = [await watchdog.look(consumer, progress) for _ in range(3)]
        at_last = await impatient.look(consumer, progress)

    assert HANDLER_S > 60
    assert seen == [None] * 3
    assert at_last == "a handler has not returned for -1 s"


class Clock(threading.Event):
    """The watching thread's seconds: each passes at once, and *each_second* is called in it."""

    each_second: Callable[[], None] = staticmethod(lambda: None)
    seconds = 0

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout == 1
        Clock.seconds += 1
        Clock.each_second()
        return self.is_set()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> type[Clock]:
    monkeypatch.setattr(Clock, "seconds", 0)
    monkeypatch.setattr("eventbus.process.watchdog.threading", SimpleNamespace(Event=Clock, Thread=threading.Thread))
    return Clock


def test_an_event_loop_that_is_blocked_is_noticed_in_its_time(clock: type[Clock]) -> None:
    ended: SimpleQueue[str] = SimpleQueue()
    with watched_loop(30, ended.put):
        reason = ended.get(timeout=60)

    assert reason == "the event loop has been blocked for 30 s"
    assert clock.seconds == 31


def test_an_event_loop_that_beats_is_left_alone(clock: type[Clock], monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    beats: list[Callable[[], None]] = []
    begun, long_enough = threading.Event(), threading.Event()

    def beat_now_and_then() -> None:
        begun.wait(timeout=60)
        if clock.seconds % 20 == 0:
            beats[0]()
        if clock.seconds > 1000:
            long_enough.set()

    monkeypatch.setattr(clock, "each_second", beat_now_and_then)
    with watched_loop(30, ended.append) as beat:
        beats.append(beat)
        begun.set()
        long_enough.wait(timeout=60)

    assert clock.seconds > 1000
    assert ended == []


def test_a_process_that_hangs_ends_with_1_and_says_where_it_hung() -> None:
    program = """
import time
from eventbus.process import logs
from eventbus.process.watchdog import watched_loop
logs.configure()
def the_culprit():
    time.sleep(60)
with watched_loop(1):
    the_culprit()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=50)

    assert ended.returncode == 1
    assert "the_culprit" in ended.stderr
    assert '"reason": "the event loop has been blocked for 1 s"' in ended.stderr
