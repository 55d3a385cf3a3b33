import asyncio
import os
import signal
import socket
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaError
from eventbus import Database, Event, Outbox, Publication, Subscription, WorkerSettings, service, within_transaction
from eventbus import kafka as bus_kafka
from eventbus.database.tables import outbox
from eventbus.worker.group import Group
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from sqlalchemy import text

from libs.eventbus.tests.processes import TinyService, collecting
from libs.eventbus.tests.support import (
    Kafka,
    OrderPlaced,
    count,
    encoded,
    eventually,
    header,
    read_status,
    unique,
    worker_settings,
)

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
SPAN_ID = "b7ad6b7169203331"


def order(order_id: str) -> "tuple[bytes, bytes, list[tuple[str, bytes]]]":
    return encoded(OrderPlaced(order_id=order_id), traceparent=f"00-{TRACE_ID}-{SPAN_ID}-01".encode())


async def test_a_service_creates_its_topics_handles_publishes_and_at_sigterm_ends_with_all_spans_exported(
    kafka: Kafka, tmp_path: Path, database_url: str
) -> None:
    orders, invoices = unique("orders"), unique("invoices")
    with collecting() as collected:
        tiny = TinyService(
            tmp_path / "tiny.db",
            kafka.broker,
            invoices,
            orders,
            otlp=collected.endpoint,
            database_url=database_url,
        )
        with tiny.run():
            await tiny.ready()
            await kafka.put(orders, order("o-1"), (b"k", b"garbage", []))
            await kafka.until_committed(tiny.service, orders, {0: 2})
            exit_code = await tiny.terminate()
    spans = {span.span_id: span for span in collected.spans}
    chains = sorted(chain(spans, span) for span in collected.spans if span.name.startswith("send"))
    published = sorted(header(record, "traceparent") or "" for record in await kafka.records(invoices))
    letters = await kafka.records(f"{tiny.service}.dlq")
    logged = {(line["message"], line.get("key")): line for line in tiny.logs}
    (processing,) = [s for s in collected.spans if s.name == f"process {orders}" and not s.events]

    assert exit_code == 0
    assert tiny.status == {"ready": False, "reason": "service: stopped"}
    assert chains == [
        [f"send {invoices}", f"process {orders}", SPAN_ID],
        [f"send {tiny.service}.dlq", f"process {orders}", ""],
    ]
    assert len(collected.spans) == 4
    assert [each.split("-")[1] for each in published] == [TRACE_ID]
    assert len(letters) == 1
    for message in ("handled", "published"):
        assert logged[message, "o-1"]["trace_id"] == TRACE_ID
        assert logged[message, "o-1"]["span_id"] == processing.span_id.hex()
    assert logged["stopped", None]["trace_id"] in (None, "0")


def chain(spans: dict[bytes, Span], span: Span) -> list[str]:
    """Return the names from a span to its root, and the id of a parent that is somebody else's."""
    parent = spans.get(span.parent_span_id)
    return [span.name, *(chain(spans, parent) if parent else [span.parent_span_id.hex()])]


async def test_sigterm_ends_also_while_the_broker_does_not_answer_and_what_waits_is_published_later(
    kafka: Kafka, tmp_path: Path
) -> None:
    orders, invoices = unique("orders"), unique("invoices")
    tiny = TinyService(tmp_path / "tiny.db", kafka.broker, invoices, orders)
    database = Database(f"sqlite:///{tiny.database}")
    with tiny.run():
        await tiny.ready()
        async with kafka.paused():
            with database.write() as connection:
                Outbox("tiny").add(connection, OrderPlaced.on(invoices)(order_id="o-1"))
            await eventually("it is not ready", lambda: not tiny.status["ready"], seconds=30)
            exit_code = await tiny.terminate()
    left = count(database, outbox)
    with tiny.run():
        await eventually("the next start publishes it", lambda: count(database, outbox) == 0, seconds=30)
    database.close()

    assert (exit_code, left) == (0, 1)


