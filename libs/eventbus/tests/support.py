"""What the tests share: events on topics of their own, clients of the real broker, and the spans that came of it."""

import asyncio
import builtins
import json
import os
import signal
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from time import monotonic
from typing import Any, ClassVar

import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError
from eventbus import (
    Database,
    Event,
    Money,
    Publication,
    Subscription,
    WorkerSettings,
    cloudevents,
    kafka,
)
from eventbus.cloudevents import Headers
from eventbus.outbox.relay import Relay
from eventbus.process.patience import Patience
from eventbus.process.status import Status
from eventbus.worker import dead_letters, retry
from eventbus.worker.assignment import PART as ASSIGNMENT
from eventbus.worker.consume import consume, topics_of
from eventbus.worker.group import Group
from eventbus.worker.worker import Worker
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import Column, Integer, MetaData, String, Table, func, select, text

# Bounds that tell a test that hangs from one on a busy machine; no promise is measured by them.
HANGS_AFTER_S = 60


class OrderPlaced(Event):
    """An order, as the tests send it; `on` puts it on a topic of the test's own."""

    topic: ClassVar[str] = "orders"
    type: ClassVar[str] = "order.placed.v1"
    key_field: ClassVar[str] = "order_id"

    order_id: str
    total: Money = Decimal("19.90")

    @classmethod
    def on(cls, topic: str) -> "builtins.type[OrderPlaced]":
        """Return the same event on another topic."""

        class Elsewhere(OrderPlaced):
            topic: ClassVar[str] = ""

        Elsewhere.topic = topic
        return Elsewhere


class ParcelMoved(Event):
    """One of many events of a parcel, on a topic of the test's own."""

    topic: ClassVar[str] = ""
    type: ClassVar[str] = "parcel.moved.v1"
    key_field: ClassVar[str] = "parcel"

    parcel: str
    number: int = 0

    @property
    def name(self) -> str:
        """The parcel and the number."""
        return f"{self.parcel}-{self.number}"


def unique(prefix: str) -> str:
    """Return a name that nobody else uses."""
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


async def eventually(what: str, condition: Callable[[], object], seconds: float = HANGS_AFTER_S) -> None:
    """Wait until the condition holds; fail with its description."""
    began = monotonic()
    while not condition():
        assert monotonic() < began + seconds, f"after {seconds} s still not true: {what}"
        await asyncio.sleep(0.01)


# The effects of handlers: one row for each time that a handler ran to its end.
metadata = MetaData()
effects = Table(
    "effects",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("order_id", String, nullable=False),
    Column("handled_by", String),
)


def effects_of(database: Database) -> list[str]:
    """Return the orders that had an effect, in the order of the effects."""
    with database.read() as connection:
        return list(connection.scalars(select(effects.c.order_id).order_by(effects.c.id)))


def count(database: Database, table: Table) -> int:
    """Return how many rows a table has."""
    with database.read() as connection:
        return connection.execute(select(func.count()).select_from(table)).scalar_one()


