"""Slots: messages of different keys are handled at the same time, those of one key one after the other."""

import threading
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from eventbus import Database, Poison, Subscription, Transient, Unavailable, outside_transaction
from eventbus.process.spans import Flusher
from eventbus.worker.offsets import Offsets
from eventbus.worker.subscription import within_transaction
from sqlalchemy import Connection, insert

from libs.eventbus.tests.support import (
    HANGS_AFTER_S,
    Kafka,
    OrderPlaced,
    ParcelMoved,
    Recorded,
    Service,
    effects,
    effects_of,
    encoded,
    eventually,
    header,
    make_patience,
    status_of,
)

SLOTS = 4


def moves(parcel: str, *numbers: int) -> list[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    return [encoded(ParcelMoved(parcel=parcel, number=number)) for number in numbers]


class Handler:
    """Notes what is moved at the same moment, and what was moved; *first* happens before."""

    def __init__(self, first: "dict[str, Exception] | None" = None) -> None:
        self.now: set[str] = set()
        self.most = 0
        self.moved: dict[str, list[int]] = defaultdict(list)
        self.failing = first or {}
        # Nobody goes on before so many are here; then everybody may.
        self.company = threading.Barrier(1)
        self._lock = threading.Lock()

    def __call__(self, event: ParcelMoved, _: object) -> str:
        with self._lock:
            assert event.parcel not in self.now, "two of one key at the same time"
            self.now.add(event.parcel)
            self.most = max(self.most, len(self.now))
        try:
            if event.number == 0:
                self.company.wait(HANGS_AFTER_S)
            if error := self.failing.pop(event.name, None):
                raise error
            self.moved[event.parcel].append(event.number)
            return event.name
        finally:
            with self._lock:
                self.now.remove(event.parcel)

    def on(self, topic: str) -> Subscription:
        ParcelMoved.topic = topic
        return outside_transaction(ParcelMoved, self, None, record=note)


def note(connection: Connection, move: str) -> None:
    connection.execute(insert(effects).values(order_id=move))


@pytest.fixture
def service(service: Service) -> Service:
    service.settings = {"worker_slots": SLOTS}
    return service


async def test_as_many_messages_are_in_hand_as_there_are_slots(
    kafka: Kafka, database: Database, service: Service
) -> None:
    topic = await kafka.topic("parcels")
    await kafka.put(topic, *(move for parcel in range(SLOTS) for move in moves(f"p-{parcel}", 0)))
    handler = Handler()
    handler.company = threading.Barrier(SLOTS)
    async with service.working(handler.on(topic)):
        await kafka.until_committed(service.group, topic, {0: SLOTS})

    assert handler.most == SLOTS
    assert len(effects_of(database)) == SLOTS


@pytest.mark.parametrize("slots", [1, SLOTS])
async def test_messages_of_one_key_are_handled_in_order_and_never_two_at_a_time(
    slots: int, kafka: Kafka, database: Database, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventbus.worker.worker.TURN_S", 0.001)  # so that lanes are left with what others have done
    service.settings = {"worker_slots": slots}
    topic = await kafka.topic("parcels")
    # One key has half of the messages.
    parcels = [move for number in range(40) for key in ("hot", f"p-{number % 7}", "hot") for move in moves(key, number)]
    await kafka.put(topic, *parcels)
    handler = Handler()
    async with service.working(handler.on(topic)):
        await kafka.until_committed(service.group, topic, {0: len(parcels)})

    assert len(effects_of(database)) == len(parcels)
    assert handler.moved.pop("hot") == [number for number in range(40) for _ in range(2)]
    assert handler.moved == {f"p-{key}": list(range(key, 40, 7)) for key in range(7)}


async def test_messages_without_a_key_are_handled_side_by_side(
    kafka: Kafka, database: Database, service: Service
) -> None:
    topic = await kafka.topic("parcels")
    await kafka.put(topic, *((None, *move[1:]) for parcel in range(SLOTS) for move in moves(f"p-{parcel}", 0)))
    handler = Handler()
    handler.company = threading.Barrier(SLOTS)
    async with service.working(handler.on(topic)):
        await kafka.until_committed(service.group, topic, {0: SLOTS})

    assert handler.most == SLOTS


async def test_what_fails_in_a_slot_costs_itself_alone(
    kafka: Kafka, database: Database, service: Service, recorded: Recorded
) -> None:
    topic = await kafka.topic("parcels")
    parcels = [move for number in range(5) for key in range(SLOTS) for move in moves(f"p-{key}", number)]
    await kafka.put(topic, *parcels)
    handler = Handler({"p-1-2": Poison("not valid"), "p-2-0": Transient("not now"), "p-3-1": KeyError("a fault")})
    async with service.working(handler.on(topic)) as worker:
        await eventually("all others are handled", lambda: len(effects_of(database)) == len(parcels) - 1)
        status = status_of(worker.patience)
    (letter,) = await kafka.records(service.letters)

    assert status["ready"]
    assert header(letter, "dlq.original-offset") == str(2 * SLOTS + 1)
    assert handler.moved == {
        "p-0": [0, 1, 2, 3, 4],
        "p-1": [0, 1, 3, 4],
        "p-2": [1, 2, 3, 4, 0],
        "p-3": [0, 2, 3, 4, 1],
    }
    assert len(recorded.spans(f"process {topic}")) == len(parcels)


async def test_an_outage_in_one_slot_costs_no_other_one_and_is_tried_again(
    kafka: Kafka, database: Database, service: Service
) -> None:
    topic = await kafka.topic("parcels")
    parcels = [move for number in range(3) for key in range(SLOTS) for move in moves(f"p-{key}", number)]
    await kafka.put(topic, *parcels)
    handler = Handler({"p-2-1": Unavailable("no mail server")})
    async with service.working(handler.on(topic)) as worker:
        await kafka.until_committed(service.group, topic, {0: len(parcels)})
        await eventually("the worker is ready", lambda: status_of(worker.patience)["ready"])

    assert handler.moved == {f"p-{key}": [0, 1, 2] for key in range(SLOTS)}
    assert sorted(effects_of(database)) == sorted(f"p-{key}-{number}" for key in range(SLOTS) for number in range(3))


async def test_nothing_is_committed_behind_what_is_not_done(
    kafka: Kafka, database: Database, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventbus.worker.worker.TURN_S", 0)  # one message of each slot
    topic = await kafka.topic("parcels")
    # Of the second key the last one stands behind what the first key has left to do.
    await kafka.put(topic, *moves("p-1", 1, 2), *moves("p-2", 1, 2))
    reached, go_on = threading.Event(), threading.Event()

    class Stopping(Handler):
        def __call__(self, event: ParcelMoved, dependency: object) -> str:
            if (event.parcel, event.number) == ("p-1", 2):
                reached.set()
                assert go_on.wait(HANGS_AFTER_S)
            return super().__call__(event, dependency)

    service.settings = {"worker_slots": 2}
    async with service.working(Stopping().on(topic)):
        await eventually("the first key's last message is in hand", reached.is_set)
        await kafka.until_committed(service.group, topic, {0: 1})  # although the second key's first one is done
        go_on.set()
        await kafka.until_committed(service.group, topic, {0: 4})

    assert sorted(effects_of(database)) == ["p-1-1", "p-1-2", "p-2-1", "p-2-2"]


class Consumer:
    """As much of one as commits offsets."""

    def __init__(self) -> None:
        self.committed: list[int] = []

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition("parcels", 0)}

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.committed += offsets.values()


async def test_offsets_are_committed_up_to_the_first_record_in_hand_in_whatever_order_they_are_done(
    tmp_path: Path,
) -> None:
    consumer: Any = Consumer()
    offsets = Offsets(consumer, Flusher(), make_patience(tmp_path).status)
    records: Any = [SimpleNamespace(topic="parcels", partition=0, offset=offset) for offset in (3, 4, 6, 9)]
    for each in records:
        offsets.in_hand(each)
    for done in (2, 0, 3, 1):
        offsets.finished(records[done])
        await offsets.commit()
    offsets.in_hand(records[0])  # the topic was made again
    offsets.finished(records[0])
    await offsets.commit()

    assert consumer.committed == [4, 10, 4]


async def test_what_was_given_back_at_a_rebalance_holds_up_no_commit(tmp_path: Path) -> None:
    consumer: Any = Consumer()
    offsets = Offsets(consumer, Flusher(), make_patience(tmp_path).status)
    records: Any = [SimpleNamespace(topic="parcels", partition=0, offset=offset) for offset in range(10)]
    for each in records[:4]:
        offsets.in_hand(each)
    offsets.given_back()
    offsets.finished(records[3])  # its handler was at work
    await offsets.commit()
    offsets.in_hand(records[8])
    offsets.finished(records[8])
    await offsets.commit()

    assert consumer.committed == [9]


async def test_on_sqlite_transactions_have_one_slot_since_there_is_one_writer(
    kafka: Kafka, on_sqlite: Database, tmp_path: Path
) -> None:
    service = Service(kafka.broker, on_sqlite, tmp_path, settings={"worker_slots": SLOTS})
    topic = await kafka.topic()
    orders = [f"o-{number}" for number in range(20)]
    await kafka.put(topic, *(encoded(OrderPlaced(order_id=order)) for order in orders))

    def store(order: OrderPlaced, connection: Connection) -> None:
        connection.execute(insert(effects).values(order_id=order.order_id, handled_by=threading.current_thread().name))

    subscription = within_transaction(OrderPlaced.on(topic), store, lambda connection: connection)
    async with service.working(subscription):
        await kafka.until_committed(service.group, topic, {0: len(orders)})

    assert effects_of(on_sqlite) == orders


async def test_on_postgresql_transactions_run_side_by_side(
    kafka: Kafka, on_postgresql: Database, tmp_path: Path
) -> None:
    service = Service(kafka.broker, on_postgresql, tmp_path, settings={"worker_slots": SLOTS})
    topic = await kafka.topic("parcels")
    ParcelMoved.topic = topic
    await kafka.put(topic, *(move for parcel in range(SLOTS) for move in moves(f"p-{parcel}", 0)))
    company = threading.Barrier(SLOTS)

    def store(event: ParcelMoved, connection: Connection) -> None:
        company.wait(HANGS_AFTER_S)
        note(connection, event.parcel)

    async with service.working(within_transaction(ParcelMoved, store, lambda connection: connection)):
        await kafka.until_committed(service.group, topic, {0: SLOTS})

    assert sorted(effects_of(on_postgresql)) == [f"p-{parcel}" for parcel in range(SLOTS)]
