import asyncio
import concurrent.futures
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from time import monotonic
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaConnectionError
from eventbus import Database, Event, Subscription, outside_transaction, within_transaction
from eventbus.database.outage import WrongTables
from eventbus.database.tables import inbox, unfinished
from eventbus.errors import Poison, Transient, Unavailable, error_type
from eventbus.worker.group import Group
from eventbus.worker.membership import Fenced
from eventbus.worker.offsets import Offsets
from eventbus.worker.worker import Worker
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import StatusCode
from sqlalchemy import Connection, bindparam, insert, select, text
from sqlalchemy.exc import IntegrityError

from libs.eventbus.tests.support import (
    Kafka,
    OrderPlaced,
    Recorded,
    Running,
    Service,
    count,
    effects,
    effects_of,
    encoded,
    eventually,
    header,
    make_patience,
    running,
    status_of,
    traceparent,
    unique,
    worker_settings,
)


class Handler:
    """Store each order as an effect. What a test wants to happen before that, it puts into `first`."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def first(self, order_id: str) -> None:
        """Nothing."""

    def __call__(self, order: OrderPlaced, connection: Connection) -> Event | None:
        self.calls.append(order.order_id)
        self.first(order.order_id)
        connection.execute(insert(effects).values(order_id=order.order_id))
        return None

    def on(self, topic: str) -> Subscription:
        """Subscribe to the orders of a topic."""
        return within_transaction(OrderPlaced.on(topic), self, lambda connection: connection)


class FailsAtFirst(Handler):
    """Fail so many times for one order."""

    def __init__(self, order_id: str, times: int, error: type[Exception]) -> None:
        super().__init__()
        self._order_id = order_id
        self._left = times
        self._error = error

    def first(self, order_id: str) -> None:
        if order_id == self._order_id and self._left:
            self._left -= 1
            raise self._error("no mail server")


class Waits(Handler):
    """Wait until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def first(self, order_id: str) -> None:
        assert self.go_on.wait(timeout=60)


def orders(*order_ids: str) -> "list[tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]]":
    return [encoded(OrderPlaced(order_id=order)) for order in order_ids]


async def test_each_record_is_handled_once_and_its_offset_committed_while_the_worker_goes_on(
    kafka: Kafka, database: Database, service: Service
) -> None:
    topic = await kafka.topic()
    names = [f"{partition}-{number:02}" for partition in range(3) for number in range(20 + partition)]
    for partition in range(3):
        await kafka.put(topic, *orders(*(n for n in names if n.startswith(f"{partition}-"))), partition=partition)
    handler = Handler()
    async with service.working(handler.on(topic)):
        await eventually("all orders are handled", lambda: count(database, effects) == len(names))
        await kafka.until_committed(service.group, topic, {0: 20, 1: 21, 2: 22})

    assert sorted(handler.calls) == sorted(names)
    for partition in range(3):
        mine = [order for order in effects_of(database) if order.startswith(f"{partition}-")]
        assert mine == sorted(mine)


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_topics_that_the_broker_compresses_are_read(
    kafka: Kafka, database: Database, service: Service, codec: str
) -> None:
    topic = await kafka.topic(compression_type=codec)
    await kafka.put(topic, *orders(*(f"o-{number}" for number in range(9))))
    async with service.working(Handler().on(topic)):
        await eventually("all orders are handled", lambda: count(database, effects) == 9)

    assert effects_of(database) == [f"o-{number}" for number in range(9)]


async def test_the_spans_of_handled_records_continue_their_traces_and_are_no_duplicates(
    kafka: Kafka, database: Database, service: Service, recorded: Recorded
) -> None:
    topic = await kafka.topic()
    with recorded.tracer.start_as_current_span("the cause") as cause:
        parent = f"00-{cause.get_span_context().trace_id:032x}-{cause.get_span_context().span_id:016x}-01"
        record = encoded(OrderPlaced(order_id="o-1"), traceparent=parent.encode())
    await kafka.put(topic, record)
    async with service.working(Handler().on(topic)):
        await eventually("the order is handled", lambda: effects_of(database))
    (span,) = recorded.spans(f"process {topic}")

    assert span.parent is not None
    assert (span.context.trace_id, span.parent.span_id) == (
        cause.get_span_context().trace_id,
        cause.get_span_context().span_id,
    )
    assert span.status.status_code is StatusCode.UNSET
    assert "journey.duplicate" not in (span.attributes or {})


