"""Records that share a transaction: each has its own fate, and all of them the transaction's."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from eventbus import Database, Event, Poison, Subscription, Transient, outside_transaction, within_transaction
from eventbus.database.tables import inbox
from opentelemetry.trace import StatusCode
from sqlalchemy import Connection, event, insert, text
from sqlalchemy.exc import OperationalError

from libs.eventbus.tests.support import (
    Kafka,
    OrderPlaced,
    Recorded,
    Service,
    count,
    effects,
    effects_of,
    encoded,
    eventually,
    header,
    status_of,
)

MANY = [f"o-{number:02}" for number in range(50)]


@pytest.fixture(autouse=True)
def _all_in_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventbus.worker.worker.TURN_S", 60)


class Handler:
    """Store each order as an effect, unless something else is to happen first."""

    def __init__(self, first: Callable[[str, Connection], None] = lambda order_id, connection: None) -> None:
        self.calls: list[str] = []
        self._first = first

    def __call__(self, order: OrderPlaced, connection: Connection) -> Event | None:
        self.calls.append(order.order_id)
        self._first(order.order_id, connection)
        connection.execute(insert(effects).values(order_id=order.order_id))
        return None

    def on(self, topic: str) -> Subscription:
        return within_transaction(OrderPlaced.on(topic), self, lambda connection: connection)


async def put(kafka: Kafka, topic: str, *order_ids: str) -> None:
    await kafka.put(topic, *(encoded(OrderPlaced(order_id=each), event_id=f"e-{each}") for each in order_ids))


@contextmanager
def commits(database: Database) -> Iterator[list[None]]:
    """Yield what grows with each commit."""
    made: list[None] = []

    def note(_: Connection) -> None:
        made.append(None)

    event.listen(database._writer, "commit", note)
    yield made
    event.remove(database._writer, "commit", note)


async def test_what_was_fetched_shares_a_transaction(kafka: Kafka, database: Database, service: Service) -> None:
    topic = await kafka.topic()
    await put(kafka, topic, *MANY)
    with commits(database) as made:
        async with service.working(Handler().on(topic)):
            await kafka.until_committed(service.group, topic, {0: len(MANY)})

    assert effects_of(database) == MANY
    # The first records after a start are noted before and struck off afterwards.
    assert len(made) <= 6


async def test_what_fails_in_the_middle_of_a_turn_costs_itself_alone(
    kafka: Kafka, database: Database, service: Service, recorded: Recorded
) -> None:
    failing = {"o-10": Poison("not valid"), "o-20": Transient("not now"), "o-30": KeyError("a fault")}

    def fail_after_an_effect(order_id: str, connection: Connection) -> None:
        if order_id in failing:
            connection.execute(insert(effects).values(order_id=f"half of {order_id}"))
            raise failing[order_id] if order_id == "o-10" else failing.pop(order_id)

    topic = await kafka.topic()
    await put(kafka, topic, *MANY[:41], "o-40", *MANY[41:])
    handler = Handler(fail_after_an_effect)
    async with service.working(handler.on(topic)) as worker:
        await eventually("all others are handled", lambda: len(effects_of(database)) == len(MANY) - 1)
        status = status_of(worker.patience)
    (letter,) = await kafka.records(service.letters)
    spans = recorded.spans(f"process {topic}")

    at_once = [order for order in MANY if order not in ("o-10", "o-20", "o-30")]
    assert status["ready"]
    assert effects_of(database)[: len(at_once)] == at_once
    assert sorted(effects_of(database)) == [order for order in MANY if order != "o-10"]
    assert sorted(handler.calls) == sorted([*MANY, "o-20", "o-30"])
    assert header(letter, "dlq.original-offset") == "10"
    failed = [number for number, span in enumerate(spans) if span.status.status_code is StatusCode.ERROR]
    assert (len(spans), failed) == (len(MANY) + 1, [10, 20, 30])
    repeated = [number for number, span in enumerate(spans) if (span.attributes or {}).get("journey.duplicate")]
    assert repeated == [41]


async def test_a_span_lasts_as_long_as_its_own_record_and_ends_with_the_transaction(
    kafka: Kafka, database: Database, service: Service, recorded: Recorded
) -> None:
    ended_before: list[int] = []
    topic = await kafka.topic()
    await put(kafka, topic, *MANY)
    handler = Handler(lambda order_id, connection: ended_before.append(len(recorded.spans("process"))))
    async with service.working(handler.on(topic)):
        await kafka.until_committed(service.group, topic, {0: len(MANY)})
    spans = recorded.spans(f"process {topic}")

    assert ended_before == [0] * len(MANY)
    assert len(spans) == len(MANY)
    for before, after in pairwise(spans):
        assert (before.end_time or 0) <= (after.start_time or 0)


async def test_a_turn_that_is_not_committed_is_tried_again_as_a_whole_in_the_same_spans(
    kafka: Kafka, database: Database, service: Service, recorded: Recorded
) -> None:
    away = [True, True]

    def refuse(connection: Connection) -> None:
        # The test reads in its own thread.
        if handler.calls and away and threading.current_thread() is not threading.main_thread():
            away.pop()
            raise OperationalError("COMMIT", {}, OSError("the disk is gone"))

    topic = await kafka.topic()
    handler = Handler()
    await put(kafka, topic, *MANY)
    event.listen(database._writer, "commit", refuse)
    async with service.working(handler.on(topic)) as worker:
        await eventually("all are handled", lambda: effects_of(database) == MANY)
        await eventually("the worker is ready", lambda: status_of(worker.patience)["ready"])
        await kafka.until_committed(service.group, topic, {0: len(MANY)})
    event.remove(database._writer, "commit", refuse)
    spans = recorded.spans(f"process {topic}")

    assert away == []
    assert [span.status.status_code for span in spans] == [StatusCode.UNSET] * len(MANY)
    assert [(span.attributes or {}).get("journey.duplicate") for span in spans] == [None] * len(MANY)


async def test_of_a_turn_that_cannot_be_committed_only_the_message_to_blame_is_set_aside(
    kafka: Kafka, database: Database, service: Service
) -> None:
    with database.write() as connection:
        connection.execute(text("CREATE TABLE customers (id INTEGER PRIMARY KEY)"))
        connection.execute(
            text("CREATE TABLE visits (customer INTEGER REFERENCES customers (id) DEFERRABLE INITIALLY DEFERRED)")
        )

    def visit(order_id: str, connection: Connection) -> None:
        if order_id == "o-20":
            connection.execute(text("INSERT INTO visits VALUES (404)"))

    topic = await kafka.topic()
    await put(kafka, topic, *MANY)
    service.settings = {"retry_tries": 1}
    async with service.working(Handler(visit).on(topic)) as worker:
        await kafka.until_committed(service.group, topic, {0: len(MANY)})
        status = status_of(worker.patience)
    (letter,) = await kafka.records(service.letters)

    assert status["ready"]
    assert effects_of(database) == [order for order in MANY if order != "o-20"]
    assert (header(letter, "dlq.original-offset"), header(letter, "dlq.error-type")) == (
        "20",
        "sqlalchemy.exc.IntegrityError",
    )


async def test_no_more_effects_are_forgotten_by_a_crash_than_may_be(
    kafka: Kafka, database: Database, service: Service
) -> None:
    sent: list[str] = []
    not_remembered: list[int] = []

    def send(order: OrderPlaced, _: None) -> str:
        sent.append(order.order_id)
        not_remembered.append(len(sent) - count(database, inbox))
        return order.order_id

    def note(connection: Connection, order_id: str) -> None:
        connection.execute(insert(effects).values(order_id=order_id))

    topic = await kafka.topic()
    await put(kafka, topic, *MANY)
    service.settings = {"effects_at_once": 7}
    async with service.working(outside_transaction(OrderPlaced.on(topic), send, None, record=note)):
        await kafka.until_committed(service.group, topic, {0: len(MANY)})

    assert sent == effects_of(database) == MANY
    assert max(not_remembered) == 7


async def test_an_effect_that_fails_in_the_middle_costs_itself_alone_and_a_repeat_has_none(
    kafka: Kafka, database: Database, service: Service
) -> None:
    sent: list[str] = []

    def send(order: OrderPlaced, _: None) -> str:
        if order.order_id == "o-03":
            raise Poison("the address is not valid")
        sent.append(order.order_id)
        return order.order_id

    def note(connection: Connection, order_id: str) -> None:
        connection.execute(insert(effects).values(order_id=order_id))

    topic = await kafka.topic()
    await put(kafka, topic, *MANY[:6], "o-04", *MANY[6:10])
    async with service.working(outside_transaction(OrderPlaced.on(topic), send, None, record=note)):
        await kafka.until_committed(service.group, topic, {0: 11})
    letters = await kafka.records(service.letters)

    assert sent == effects_of(database) == [order for order in MANY[:10] if order != "o-03"]
    assert [header(letter, "dlq.original-offset") for letter in letters] == ["3"]


async def test_a_stop_in_the_middle_of_a_turn_keeps_what_is_done_and_leaves_the_rest_for_the_next_start(
    kafka: Kafka, database: Database, service: Service
) -> None:
    loop = asyncio.get_running_loop()
    topic = await kafka.topic()
    await put(kafka, topic, *MANY)

    def stop(order_id: str, _: Connection) -> None:
        if order_id == "o-20":
            loop.call_soon_threadsafe(worker.patience.stop.set)
            asyncio.run_coroutine_threadsafe(worker.patience.stop.wait(), loop).result(60)

    handler = Handler(stop)
    async with service.working(handler.on(topic), instance_id="same", joins=False) as worker:
        await worker.task
    left = await kafka.committed(service.group, topic)
    again = Handler()
    async with service.working(again.on(topic), instance_id="same"):
        await kafka.until_committed(service.group, topic, {0: len(MANY)})

    assert left == {0: 21}
    assert handler.calls + again.calls == effects_of(database) == MANY
