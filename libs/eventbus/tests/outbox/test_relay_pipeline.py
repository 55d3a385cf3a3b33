"""What goes on in the relay while something else is under way."""

import asyncio
import random
import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from eventbus import Database, Outbox
from eventbus import kafka as bus_kafka
from eventbus.database.tables import outbox
from eventbus.outbox import forgetting, publishers
from eventbus.outbox.line import Line
from eventbus.outbox.pending import Pending, Row
from eventbus.outbox.publishers import Publishers
from eventbus.process.spans import Flusher

from libs.eventbus.tests.support import HANGS_AFTER_S, Kafka, OrderPlaced, count, eventually, header, relaying


def store(database: Database, topic: str, *order_ids: str) -> list[str]:
    """Store orders in one transaction; return their event ids."""
    event = OrderPlaced.on(topic)
    with database.write() as connection:
        return [Outbox("shop").add(connection, event(order_id=order)).event_id for order in order_ids]


async def ids_by_key(kafka: Kafka, topic: str) -> dict[str, list[str]]:
    """Return the event ids of a topic's records by key, however often each is there."""
    found: dict[str, list[str]] = defaultdict(list)
    for record in await kafka.records(topic):
        found[(record.key or b"").decode()].append(str(header(record, "ce_id")))
    return found


class SlowExport:
    """An export of spans that takes until it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.goes_on = threading.Event()

    def flush(self) -> bool:
        self.begun += 1
        return self.goes_on.wait(HANGS_AFTER_S)


@pytest.fixture
def slow_export(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowExport]:
    slow = SlowExport()
    monkeypatch.setattr(Flusher, "flush", lambda _: slow.flush())
    yield slow
    slow.goes_on.set()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The keys of what was acknowledged, in the order of the acknowledgements."""
    acknowledged: list[bytes] = []

    class Noting(AIOKafkaProducer):
        async def send(self, topic: str, value: Any = None, key: Any = None, **kwargs: Any) -> Any:
            future = await super().send(topic, value, key=key, **kwargs)
            future.add_done_callback(lambda _: acknowledged.append(key))
            return future

    monkeypatch.setattr(bus_kafka, "AIOKafkaProducer", Noting)
    return acknowledged


async def test_rows_are_sent_once_and_in_order_while_the_spans_of_earlier_ones_are_exported(
    database: Database, kafka: Kafka, tmp_path: Path, slow_export: SlowExport, sent: list[bytes]
) -> None:
    topic = await kafka.topic()
    keys = [f"o-{number % 3}" for number in range(5 * publishers.BATCH)]
    async with relaying(database, kafka.broker, tmp_path):
        ids = store(database, topic, *keys)
        await eventually("all is sent", lambda: len(sent) == len(keys))
        still_there = count(database, outbox)
        slow_export.goes_on.set()
        await eventually("all is deleted", lambda: count(database, outbox) == 0)
    stored: dict[str, list[str]] = defaultdict(list)
    for key, event_id in zip(keys, ids, strict=True):
        stored[key].append(event_id)

    assert still_there == len(keys)
    assert await ids_by_key(kafka, topic) == stored