async def test_a_message_that_comes_twice_has_one_effect_and_its_second_span_says_so(
    kafka: Kafka, database: Database, service: Service, recorded: Recorded
) -> None:
    topic = await kafka.topic()
    message = encoded(OrderPlaced(order_id="o-1"), event_id="e-1")
    await kafka.put(topic, message, message, *orders("o-2"))
    async with service.working(Handler().on(topic)):
        await eventually("the order behind is handled", lambda: "o-2" in effects_of(database))
    marks = [(span.attributes or {}).get("journey.duplicate") for span in recorded.spans(f"process {topic}")]

    assert effects_of(database) == ["o-1", "o-2"]
    assert marks == [None, True, None]


async def test_messages_of_two_sources_with_one_id_both_have_their_effect(
    kafka: Kafka, database: Database, service: Service
) -> None:
    topic = await kafka.topic()
    web = encoded(OrderPlaced(order_id="web-1"), event_id="100", ce_source=b"/shop/web")
    phone = encoded(OrderPlaced(order_id="phone-1"), event_id="100", ce_source=b"/shop/phone")
    await kafka.put(topic, web, phone, web, *orders("o-2"))
    async with service.working(Handler().on(topic)):
        await eventually("the order behind is handled", lambda: "o-2" in effects_of(database))

    assert effects_of(database) == ["web-1", "phone-1", "o-2"]


async def test_records_that_come_again_after_a_crash_have_one_effect(
    kafka: Kafka, database: Database, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, *orders("o-1", "o-2", "o-3"))
    again = Handler()

    async def crashes_before() -> None:
        """Commit nothing."""

    with monkeypatch.context() as patch:
        patch.setattr(Offsets, "_commit", lambda self: crashes_before())
        async with service.working(Handler().on(topic), instance_id="same"):
            await eventually("all orders are handled", lambda: count(database, effects) == 3)
    offsets_before = await kafka.committed(service.group, topic)
    async with service.working(again.on(topic), instance_id="same"):
        await kafka.until_committed(service.group, topic, {0: 3})

    assert offsets_before == {}
    assert effects_of(database) == ["o-1", "o-2", "o-3"]
    assert again.calls == []


async def test_while_infrastructure_is_away_the_same_record_is_tried_again_and_the_worker_is_not_ready(
    kafka: Kafka, database: Database, service: Service, recorded: Recorded
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, *orders("o-1", "o-2", "o-3"))
    handler = FailsAtFirst("o-2", times=3, error=Unavailable)
    async with service.working(handler.on(topic)) as worker:
        await eventually("the worker is not ready", lambda: not status_of(worker.patience)["ready"])
        reason = status_of(worker.patience)["reason"]
        await eventually("all orders are handled", lambda: count(database, effects) == 3)
        await eventually("the worker is ready", lambda: status_of(worker.patience)["ready"])
    spans = recorded.spans(f"process {topic}")

    assert reason == "worker: no mail server, trying again"
    assert handler.calls == ["o-1", "o-2", "o-2", "o-2", "o-2", "o-3"]
    assert effects_of(database) == ["o-1", "o-2", "o-3"]
    assert [len(span.events) for span in spans] == [0, 3, 0]
    assert dict(spans[1].events[0].attributes or {})["exception.type"] == "eventbus.errors.Unavailable"
    assert spans[1].status.status_code is StatusCode.UNSET
    assert await kafka.committed(service.group, topic) == {0: 3}