@pytest.mark.parametrize("silent", [True, False])
async def test_sigterm_before_the_broker_was_ever_there_ends_at_once(tmp_path: Path, silent: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        if not silent:
            listening.close()
        tiny = TinyService(tmp_path / "tiny.db", f"127.0.0.1:{port}", "invoices", "orders")
        with tiny.run():
            await eventually("it has started", lambda: tiny.status.get("reason"))
            status = tiny.status
            exit_code = await tiny.terminate()

    assert not status["ready"]
    assert (exit_code, tiny.logs[-1]["message"]) == (0, "stopped")  # by itself


@pytest.mark.parametrize("other_topic", [None, "mirrored-orders"])
def test_a_service_that_subscribes_an_event_type_twice_is_not_started_and_says_what_to_do(
    other_topic: str | None, on_sqlite: Database, tmp_path: Path
) -> None:
    event = OrderPlaced.on("orders")
    other = OrderPlaced.on(other_topic) if other_topic else event
    subscriptions = [within_transaction(each, lambda order, connection: None, lambda c: c) for each in (event, other)]
    config = worker_settings("127.0.0.1:1", tmp_path)

    with pytest.raises(SystemExit) as ended:
        service.run("shop", config, on_sqlite, subscriptions=subscriptions)
    assert str(ended.value).startswith("shop is not started: order.placed.v1 is subscribed twice (from ")
    assert "do both in one handler, or run the second one as a service with another name" in str(ended.value)
    assert not config.status_file.exists()


async def test_two_services_with_one_instance_id_end_and_say_why(kafka: Kafka, tmp_path: Path) -> None:
    orders, invoices = unique("orders"), unique("invoices")
    tinies = [
        TinyService(tmp_path / f"{number}.db", kafka.broker, invoices, orders, service="tiny", instance_id="tiny-1")
        for number in range(2)
    ]
    with tinies[0].run(), tinies[1].run():
        await eventually(
            "one of them has ended", lambda: [t for t in tinies if t.process.poll() is not None], seconds=30
        )
        ended = next(tiny for tiny in tinies if tiny.process.poll() is not None)

    assert ended.process.returncode == 1
    assert ended.logs[-1]["message"] == "another process uses INSTANCE_ID tiny-1: give each its own"
    assert ended.logs[-1]["level"] == "CRITICAL"


async def test_a_record_that_its_dead_letters_do_not_take_whole_holds_up_nobody(kafka: Kafka, tmp_path: Path) -> None:
    orders, invoices = unique("orders"), unique("invoices")
    await kafka.create(orders, max_message_bytes=str(16 * 1024 * 1024))
    tiny = TinyService(tmp_path / "tiny.db", kafka.broker, invoices, orders)
    with tiny.run():
        await tiny.ready()
        # All letters of one key go to one partition, where the broker counts what each producer has sent.
        await kafka.put(orders, (b"k", b"before", []))
        await kafka.until_committed(tiny.service, orders, {0: 1})
        async with kafka.producer(max_request_size=16 * 1024 * 1024) as producer:
            await producer.send_and_wait(orders, os.urandom(9 * 1024 * 1024), key=b"k", partition=0)
        await kafka.put(orders, (b"k", b"behind", []), order("o-1"))
        await kafka.until_committed(tiny.service, orders, {0: 4})
        status = tiny.status
    letters = await kafka.records(f"{tiny.service}.dlq")

    assert status["ready"]
    assert [letter.value for letter in letters] == [b"before", None, b"behind"]
    assert [header(letter, "dlq.left-out") for letter in letters] == [None, "value", None]


async def test_a_service_whose_database_lacks_a_column_ends_and_says_which(
    kafka: Kafka, tmp_path: Path, database_url: str
) -> None:
    orders, invoices = unique("orders"), unique("invoices")
    tiny = TinyService(tmp_path / "tiny.db", kafka.broker, invoices, orders, database_url=database_url)
    database = Database(database_url)
    with tiny.run():
        await tiny.ready()
        await kafka.put(orders, order("o-1"))
        await kafka.until_committed(tiny.service, orders, {0: 1})
        with database.write() as connection:
            connection.execute(text("ALTER TABLE inbox RENAME COLUMN handled_at TO done_at"))
        await kafka.put(orders, order("o-2"))
        while_it_runs = await tiny.exit_code()
        said = tiny.logs[-1]
    with tiny.run():
        at_its_start = await tiny.exit_code()
        line = tiny.log_file.read_text()
    database.close()

    assert (while_it_runs, at_its_start) == (1, 1)
    assert said["level"] == "CRITICAL"
    assert said["message"].startswith("DATABASE_URL: this program does not fit the database: ")
    assert "handled_at" in said["message"] and "exc_info" not in said
    assert line == "DATABASE_URL: the table inbox has no column handled_at: add it first\n"
    assert await kafka.committed(tiny.service, orders) == {0: 1}


class NeverStarts:
    """A consumer that waits for its broker."""

    async def start(self) -> None:
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """Stop."""


class Breaks(NeverStarts):
    """A consumer that is of no use any more, however well it starts."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def start(self) -> None:
        """Start."""

    def subscribe(self, topics: object, listener: object) -> None:
        """Subscribe."""

    def assignment(self) -> set[object]:
        return set()

    async def getmany(self, **_: object) -> None:
        raise self._error


class AnswersLate:
    """A producer whose broker acknowledges a moment after the process was asked to stop."""

    client = SimpleNamespace(_client_id="relay")

    def __init__(self) -> None:
        self.sent: list[asyncio.Future[None]] = []

    async def start(self) -> None:
        """Start."""

    async def stop(self) -> None:
        """Stop."""

    async def send(self, topic: str, value: bytes, *, key: bytes, headers: object) -> "asyncio.Future[None]":
        self.sent.append(asyncio.get_running_loop().create_future())
        return self.sent[-1]

    def acknowledge(self) -> None:
        for future in self.sent:
            future.set_result(None)


def shop(
    config: WorkerSettings, database: Database, subscription: Subscription, *publishes: type[Event]
) -> service._Service:
    group = Group("shop", config, database, [subscription])
    return service._Service(group, list(map(Publication, publishes)), [])


async def test_the_parts_of_a_service_start_and_stop_each_for_itself(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def create_topics(*_: object) -> None:
        """Create nothing."""

    relayed = AnswersLate()
    monkeypatch.setattr(bus_kafka, "create_topics", create_topics)
    monkeypatch.setattr(bus_kafka, "producer", lambda *_, **__: relayed)
    monkeypatch.setattr(bus_kafka, "consumer", lambda *_, **__: NeverStarts())
    with database.write() as connection:
        Outbox("shop").add(connection, OrderPlaced(order_id="o-1"))
    config = worker_settings("127.0.0.1:9092", tmp_path)
    subscription = within_transaction(OrderPlaced, lambda order, _: None, lambda connection: connection)
    running = asyncio.create_task(shop(config, database, subscription, OrderPlaced).run())
    await eventually("an order is on its way", lambda: relayed.sent)
    status = read_status(config.status_file)
    os.kill(os.getpid(), signal.SIGTERM)
    asyncio.get_running_loop().call_later(0.5, relayed.acknowledge)
    await running

    assert status == {"ready": False, "reason": "worker: starting; assignment: starting"}
    assert count(database, outbox) == 0


@pytest.mark.parametrize(
    "error",
    [KafkaError("coordination"), ConnectionResetError(), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "header name")],
)
async def test_a_consumer_that_is_of_no_use_any_more_is_replaced_while_the_service_is_not_ready(
    error: Exception, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def create_topics(*_: object) -> None:
        """Create nothing."""

    made: list[NeverStarts] = []
    seen: list[dict[str, object]] = []

    def consumer(*_: object, **__: object) -> NeverStarts:
        seen.append(read_status(config.status_file))
        made.append(Breaks(error) if len(made) < 2 else NeverStarts())
        return made[-1]

    monkeypatch.setattr(bus_kafka, "create_topics", create_topics)
    monkeypatch.setattr(bus_kafka, "producer", lambda *_, **__: AnswersLate())
    monkeypatch.setattr(bus_kafka, "consumer", consumer)
    config = worker_settings("127.0.0.1:9092", tmp_path)
    subscription = within_transaction(OrderPlaced, lambda order, _: None, lambda connection: connection)
    running = asyncio.create_task(shop(config, database, subscription).run())
    await eventually("the third consumer is made", lambda: len(made) == 3)
    os.kill(os.getpid(), signal.SIGTERM)
    await running

    assert [status["ready"] for status in seen] == [False] * 3
    for status in seen[1:]:
        assert f"worker: {type(error).__name__}, trying again" in str(status["reason"])
