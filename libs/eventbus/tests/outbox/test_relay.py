import asyncio
import json
import os
import signal
import threading
from collections import Counter, defaultdict
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from eventbus import Database, Outbox, Publication
from eventbus import kafka as bus_kafka
from eventbus.database.tables import outbox
from eventbus.outbox.pending import Pending
from eventbus.outbox.relay import Relay
from eventbus.process.spans import Flusher
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from sqlalchemy import insert, select, text

from libs.eventbus.tests.processes import TinyService
from libs.eventbus.tests.support import (
    Kafka,
    OrderPlaced,
    Recorded,
    count,
    eventually,
    header,
    make_patience,
    relaying,
    status_of,
    traceparent,
    unchangeable,
    unique,
)


def store(database: Database, topic: str, *order_ids: str) -> list[str]:
    """Store orders in one transaction; return their event ids."""
    event = OrderPlaced.on(topic)
    with database.write() as connection:
        return [Outbox("shop").add(connection, event(order_id=order)).event_id for order in order_ids]


class Seen(OrderPlaced):
    """An event that need not have a key."""

    key_field: ClassVar[str] = "customer"

    order_id: str = "o-1"
    customer: str | None = None


async def test_an_event_without_a_key_is_sent_without_one_to_any_partition_and_an_empty_key_is_one(
    kafka: Kafka, database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "eventbus.outbox.publisher")
    Seen.topic = await kafka.topic()
    customers = [*[None] * 60, "", "None", "ÿ"]
    with database.write() as connection:
        for customer in customers:
            Outbox("shop").add(connection, Seen(customer=customer))
    async with relaying(database, kafka.broker, tmp_path):
        await eventually("all is published", lambda: is_empty(database))
    records = await kafka.records(Seen.topic)
    told = Counter(vars(line)["key"] for line in caplog.records if line.message == "published")

    assert Counter(record.key for record in records) == {None: 60, b"": 1, b"None": 1, "ÿ".encode(): 1}
    assert {record.partition for record in records if record.key is None} == {0, 1, 2}
    assert told == Counter(customers)


def store_by_force(database: Database, topic: str, event_id: str, *, value: bytes = b"{}", headers: str = "[]") -> None:
    """Store a row that the outbox would not."""
    row = {"event_id": event_id, "topic": topic, "key": b"k", "value": value, "headers": headers, "trace_context": "{}"}
    with database.write() as connection:
        connection.execute(insert(outbox).values(row))


def parked(database: Database) -> dict[str, str]:
    """Return the reasons of parked rows."""
    with database.read() as connection:
        rows = connection.execute(select(outbox.c.event_id, outbox.c.parked_because)).all()
        return {event_id: reason for event_id, reason in rows if reason}


def is_empty(database: Database) -> bool:
    return count(database, outbox) == len(parked(database))


async def ids_by_key(kafka: Kafka, topic: str) -> dict[str, list[str | None]]:
    """Return the event ids of a topic's records, by key, each once, in their order."""
    found: dict[str, dict[str | None, None]] = defaultdict(dict)
    for record in await kafka.records(topic):
        found[(record.key or b"").decode()][header(record, "ce_id")] = None
    return {key: list(ids) for key, ids in found.items()}


class Producers:
    """Make producers as usual, and know them."""

    def __init__(self) -> None:
        self.made: list[AIOKafkaProducer] = []
        self._make = bus_kafka.producer

    def __call__(self, bootstrap_servers: str, client_id: str) -> AIOKafkaProducer:
        self.made.append(self._make(bootstrap_servers, client_id))
        return self.made[-1]


@pytest.fixture
def producers(monkeypatch: pytest.MonkeyPatch) -> Producers:
    producers = Producers()
    monkeypatch.setattr(bus_kafka, "producer", producers)
    return producers


async def test_rows_are_published_in_order_each_in_the_trace_that_wrote_it(
    database: Database, kafka: Kafka, recorded: Recorded, tmp_path: Path
) -> None:
    topic = await kafka.topic()
    event = OrderPlaced.on(topic)
    stored: dict[str, list[str]] = defaultdict(list)
    parents: dict[str | None, list[str]] = {}
    async with relaying(database, kafka.broker, tmp_path):
        for _ in range(100):
            with database.write() as connection:
                for number in range(20):
                    order = event(order_id=f"o-{number % 15}")
                    with recorded.tracer.start_as_current_span("POST /orders"):
                        receipt = Outbox("shop").add(connection, order)
                    stored[order.order_id].append(receipt.event_id)
                    parents[receipt.event_id] = str(receipt.traceparent).split("-")[1:3]
            await asyncio.sleep(0)  # the relay works meanwhile
        await eventually("all is published", lambda: is_empty(database), seconds=30)
    records = await kafka.records(topic)
    sends = {traceparent(span): span for span in recorded.spans(f"send {topic}")}

    assert await ids_by_key(kafka, topic) == stored
    assert len(records) == len(sends) == 2000
    for record in records:
        span = sends[str(header(record, "traceparent"))]
        assert span.kind is SpanKind.PRODUCER
        assert span.parent is not None
        parent = [f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}"]
        assert parent == parents[header(record, "ce_id")]