async def test_what_fails_for_another_reason_is_tried_again_later_and_those_behind_it_do_not_wait(
    kafka: Kafka, database: Database, service: Service, recorded: Recorded
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, *orders("o-1", "o-2", "o-3"))
    handler = FailsAtFirst("o-2", times=2, error=Transient)
    async with service.working(handler.on(topic)) as worker:
        await eventually("all orders are handled", lambda: count(database, effects) == 3)
        status = status_of(worker.patience)
        await kafka.until_committed(service.group, topic, {0: 3})
    tries = await kafka.records(service.retries)
    failed, retried = recorded.spans(f"process {topic}")[1], recorded.spans(f"process {service.retries}")
    sent = recorded.spans(f"send {service.retries}")

    assert status["ready"]
    assert effects_of(database) == ["o-1", "o-3", "o-2"]
    assert handler.calls == ["o-1", "o-2", "o-3", "o-2", "o-2"]
    assert [header(each, "retry.attempt") for each in tries] == ["1", "2"]
    assert {header(each, "retry.original-topic") for each in tries} == {topic}
    assert {header(each, "retry.original-offset") for each in tries} == {"1"}
    # Each try is the child of the message that announced it, which is the child of the try that failed.
    chain = [failed, sent[0], retried[0], sent[1], retried[1]]
    assert {span.context.trace_id for span in chain} == {failed.context.trace_id}
    for parent, child in itertools.pairwise(chain):
        assert child.parent is not None
        assert child.parent.span_id == parent.context.span_id
    assert [span.status.status_code is StatusCode.ERROR for span in chain] == [True, False, True, False, False]
    assert failed.status.description == "Transient: no mail server"


async def test_a_message_without_a_key_is_tried_again_and_set_aside_without_one(
    kafka: Kafka, database: Database, service: Service
) -> None:
    topic = await kafka.topic()
    records = [(None, value, headers) for _, value, headers in orders("o-1", "o-2")]
    await kafka.put(topic, *records)
    handler = FailsAtFirst("o-1", times=99, error=Transient)
    letters: list[ConsumerRecord[bytes, bytes]] = []
    async with service.working(handler.on(topic)):
        while not letters:
            letters = await kafka.records(service.letters)
    tries = await kafka.records(service.retries)

    assert effects_of(database) == ["o-2"]
    assert [each.key for each in (*tries, *letters)] == [None] * 3


async def test_a_try_waits_for_its_delay_and_the_wait_is_no_work(
    kafka: Kafka, database: Database, service: Service, recorded: Recorded
) -> None:
    service.settings = {"retry_delay_s": 1.5}
    topic = await kafka.topic()
    await kafka.put(topic, *orders("o-1"))
    async with service.working(FailsAtFirst("o-1", times=1, error=Transient).on(topic)):
        await eventually("the order is handled", lambda: effects_of(database))
    (failed,), (retried,) = recorded.spans(f"process {topic}"), recorded.spans(f"process {service.retries}")

    assert failed.end_time is not None and retried.start_time is not None and retried.end_time is not None
    assert retried.start_time - failed.end_time > 1.4e9
    assert (retried.attributes or {})["journey.queue.wait_ms"] >= 1400  # type: ignore[operator]
    assert failed.start_time is not None
    due = datetime.fromisoformat(str((failed.attributes or {})["journey.retry.due"])).timestamp()
    assert failed.start_time / 1e9 + 1.5 - 0.001 <= due <= failed.end_time / 1e9 + 1.5
    assert retried.start_time / 1e9 >= due - 0.01