class Reading:
    """Tells whether the relay waits for room, and how many rows it has read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows = 0
        self.waits = False
        room, give = Publishers.room, Publishers.give

        async def noting_room(publishers: Publishers) -> list[str]:
            self.waits = True
            passed_over = await room(publishers)
            self.waits = False
            return passed_over

        def noting_give(publishers: Publishers, rows: Sequence[Row]) -> None:
            self.rows += len(rows)
            give(publishers, rows)

        monkeypatch.setattr(Publishers, "room", noting_room)
        monkeypatch.setattr(Publishers, "give", noting_give)


async def test_only_so_many_rows_are_sent_before_the_first_is_deleted(
    database: Database,
    kafka: Kafka,
    tmp_path: Path,
    slow_export: SlowExport,
    sent: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reading = Reading(monkeypatch)
    monkeypatch.setattr(publishers, "MOST_UNFORGOTTEN", 300)
    topic = await kafka.topic()
    async with relaying(database, kafka.broker, tmp_path):
        store(database, topic, *[f"o-{number}" for number in range(1000)])
        await eventually(
            "no more is read", lambda: reading.rows == len(sent) and (reading.waits or reading.rows == 1000)
        )
        at_most = len(sent)
        slow_export.goes_on.set()
        await eventually("all is deleted", lambda: count(database, outbox) == 0)

    assert 300 < at_most <= 300 + 2 * publishers.BATCH


async def test_a_key_whose_row_is_not_acknowledged_holds_up_no_other(
    database: Database, kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()
    handed_over: list[bytes] = []

    class Slow(AIOKafkaProducer):
        async def send(self, topic: str, value: Any = None, key: Any = None, **kwargs: Any) -> Any:
            handed_over.append(key)
            future = await super().send(topic, value, key=key, **kwargs)
            return asyncio.ensure_future(self._late(future)) if key == b"slow" else future

        async def _late(self, future: Any) -> Any:
            await go_on.wait()
            return await future

    monkeypatch.setattr(bus_kafka, "AIOKafkaProducer", Slow)
    topic = await kafka.topic()
    async with relaying(database, kafka.broker, tmp_path):
        store(database, topic, *["slow", "quick"] * 40)
        await eventually("the quick ones are deleted", lambda: count(database, outbox) == 40)
        slow_ones = handed_over.count(b"slow")
        go_on.set()
        await eventually("all is deleted", lambda: count(database, outbox) == 0)

    assert slow_ones == 1


async def test_rows_are_deleted_together_at_most_once_in_a_time_the_first_at_once_and_the_last_at_a_stop(
    database: Database, kafka: Kafka, tmp_path: Path, sent: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    together: list[int] = []
    forget = Pending.forget

    def noting_forget(pending: Pending, event_ids: Sequence[str]) -> None:
        together.append(len(event_ids))
        forget(pending, event_ids)

    monkeypatch.setattr(Pending, "forget", noting_forget)
    monkeypatch.setattr(forgetting, "EVERY_S", 3600)
    topic = await kafka.topic()
    async with relaying(database, kafka.broker, tmp_path) as (_, handle):
        store(database, topic, "o-1")
        await eventually("the first is deleted", lambda: count(database, outbox) == 0)
        for order in ("o-2", "o-3", "o-4", "o-5", "o-6"):
            store(database, topic, order)
            await eventually(f"{order} is sent", lambda: order.encode() in sent)  # noqa: B023 - called here only
        before_the_stop = count(database, outbox)
        await handle.stop()

    assert before_the_stop == 5
    assert together == [1, 5]
    assert count(database, outbox) == 0


async def test_many_rows_are_deleted_before_their_time(
    database: Database, kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "EVERY_S", 3600)
    topic = await kafka.topic()
    async with relaying(database, kafka.broker, tmp_path):
        store(database, topic, "o-1")
        await eventually("the first is deleted", lambda: count(database, outbox) == 0)
        store(database, topic, *[f"o-{number}" for number in range(2, 2 + 2 * forgetting.ENOUGH)])
        await eventually("the others need not wait", lambda: count(database, outbox) < forgetting.ENOUGH)


async def test_a_row_is_read_again_only_if_it_was_not_forgotten_nor_held(database: Database) -> None:
    pending = Pending(database, database.polling_connection())
    ids = store(database, "orders", "o-1", "o-2", "o-3", "o-4")
    first = pending.next_rows(2)
    second = pending.next_rows(100)
    pending.forget([first[0].event_id, second[0].event_id])
    (last,) = store(database, "orders", "o-5")
    third = pending.next_rows(100)
    pending.close()

    assert [row.event_id for row in first + second] == ids
    assert [row.event_id for row in third] == [last]


def test_of_each_key_one_row_may_go_at_a_time_in_their_order_also_after_it_is_put_back() -> None:
    chance = random.Random(1)
    line, out, done = Line(), list[Row](), defaultdict[bytes | None, list[int]](list)
    keys = [chance.choice([None, b"a", b"b", b"c"]) for _ in range(1000)]
    rows = [Row(number, str(number), "t", key, b"", "[]", "{}") for number, key in enumerate(keys)]
    waiting = deque(rows)
    while sum(map(len, done.values())) < len(rows):
        line.add(waiting.popleft() for _ in range(min(chance.randrange(9), len(waiting))))
        out += [line.ready.popleft() for _ in range(chance.randint(0, len(line.ready)))]
        chance.shuffle(out)
        keys_out = [row.key for row in out if row.key is not None]
        assert len(keys_out) == len(set(keys_out))
        refused, out = out[: len(out) // 3], out[len(out) // 3 :]
        line.put_back(refused)
        while out and chance.random() < 0.7:
            row = out.pop()
            done[row.key].append(row.id)
            line.done(row)

    for key in (b"a", b"b", b"c"):
        assert done[key] == [row.id for row in rows if row.key == key]