async def test_a_record_is_a_cloudevent_in_binary_mode(database: Database, kafka: Kafka, tmp_path: Path) -> None:
    topic = await kafka.topic()
    (event_id,) = store(database, topic, "o-1")
    async with relaying(database, kafka.broker, tmp_path):
        await eventually("the order is published", lambda: is_empty(database))
    (record,) = await kafka.records(topic)

    assert (record.key, json.loads(record.value or b"")) == (b"o-1", {"order_id": "o-1", "total": "19.90"})
    assert [name for name, _ in record.headers] == [
        *("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type")
    ]
    assert [header(record, f"ce_{name}") for name in ("id", "source", "type")] == [event_id, "/shop", OrderPlaced.type]


async def test_a_row_written_outside_of_a_trace_starts_its_own(
    database: Database, kafka: Kafka, recorded: Recorded, tmp_path: Path
) -> None:
    topic = await kafka.topic()
    with recorded.tracer.start_as_current_span("somebody else's"):
        async with relaying(database, kafka.broker, tmp_path):
            await asyncio.to_thread(store_by_force, database, topic, "e-1")
            await eventually("the row is published", lambda: is_empty(database))
    (span,) = recorded.spans(f"send {topic}")

    assert span.parent is None


async def test_a_row_is_published_when_it_is_stored_and_a_stop_does_not_wait_for_the_next_poll(
    database: Database, kafka: Kafka, tmp_path: Path
) -> None:
    database.poll_s = 3600
    topic = await kafka.topic()
    async with relaying(database, kafka.broker, tmp_path) as (_, handle):
        for order in ("o-1", "o-2", "o-3"):
            store(database, topic, order)
            await eventually(f"{order} is published", lambda: is_empty(database))
        await handle.stop()

        assert handle.task.done()


def snapshots_held(database: Database) -> int:
    """Return how many readers keep the database from tidying up."""
    with database.write() as connection:
        if connection.dialect.name == "postgresql":
            return connection.execute(text(IN_TRANSACTION)).scalar_one()
        connection.execute(text("CREATE TABLE more (x)"))
    file = database.polling_connection()
    busy, _, _ = file.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    file.close()
    return int(busy)


IN_TRANSACTION = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = current_setting('application_name') AND pid <> pg_backend_pid()
    AND state LIKE 'idle in transaction%'
"""


class Counting:
    """A connection that counts its queries."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.queries = 0

    def cursor(self) -> Any:
        self.queries += 1
        return self._connection.cursor()

    def close(self) -> None:
        self._connection.close()