async def test_a_try_waits_for_its_delay_while_its_partition_comes_and_goes(
    kafka: Kafka, database: Database, service: Service, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    class FailsOnce(Handler):
        def first(self, order_id: str) -> None:
            if self.calls.count(order_id) == 1:
                raise Transient("not yet")

    service.settings = {"retry_delay_s": 8}
    caplog.set_level("INFO", "eventbus.worker.worker")
    topic = await kafka.topic()
    handler = FailsOnce()
    await kafka.put(topic, *orders(*(f"o-{number}" for number in range(6))))
    async with AsyncExitStack() as members:
        await members.enter_async_context(service.working(handler.on(topic)))
        await eventually("all have failed", lambda: len(handler.calls) == 6)
        for member in range(2, 4):
            before = caplog.messages.count("partitions assigned")
            await members.enter_async_context(service.working(handler.on(topic)))
            await eventually(
                "all have partitions",
                lambda: caplog.messages.count("partitions assigned") >= before + member,  # noqa: B023
            )
        await eventually("all are handled", lambda: len(effects_of(database)) == 6)
    due = {
        span.context.trace_id: datetime.fromisoformat(str((span.attributes or {})["journey.retry.due"])).timestamp()
        for span in recorded.spans(f"process {topic}")
    }
    early = [
        span
        for span in recorded.spans(f"process {service.retries}")
        if (span.start_time or 0) / 1e9 < due[span.context.trace_id] - 0.01
    ]

    assert early == []


@pytest.mark.parametrize("error", [Transient, KeyError])
async def test_what_has_had_its_tries_is_a_dead_letter_of_its_first_topic(
    error: type[Exception], kafka: Kafka, database: Database, service: Service
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, *orders("o-1", "o-2"))
    handler = FailsAtFirst("o-1", times=99, error=error)
    letters: list[ConsumerRecord[bytes, bytes]] = []
    async with service.working(handler.on(topic)):
        while not letters:
            letters = await kafka.records(service.letters)
        await kafka.until_committed(service.group, topic, {0: 2})
    (letter,) = letters

    assert handler.calls == ["o-1", "o-2", "o-1", "o-1"]
    assert (header(letter, "dlq.attempts"), header(letter, "dlq.error-type")) == ("3", error_type(error()))
    assert (header(letter, "dlq.original-topic"), header(letter, "dlq.original-offset")) == (topic, "0")
    assert [name for name, _ in letter.headers if name.startswith("retry.")] == []
    # The text of an error that nobody knows may quote the message.
    assert ("no mail server" in str(header(letter, "dlq.error-message"))) == (error is Transient)
    assert effects_of(database) == ["o-2"]


async def test_garbage_in_the_retry_topic_goes_to_the_dead_letters_and_holds_up_nobody(
    kafka: Kafka, database: Database, service: Service
) -> None:
    topic = await kafka.topic()
    await kafka.create(service.retries)
    far = str(int((time.time() + 3600) * 1000)).encode()
    await kafka.put(service.retries, (b"k", b"\xff", [("retry.due", b"soon"), ("retry.attempt", b"\xff")]))
    endless = [("retry.due", b"9" * 400), ("retry.attempt", b"-" + b"9" * 400)]
    await kafka.put(service.retries, (b"k", b"\xff", [("retry.due", far)]), (b"k", b"\xff", endless), *orders("o-1"))
    async with service.working(Handler().on(topic)):
        await eventually("the order behind is handled", lambda: effects_of(database))

    assert len(await kafka.records(service.letters)) == 3


async def test_what_the_handler_calls_poison_goes_to_the_dead_letters_at_once(
    kafka: Kafka, database: Database, service: Service
) -> None:
    class Refuses(Handler):
        def first(self, order_id: str) -> None:
            if order_id == "o-1":
                raise Poison("the address is not valid")

    topic = await kafka.topic()
    await kafka.put(topic, *orders("o-1", "o-2"))
    handler = Refuses()
    async with service.working(handler.on(topic)):
        await eventually("the order behind is handled", lambda: effects_of(database))
    (letter,) = await kafka.records(service.letters)

    assert handler.calls == ["o-1", "o-2"]
    assert effects_of(database) == ["o-2"]
    assert header(letter, "dlq.error-message") == "the address is not valid"
    assert count(database, inbox) == 1


class Unbindable:
    """A value that no driver can bind."""


def bind(connection: Connection) -> None:
    connection.execute(text("SELECT :value").bindparams(bindparam("value", Unbindable())))


def go_on_after_an_integrity_error(connection: Connection) -> None:
    for _ in range(2):
        with suppress(IntegrityError):
            connection.execute(insert(effects).values(id=1, order_id="o-1"))
    connection.execute(select(effects).where(effects.c.id == None))  # noqa: E711
    raise KeyError("SQLite lets it go on")


def stop_an_iteration(connection: Connection) -> None:
    next(iter(()))


def cancel(connection: Connection) -> None:
    raise asyncio.CancelledError


def cancel_a_future(connection: Connection) -> None:
    raise concurrent.futures.CancelledError


def leave(connection: Connection) -> None:
    sys.exit("no more")


def end_a_generator(connection: Connection) -> None:
    raise GeneratorExit


OWN_FAULTS = [
    bind,
    go_on_after_an_integrity_error,
    stop_an_iteration,
    cancel,
    cancel_a_future,
    leave,
    end_a_generator,
]


class Misbehaves(Handler):
    """Do something else with the first order."""

    def __init__(self, deed: Callable[[Connection], None]) -> None:
        super().__init__()
        self._deed = deed

    def __call__(self, order: OrderPlaced, connection: Connection) -> Event | None:
        if order.order_id == "o-1":
            self._deed(connection)
        return super().__call__(order, connection)


@pytest.mark.parametrize("deed", OWN_FAULTS)
async def test_a_message_at_which_only_its_handler_fails_has_its_tries_and_those_behind_it_are_handled(
    kafka: Kafka, database: Database, service: Service, deed: Callable[[Connection], None]
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, *orders("o-1", "o-2"))
    letters: list[ConsumerRecord[bytes, bytes]] = []
    async with service.working(Misbehaves(deed).on(topic)) as worker:
        await eventually("the order behind is handled", lambda: effects_of(database))
        async with asyncio.timeout(20):
            while not letters:
                letters = await kafka.records(service.letters)
        status = status_of(worker.patience)

    assert status["ready"]
    assert [header(letter, "dlq.attempts") for letter in letters] == ["3"]
    assert effects_of(database) == ["o-2"]


async def test_a_column_that_is_missing_ends_the_worker_and_its_message_is_not_done(
    kafka: Kafka, database: Database, service: Service
) -> None:
    def look(connection: Connection) -> None:
        connection.execute(text("SELECT colour FROM effects"))

    topic = await kafka.topic()
    await kafka.put(topic, *orders("o-0", "o-1", "o-2"))
    with pytest.raises(WrongTables, match="colour"):
        async with service.working(Misbehaves(look).on(topic)) as worker:
            await eventually("the worker has ended", worker.task.done)

    assert await kafka.committed(service.group, topic) == {0: 1}
    assert effects_of(database) == ["o-0"]
    assert await kafka.records(service.letters) == []


async def test_what_is_too_large_to_wait_for_another_try_goes_to_the_dead_letters(
    kafka: Kafka, database: Database, service: Service
) -> None:
    topic = await kafka.topic(max_message_bytes=str(32 * 1024 * 1024))
    key, _, headers = orders("large")[0]
    large = json.dumps({"order_id": "large", "picture": os.urandom(9 * 1024 * 1024).hex()}).encode()
    async with kafka.producer(max_request_size=32 * 1024 * 1024) as producer:
        with suppress_instrumentation():
            await producer.send_and_wait(topic, large, key=key, headers=headers, partition=0)
    await kafka.put(topic, *orders("o-2"))
    async with service.working(FailsAtFirst("large", times=99, error=Transient).on(topic)):
        await eventually("the order behind is handled", lambda: effects_of(database))
    (letter,) = await kafka.records(service.letters)

    assert (header(letter, "dlq.attempts"), header(letter, "dlq.error-message")) == ("1", "no mail server")
    assert header(letter, "dlq.value-bytes") == str(len(large))
    assert effects_of(database) == ["o-2"]


GOOD = OrderPlaced(order_id="bad")
POISON = {
    "bytes": (b"k", b"\xff\x00", encoded(GOOD)[2]),
    "wrong shape": (b"k", b'["o-1"]', encoded(GOOD)[2]),
    "no headers": (b"k", b"{}", []),
    "unknown type": encoded(GOOD, ce_type=b"order.lost.v1"),
    "broken id": encoded(GOOD, ce_id=b"\xff"),
    "broken traceparent": (b"k", b"{}", [("traceparent", b"\xff\xfe"), ("baggage", b"\xff"), ("tracestate", b"=")]),
    "tombstone": (b"k", None, encoded(GOOD)[2]),
    "neither key nor value": (None, None, [("ce_id", b"e-1")]),
}


async def test_poison_goes_to_the_dead_letters_in_its_trace_and_the_orders_behind_it_are_handled(
    kafka: Kafka, database: Database, service: Service, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await kafka.topic()
    # A producer of aiokafka refuses a record that has neither key nor value; others send it.
    monkeypatch.setattr("aiokafka.AIOKafkaProducer.send", _send_whatever)
    await kafka.put(topic, *orders("o-1"), *POISON.values(), *orders("o-2"))
    monkeypatch.undo()
    async with service.working(Handler().on(topic)) as worker:
        await eventually("the order behind is handled", lambda: "o-2" in effects_of(database))
        status = status_of(worker.patience)
    sent = (await kafka.records(topic))[1:-1]
    letters = {header(letter, "dlq.original-offset"): letter for letter in await kafka.records(service.letters)}
    processing = recorded.spans(f"process {topic}")
    sending = {traceparent(span): span for span in recorded.spans(f"send {service.letters}")}

    assert status["ready"]
    assert effects_of(database) == ["o-1", "o-2"]
    assert len(letters) == len(sent) == len(POISON)
    for record, span in zip(sent, processing[1:-1], strict=True):
        letter = letters[str(record.offset)]
        letter_span = sending[str(header(letter, "traceparent"))]
        assert (letter.key or None, letter.value) == (record.key, record.value)
        assert letter_span.parent is not None
        assert letter_span.parent.span_id == span.context.span_id
        assert letter_span.context.trace_id == span.context.trace_id
        assert span.status.status_code is StatusCode.ERROR
        assert (span.attributes or {})["error.type"] == "eventbus.errors.Poison"
        assert [event.name for event in span.events] == ["exception"]
        assert span.start_time <= letter_span.start_time <= letter_span.end_time <= span.end_time  # type: ignore[operator]
    assert await kafka.committed(service.group, topic) == {0: len(POISON) + 2}


async def _send_whatever(
    producer: Any, topic: str, value: bytes | None, *, key: bytes | None, headers: Any, partition: int
) -> Any:
    await producer.client._wait_on_metadata(topic)
    return await producer._message_accumulator.add_message(
        TopicPartition(topic, partition), key, value, 10, headers=headers
    )


async def test_a_stop_while_it_waits_for_a_record_ends_at_once(
    kafka: Kafka, service: Service, database: Database
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, *orders("o-1"))
    async with service.working(Handler().on(topic)) as worker:
        await eventually("the order is handled", lambda: effects_of(database))
        # Until then the wait ends by itself soon.
        await kafka.until_committed(service.group, topic, {0: 1})
        await worker.stop()

        assert worker.task.done()


async def test_a_stop_right_after_a_record_commits_it(kafka: Kafka, service: Service, database: Database) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, *orders("o-1"))
    async with service.working(Handler().on(topic)) as worker:
        await eventually("the order is handled", lambda: effects_of(database))
        await worker.stop()

    assert await kafka.committed(service.group, topic) == {0: 1}


async def test_a_stop_while_a_handler_works_lets_it_finish_commits_and_takes_no_other_record(
    kafka: Kafka, service: Service, database: Database
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, *orders("o-1", "o-2"))
    handler = Waits()
    async with service.working(handler.on(topic)) as worker:
        await eventually("the handler works", lambda: handler.calls)
        stopping = asyncio.create_task(worker.stop())
        await eventually("the stop is asked for", worker.patience.stop.is_set)
        handler.go_on.set()
        await stopping

    assert effects_of(database) == ["o-1"]
    assert await kafka.committed(service.group, topic) == {0: 1}


async def test_a_handler_that_is_at_work_when_the_process_is_to_stop_is_not_blamed_if_it_is_killed_for_it(
    kafka: Kafka, service: Service, database: Database
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, *orders("o-1"))
    go_on = threading.Event()
    working = outside_transaction(
        OrderPlaced.on(topic), lambda order, _: go_on.wait(timeout=20), None, record=lambda connection, _: None
    )
    async with service.working(working) as worker:
        await eventually("the delivery is noted", lambda: count(database, unfinished))
        worker.patience.stop.set()
        await eventually("the delivery is struck off", lambda: not count(database, unfinished))
        go_on.set()

    assert await kafka.committed(service.group, topic) == {0: 1}


async def test_a_stop_while_a_record_is_tried_again_leaves_it_for_the_next_start(
    kafka: Kafka, service: Service, database: Database, recorded: Recorded
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, *orders("o-1", "o-2", "o-3"))
    handler = FailsAtFirst("o-2", times=100, error=Unavailable)
    async with service.working(handler.on(topic), instance_id="same") as worker:
        await eventually("the handler has failed four times", lambda: handler.calls.count("o-2") == 4)
        await worker.stop()
    offsets = await kafka.committed(service.group, topic)
    async with service.working(Handler().on(topic), instance_id="same"):
        await eventually("all orders are handled", lambda: len(effects_of(database)) == 3)

    assert handler.calls.count("o-2") == 4
    assert offsets == {0: 1}
    ends = [span.status.description for span in recorded.spans(f"process {topic}")]
    assert ends == [None, "Stopped: the message is handled after the next start", None, None]
    assert effects_of(database) == ["o-1", "o-2", "o-3"]


async def test_members_that_come_and_go_under_load_lose_nothing_and_repeat_no_effect(
    kafka: Kafka, service: Service, database: Database
) -> None:
    topic = await kafka.topic()
    names: list[str] = []
    handlers = [Handler() for _ in range(3)]

    async def load_until(what: str, condition: Callable[[], object]) -> None:
        """Put orders into all partitions until the condition holds: a member that joins always finds some."""
        began = monotonic()
        while not condition():
            assert monotonic() < began + 60, f"after 60 s still not true: {what}"
            begin = len(names) // 3
            for partition in range(3):
                new = [f"{partition}-{number:05}" for number in range(begin, begin + 10)]
                await kafka.put(topic, *orders(*new), partition=partition)
                names.extend(new)

    async with service.working(handlers[0].on(topic)):
        await load_until("the first member works", lambda: len(handlers[0].calls) > 10)
        async with service.working(handlers[1].on(topic), instance_id="second"):
            await load_until("the second member works", lambda: handlers[1].calls)
        # A static member does not leave the group: for a session its partitions wait for its return.
        async with service.working(handlers[2].on(topic), instance_id="second"):
            await load_until("the third member works", lambda: handlers[2].calls)
            await eventually("all orders are handled", lambda: len(effects_of(database)) >= len(names))

    assert sorted(effects_of(database)) == sorted(names)
    for partition in range(3):
        mine = [order for order in effects_of(database) if order.startswith(f"{partition}-")]
        assert mine == sorted(mine)


async def test_a_member_that_loses_its_partitions_finishes_the_record_in_hand_and_commits_it_first(
    kafka: Kafka, service: Service, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    class Mails:
        """Handle outside of a transaction: nothing but the commit keeps another member from the same record."""

        def __init__(self) -> None:
            self.sent: list[str] = []
            self.go_on = threading.Event()

        def __call__(self, order: OrderPlaced, _: None) -> str:
            self.sent.append(order.order_id)
            assert self.go_on.wait(timeout=60)
            return order.order_id

    def note(connection: Connection, order_id: str) -> None:
        connection.execute(insert(effects).values(order_id=order_id))

    topic = await kafka.topic()
    event = OrderPlaced.on(topic)
    mails = Mails()
    subscription = outside_transaction(event, mails, None, record=note)
    for partition in range(3):
        await kafka.put(topic, *orders(f"{partition}-1"), partition=partition)
    async with service.working(subscription):
        await eventually("the first member has a record in hand", lambda: mails.sent)
        caplog.set_level("INFO", "aiokafka")
        caplog.set_level("INFO", "eventbus")
        async with service.working(subscription, joins=False):
            await eventually("the partitions are to be given up", lambda: "Revoking previously" in caplog.text)
            began = monotonic()
            await eventually("a second has passed", lambda: monotonic() > began + 1)
            given_up = "partitions assigned" in caplog.messages
            mails.go_on.set()
            await eventually("all orders are handled", lambda: len(effects_of(database)) == 3)

    assert not given_up
    assert sorted(mails.sent) == ["0-1", "1-1", "2-1"]


async def test_a_member_whose_instance_id_another_one_uses_ends(
    kafka: Kafka, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    topic = await kafka.topic()
    members = await join_one_after_the_other(service, topic, caplog, "same", "same")
    await eventually("a member has ended", lambda: any(member.task.done() for member in members))
    ends = await asyncio.gather(*(member.stop() for member in members), return_exceptions=True)

    assert any(isinstance(end, Fenced) for end in ends)


async def test_members_that_join_one_after_the_other_are_not_taken_for_one(
    kafka: Kafka, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    topic = await kafka.topic()
    members = await join_one_after_the_other(service, topic, caplog, *(unique("member") for _ in range(6)))
    ends = await asyncio.gather(*(member.stop() for member in members), return_exceptions=True)

    assert [end for end in ends if isinstance(end, BaseException)] == []


async def join_one_after_the_other(
    service: Service, topic: str, caplog: pytest.LogCaptureFixture, *instance_ids: str
) -> list[Running]:
    """Start members of the group, each when those before it have their partitions."""
    caplog.set_level("INFO", "eventbus.worker.worker")
    members: list[Running] = []
    for instance_id in instance_ids:
        patience = make_patience(service.folder)
        caplog.clear()
        members.append(
            Running(patience, asyncio.create_task(service._work(patience, (Handler().on(topic),), instance_id)))
        )
        others = len({*instance_ids[: len(members)]})
        await eventually("all have partitions", lambda: caplog.messages.count("partitions assigned") >= others)  # noqa: B023
    return members


class FakeConsumer:
    """Hand over one record of each partition; commit as the test says."""

    def __init__(self, topic: str, *answers: BaseException | None) -> None:
        self.partitions = {TopicPartition(topic, number) for number in range(2)}
        self.lose_at_first_commit: set[TopicPartition] = set()
        self.committed: list[dict[TopicPartition, int]] = []
        self._answers = list(answers)
        self._records = [
            ConsumerRecord(topic, each.partition, 7, 0, 0, key, value, None, 0, 0, tuple(headers))
            for each in sorted(self.partitions)
            for key, value, headers in orders(f"o-{each.partition}")
        ]

    def subscribe(self, topics: Iterable[str], listener: object) -> None:
        pass

    def assignment(self) -> set[TopicPartition]:
        return self.partitions

    async def getmany(
        self, *, timeout_ms: int, max_records: int
    ) -> dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]:
        if self._records:
            record = self._records.pop(0)
            return {TopicPartition(record.topic, record.partition): [record]}
        await asyncio.sleep(timeout_ms / 1000)
        return {}

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.committed.append(offsets)
        self.partitions -= self.lose_at_first_commit
        if self._answers and (answer := self._answers.pop(0)):
            raise answer


def work(consumer: FakeConsumer, service: Service, patience: Any, subscriptions: Sequence[Subscription]) -> Worker:
    config = worker_settings("unused:9092", service.folder)
    group = Group("fake", config, service.database, subscriptions)
    return Worker(group, consumer, None, patience)  # type: ignore[arg-type]  # nothing is set aside


@pytest.mark.parametrize("error", [KafkaConnectionError(), TimeoutError()])
async def test_offsets_that_cannot_be_committed_are_kept_and_committed_later(
    error: Exception, service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setattr("eventbus.worker.offsets.COMMIT_AGAIN_AFTER_S", 0.3)
    consumer = FakeConsumer("orders", error)
    patience = make_patience(tmp_path)
    worker = work(consumer, service, patience, [Handler().on("orders")])
    async with running(patience, worker.run()):
        await eventually("the worker is not ready", lambda: not status_of(patience)["ready"])
        reason = status_of(patience)["reason"]
        await eventually("the worker is ready", lambda: status_of(patience)["ready"])
    everything = {partition: 8 for partition in consumer.partitions}

    assert reason == f"offsets: not committed: {type(error).__name__}"
    assert consumer.committed[-1] == everything
    assert effects_of(service.database) == ["o-0", "o-1"]


@pytest.mark.parametrize("error", [KafkaConnectionError(), CommitFailedError()])
async def test_offsets_of_partitions_that_have_gone_are_forgotten(
    error: Exception, service: Service, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("eventbus.worker.offsets.COMMIT_AGAIN_AFTER_S", 0.3)
    consumer = FakeConsumer("orders", error)
    consumer.lose_at_first_commit = {TopicPartition("orders", 0)}
    patience = make_patience(tmp_path)
    async with running(patience, work(consumer, service, patience, [Handler().on("orders")]).run()):
        await eventually("both orders are handled", lambda: len(effects_of(service.database)) == 2)
        await eventually("a commit was tried", lambda: consumer.committed)
        await eventually("the worker is ready", lambda: status_of(patience)["ready"])
    later = {partition for offsets in consumer.committed[1:] for partition in offsets}

    assert TopicPartition("orders", 0) not in later
    # That partitions go is no trouble.
    assert ("not ready" in caplog.messages) == isinstance(error, KafkaConnectionError)