@contextmanager
def unchangeable(database: Database, table: Table) -> Iterator[None]:
    """Let everybody else who wants to change a table wait; it can be read."""
    with database.write() as connection:
        if connection.dialect.name == "postgresql":  # where a transaction alone is no lock
            connection.execute(text(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE"))
        yield


def make_patience(folder: Path, *parts: str, grace: float = 5) -> Patience:
    """Return a patience with a status file of its own, in which *parts* have not started yet."""
    status = Status(folder / f"{unique('status')}.json", *parts)
    status.fine("service")
    return Patience(status, asyncio.Event(), grace=grace)


def read_status(file: Path) -> dict[str, Any]:
    """Return what a status file says, whenever it was written; nothing where there is none yet."""
    status: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    status.pop("at", None)
    return status


def status_of(patience: Patience) -> dict[str, Any]:
    """Return what the status file says."""
    return read_status(patience.status._file)


@dataclass
class Recorded:
    """The finished spans."""

    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def __post_init__(self) -> None:
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer = self.provider.get_tracer("test")

    def spans(self, start_of_name: str = "") -> list[ReadableSpan]:
        """Return the finished spans in the order of their starts."""
        chosen = [span for span in self.exporter.get_finished_spans() if span.name.startswith(start_of_name)]
        return sorted(chosen, key=lambda span: span.start_time or 0)


def prepare(database: Database, *metadata: MetaData) -> None:
    """Give *database* the bus's own tables and those of a test."""
    database.upgrade()
    with database.write() as connection:
        for each in metadata:
            each.create_all(connection)


def traceparent(span: ReadableSpan) -> str:
    """Return the header that says: this span is the parent."""
    context = span.context
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def header(record: ConsumerRecord[bytes, bytes], name: str) -> str | None:
    """Return the text of the only header of that name."""
    values = [value for key, value in record.headers if key == name]
    assert len(values) <= 1, f"{name} is there {len(values)} times"
    return values[0].decode() if values and values[0] is not None else None


@dataclass
class Kafka:
    """The broker, with topics of one's own."""

    broker: str
    patience: Patience

    async def topic(self, prefix: str = "orders", **settings: str) -> str:
        """Create a topic that nobody else uses, as a service would."""
        name = unique(prefix)
        await self.create(name, **settings)
        return name

    async def create(self, name: str, **settings: str) -> None:
        """Create a topic; a broker that was away a moment ago may have no controller yet."""
        topics = {name: {key.replace("_", "."): value for key, value in settings.items()}}
        async with asyncio.timeout(HANGS_AFTER_S):
            await self.patience.until_done(
                "topics",
                lambda: kafka.create_topics(self.broker, topics, self.patience),
                retry_on=(KafkaError, OSError),
            )

    @asynccontextmanager
    async def producer(self, **settings: Any) -> AsyncIterator[AIOKafkaProducer]:
        """Run a plain producer."""
        async with AIOKafkaProducer(bootstrap_servers=self.broker, **settings) as producer:
            yield producer

    async def put(self, topic: str, *records: tuple[bytes | None, bytes | None, Headers], partition: int = 0) -> None:
        """Write records (key, value, headers) as a producer without instrumentation does."""
        with suppress_instrumentation():
            async with self.producer(max_batch_size=2 * 1024 * 1024, max_request_size=2 * 1024 * 1024) as producer:
                for key, value, headers in records:
                    await producer.send(topic, value, key=key, headers=headers, partition=partition)
                await producer.flush()

    async def records(self, topic: str) -> list[ConsumerRecord[bytes, bytes]]:
        """Return all records of a topic, partition by partition."""
        with suppress_instrumentation():
            consumer = AIOKafkaConsumer(bootstrap_servers=self.broker, auto_offset_reset="earliest")
            partitions = [TopicPartition(topic, number) for number in range(kafka.PARTITIONS)]
            consumer.assign(partitions)
            found: list[ConsumerRecord[bytes, bytes]] = []
            async with consumer, asyncio.timeout(HANGS_AFTER_S):
                starts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
                while len(found) < sum(ends.values()) - sum(starts.values()):
                    for batch in (await consumer.getmany(timeout_ms=500)).values():
                        found += batch
        return sorted(found, key=lambda record: (record.partition, record.offset))

    @asynccontextmanager
    async def paused(self) -> AsyncIterator[None]:
        """Let the broker keep its connections and answer nothing, as a machine does that hangs."""
        port = int(self.broker.rpartition(":")[2])
        (pid,) = {
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid
        }
        topic = await self.topic()
        os.kill(pid, signal.SIGSTOP)
        await eventually("the broker hangs", lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)
            # For a moment it still refuses work: its controller had given it up.
            await self.put(topic, (b"k", b"v", []))

    async def committed(self, group: str, topic: str) -> dict[int, int]:
        """Return the offsets that a group has committed, by partition."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker)
        await admin.start()
        try:
            offsets = await admin.list_consumer_group_offsets(group)
        except GroupCoordinatorNotAvailableError:  # the broker has not had any group yet
            return {}
        finally:
            await admin.close()
        return {at.partition: offset.offset for at, offset in offsets.items() if at.topic == topic}

    async def until_committed(self, group: str, topic: str, offsets: dict[int, int]) -> None:
        """Wait until a group has committed these offsets."""
        found: dict[int, int] = {}
        with suppress(TimeoutError):
            async with asyncio.timeout(HANGS_AFTER_S):
                while found != offsets:
                    found = await self.committed(group, topic)
        assert found == offsets


def encoded(event: Event, *, event_id: str | None = None, **changes: bytes | None) -> tuple[bytes, bytes, Headers]:
    """Return an event as key, value and headers; *changes* (with _ for -) replace headers, None removes one."""
    headers = dict(cloudevents.headers_of(event, event_id=event_id or str(uuid.uuid4()), source="test"))
    for name, value in changes.items():
        headers.pop(name, None)
        if value is not None:
            headers[name] = value
    assert event.key is not None
    return event.key.encode(), event.model_dump_json().encode(), list(headers.items())


@dataclass
class Running:
    """A part that runs in a task of its own."""

    patience: Patience
    task: "asyncio.Task[None]"
    worker: Worker | None = None

    async def stop(self) -> None:
        """Ask it to stop and wait until it has."""
        self.patience.stop.set()
        async with asyncio.timeout(HANGS_AFTER_S):
            await self.task


@asynccontextmanager
async def running(patience: Patience, part: Coroutine[Any, Any, None]) -> AsyncIterator[Running]:
    """Run *part*; at the end stop it, unless it has ended."""
    handle = Running(patience, asyncio.create_task(part))
    try:
        yield handle
    except BaseException:
        handle.task.cancel()
        await asyncio.wait({handle.task})
        raise
    await handle.stop()


@dataclass
class Service:
    """The worker loop of one consumer group on the real broker, put together as `eventbus.run` does."""

    broker: str
    database: Database
    folder: Path
    group: str = field(default_factory=lambda: unique("group"))
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def letters(self) -> str:
        """The topic of its dead letters."""
        return dead_letters.topic_of(self.group)

    @property
    def retries(self) -> str:
        """The topic of the messages that are tried again later."""
        return retry.topic_of(self.group)

    @asynccontextmanager
    async def working(
        self, *subscriptions: Subscription, instance_id: str | None = None, joins: bool = True
    ) -> AsyncIterator[Running]:
        """Run one member of the group, from the moment when it *joins*: the group then reads all of its topics."""
        patience = make_patience(self.folder, ASSIGNMENT)
        async with running(patience, self._work(patience, subscriptions, instance_id or unique("member"))) as handle:
            if joins:
                await eventually("it joins", lambda: handle.task.done() or not patience.status.in_trouble(ASSIGNMENT))
            yield handle

    async def _work(self, patience: Patience, subscriptions: tuple[Subscription, ...], instance_id: str) -> None:
        config = worker_settings(self.broker, self.folder, instance_id=instance_id, **self.settings)
        await kafka.create_topics(self.broker, topics_of(self.group), patience)
        await consume(Group(self.group, config, self.database, subscriptions), patience)


def worker_settings(broker: str, folder: Path, **settings: Any) -> WorkerSettings:
    """Return the settings of a worker; messages that fail come again soon."""
    defaults = {
        "database_url": "sqlite:///unused.db",
        "kafka_bootstrap_servers": broker,
        "instance_id": unique("member"),
        "status_file": folder / "status.json",
        "retry_delay_s": 0.5,
        "retry_tries": 3,
    }
    return WorkerSettings(**{**defaults, **settings})


@asynccontextmanager
async def relaying(
    database: Database, broker: str, folder: Path, grace: float = 5, publications: Sequence[Publication] = ()
) -> AsyncIterator[tuple[Relay, Running]]:
    """Run a relay."""
    patience = make_patience(folder, "relay", grace=grace)
    relay = Relay(
        database, bootstrap_servers=broker, client_id=unique("relay"), patience=patience, publications=publications
    )
    async with running(patience, relay.run()) as handle:
        yield relay, handle