async def test_waiting_is_one_query_a_poll_and_keeps_no_snapshot_of_the_database(
    database: Database, broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    class Waits:
        def clear(self) -> None:
            pass

        def wait(self, timeout: float) -> None:
            waits.append(timeout)
            threading.Event().wait(0.001)

    polling = Counting(database.polling_connection())
    monkeypatch.setattr(database, "polling_connection", lambda: polling)
    monkeypatch.setattr(database.bell, "listening", lambda: nullcontext(Waits()))
    async with relaying(database, broker, tmp_path):
        await eventually("it has waited often", lambda: len(waits) > 50)
    monkeypatch.undo()
    async with relaying(database, broker, tmp_path) as (_, handle):
        await eventually("the relay is ready", lambda: status_of(handle.patience)["ready"])
        held = snapshots_held(database)

    assert set(waits) == {database.poll_s}
    assert polling.queries <= len(waits) + 2  # with the one for the lock
    assert held == 0


async def test_a_row_is_deleted_only_after_its_span_was_exported(
    database: Database, kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_at_export: list[int] = []
    monkeypatch.setattr(Flusher, "flush", lambda self: left_at_export.append(count(database, outbox)))
    topic = await kafka.topic()
    store(database, topic, "o-1", "o-2")
    async with relaying(database, kafka.broker, tmp_path):
        await eventually("the orders are published", lambda: is_empty(database))

    assert left_at_export == [2]


async def test_a_record_is_sent_as_often_as_its_own_context_asks_for(
    database: Database, kafka: Kafka, tmp_path: Path, recorded: Recorded
) -> None:
    topic = await kafka.topic()
    with recorded.tracer.start_as_current_span("twice") as span:
        twice = span.get_span_context().trace_id
        store(database, topic, "o-1")
    with recorded.tracer.start_as_current_span("once"):
        store(database, topic, "o-2")

    def copies() -> int:
        return 2 if trace.get_current_span().get_span_context().trace_id == twice else 1

    publications = [Publication(OrderPlaced.on(topic), copies)]
    async with relaying(database, kafka.broker, tmp_path, publications=publications):
        await eventually("the orders are published", lambda: is_empty(database))
    records = await kafka.records(topic)

    assert sorted(record.key or b"" for record in records) == [b"o-1", b"o-1", b"o-2"]
    assert len({header(record, "ce_id") for record in records}) == 2


async def test_a_row_that_can_never_be_sent_is_parked_with_its_reason_and_delays_no_other(
    database: Database, kafka: Kafka, tmp_path: Path
) -> None:
    topic = await kafka.topic()
    before = store(database, topic, "before")
    store_by_force(database, topic, "too-large", value=b"x" * 1_100_000)
    store_by_force(database, topic, "damaged", headers="{")
    after = store(database, topic, "after")
    async with relaying(database, kafka.broker, tmp_path) as (_, handle):
        await eventually("the others are published", lambda: is_empty(database))
        status = status_of(handle.patience)
    async with relaying(database, kafka.broker, tmp_path) as (_, handle):
        await eventually("a new relay has started", lambda: "relay:" not in status_of(handle.patience)["reason"])
        later = status_of(handle.patience)

    assert await ids_by_key(kafka, topic) == {"before": before, "after": after}
    assert parked(database) == {"too-large": "MessageSizeTooLargeError", "damaged": "JSONDecodeError"}
    for each in (status, later):
        assert each == {"ready": False, "reason": "parked: outbox row of event damaged can never be sent"}


async def test_where_the_broker_refuses_a_whole_batch_only_the_row_that_is_too_large_is_parked(
    database: Database, kafka: Kafka, tmp_path: Path
) -> None:
    topic = await kafka.topic(max_message_bytes="20000")
    with database.write() as connection:
        for number in range(60):
            order = OrderPlaced.on(topic)(order_id=f"{number:02}" + "x" * 1000)
            Outbox("shop").add(connection, order)
    store_by_force(database, topic, "too-large", value=b"x" * 30_000)
    store(database, topic, "after")
    async with relaying(database, kafka.broker, tmp_path):
        await eventually("the others are published", lambda: is_empty(database))
    found = await ids_by_key(kafka, topic)

    assert parked(database) == {"too-large": "MessageSizeTooLargeError"}
    assert sorted(key[:2] for key in found) == [*(f"{number:02}" for number in range(60)), "af"]


async def test_a_producer_that_has_lost_its_sequence_is_replaced_and_nothing_is_lost_or_reordered(
    database: Database, kafka: Kafka, recorded: Recorded, tmp_path: Path, producers: Producers
) -> None:
    topic = await kafka.topic()
    keys = [f"o-{number % 7}" for number in range(700)]
    async with relaying(database, kafka.broker, tmp_path) as (_, handle):
        ids = store(database, topic, *keys)
        await eventually("the first orders are published", lambda: is_empty(database))
        for partition in range(bus_kafka.PARTITIONS):
            # What the broker then answers is OutOfOrderSequenceNumber.
            producers.made[0]._txn_manager.increment_sequence_number(TopicPartition(topic, partition), 5)
        ids += store(database, topic, *keys)
        await eventually("the other orders are published", lambda: is_empty(database))
        status = status_of(handle.patience)
    stored: dict[str, list[str]] = defaultdict(list)
    for key, event_id in zip(keys * 2, ids, strict=True):
        stored[key].append(event_id)
    failed = [span for span in recorded.spans(f"send {topic}") if span.status.status_code is StatusCode.ERROR]

    assert await ids_by_key(kafka, topic) == stored
    assert len(producers.made) == 2
    assert {str(dict(span.attributes or {})["error.type"]) for span in failed} == {
        "aiokafka.errors.OutOfOrderSequenceNumber"
    }
    assert status == {"ready": True, "reason": ""}


async def test_a_database_that_is_away_is_waited_for_while_the_relay_is_not_ready(
    database: Database, kafka: Kafka, tmp_path: Path
) -> None:
    topic = await kafka.topic()
    async with relaying(database, kafka.broker, tmp_path) as (_, handle):
        await eventually("the relay is ready", lambda: status_of(handle.patience)["ready"])
        with database.write() as connection:
            connection.execute(text("ALTER TABLE outbox RENAME TO gone"))
        await eventually("the relay is not ready", lambda: not status_of(handle.patience)["ready"])
        status = status_of(handle.patience)
        with database.write() as connection:
            connection.execute(text("ALTER TABLE gone RENAME TO outbox"))
        store(database, topic, "o-1")
        await eventually("the order is published", lambda: is_empty(database))
        await eventually("the relay is ready again", lambda: status_of(handle.patience)["ready"])

    assert status["reason"] in ("relay: OperationalError, trying again", "relay: UndefinedTable, trying again")


async def test_a_stop_while_the_broker_does_not_answer_is_bounded_and_loses_nothing(
    database: Database, kafka: Kafka, tmp_path: Path, producers: Producers
) -> None:
    topic = await kafka.topic()
    async with relaying(database, kafka.broker, tmp_path, grace=1) as (_, handle):
        ids = store(database, topic, "o-1")
        await eventually("the first order is published", lambda: is_empty(database))
        async with kafka.paused():
            ids += store(database, topic, "o-1")
            waiting = producers.made[0]._message_accumulator._pending_batches
            await eventually("the second order is on its way", lambda: waiting)
            await handle.stop()
            left = count(database, outbox)
        await producers.made[0]._sender.close()  # as the end of the process would
        await producers.made[0].client.close()
    async with relaying(database, kafka.broker, tmp_path):
        await eventually("the order is published by the next relay", lambda: is_empty(database))

    assert left == 1
    assert await ids_by_key(kafka, topic) == {"o-1": ids}


async def test_a_standby_takes_over_after_a_kill_and_not_before(
    database: Database, database_url: str, kafka: Kafka, tmp_path: Path, producers: Producers
) -> None:
    topic = await kafka.topic()
    tiny = TinyService(tmp_path / "tiny.db", kafka.broker, topic, database_url=database_url)
    with tiny.run() as holder:
        await holder.ready()
        async with relaying(database, kafka.broker, tmp_path) as (_, standby):
            await eventually("the standby is ready", lambda: status_of(standby.patience)["ready"])
            store(database, topic, "o-1")
            await eventually("the holder publishes", lambda: is_empty(database))
            made_as_standby = list(producers.made)
            holder.process.kill()
            holder.process.wait()
            store(database, topic, "o-2")
            await eventually("the standby publishes", lambda: is_empty(database))

    assert made_as_standby == []
    assert len(producers.made) == 1


async def test_a_row_that_was_acknowledged_and_not_deleted_before_a_kill_is_sent_again_under_its_id(
    database: Database, database_url: str, kafka: Kafka, tmp_path: Path
) -> None:
    topic = await kafka.topic()
    tiny = TinyService(tmp_path / "tiny.db", kafka.broker, topic, database_url=database_url)
    with tiny.run() as killed:
        await killed.ready()
        killed.process.send_signal(signal.SIGSTOP)
        (event_id,) = store(database, topic, "o-1")
        with unchangeable(database, outbox):
            killed.process.send_signal(signal.SIGCONT)
            while not await kafka.records(topic):
                os.sched_yield()
            killed.process.kill()
            killed.process.wait()
    left = count(database, outbox)
    async with relaying(database, kafka.broker, tmp_path):
        await eventually("the order is published again", lambda: is_empty(database))
    records = await kafka.records(topic)

    assert left == 1
    assert [header(record, "ce_id") for record in records] == [event_id, event_id]


def test_a_late_delete_does_not_hit_the_row_that_came_next(database: Database) -> None:
    pending = Pending(database, None)
    first, second = store(database, "orders", "o-1", "o-2")
    pending.forget([first])
    pending.forget([first])
    with database.read() as connection:
        left = list(connection.scalars(select(outbox.c.event_id)))

    assert left == [second]


def test_a_process_whose_other_part_fails_is_not_kept_alive_by_the_relay(
    database: Database, broker: str, tmp_path: Path
) -> None:
    failures: list[BaseException] = []

    async def run_two_parts() -> None:
        patience = make_patience(tmp_path, "relay")
        relay = Relay(database, bootstrap_servers=broker, client_id=unique("relay"), patience=patience)
        async with asyncio.TaskGroup() as parts:
            parts.create_task(relay.run())
            await eventually("the relay is ready", lambda: status_of(patience)["ready"])
            raise LookupError

    def process() -> None:
        try:
            asyncio.run(run_two_parts())
        except* LookupError as failure:
            failures.append(failure)

    thread = threading.Thread(target=process, daemon=True)
    thread.start()
    thread.join(timeout=20)

    assert not thread.is_alive()
    assert len(failures) == 1
