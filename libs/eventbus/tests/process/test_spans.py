import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka_otel import AIOKafkaInstrumentor
from eventbus import Database, outside_transaction
from eventbus.cloudevents import Message
from eventbus.errors import Poison, Transient, describe, error_type
from eventbus.outbox.outbox import Outbox
from eventbus.process.spans import Flusher, mark_failed
from eventbus.worker.inbox import Inbox
from eventbus.worker.subscription import Resources
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode
from sqlalchemy.exc import OperationalError

from libs.eventbus.tests.support import (
    HANGS_AFTER_S,
    Kafka,
    OrderPlaced,
    Recorded,
    Service,
    effects_of,
    encoded,
    eventually,
)
from libs.eventbus.tests.worker.test_worker import Handler


class Collector(SpanExporter):
    """Take spans, or let the caller wait as the exporter does while the Collector is away."""

    def __init__(self) -> None:
        self.here = threading.Event()
        self.here.set()
        self.asked = threading.Event()
        self.exports = 0
        self.names: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.exports += 1
        self.asked.set()
        self.here.wait(30)
        self.names += [span.name for span in spans]
        return SpanExportResult.SUCCESS


@pytest.fixture
def collector() -> Collector:
    return Collector()


@pytest.fixture
def provider(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[TracerProvider]:
    """A tracer whose spans are exported by a flush, or in an hour."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(collector, schedule_delay_millis=3_600_000))
    monkeypatch.setattr("eventbus.process.spans.trace.get_tracer_provider", lambda: provider)
    yield provider
    collector.here.set()
    provider.shutdown()


def a_span(provider: TracerProvider, name: str) -> None:
    provider.get_tracer("test").start_span(name).end()


def test_a_flush_exports_what_has_ended(provider: TracerProvider, collector: Collector) -> None:
    a_span(provider, "one")
    Flusher().flush()

    assert collector.names == ["one"]


async def test_nobody_waits_for_a_collector_that_is_away(
    provider: TracerProvider, collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    flusher = Flusher(timeout=0.2)
    collector.here.clear()
    a_span(provider, "one")
    flusher.flush()
    a_span(provider, "two")
    began = monotonic()
    for _ in range(100):
        flusher.flush()
    took = monotonic() - began
    collector.here.set()
    await eventually("the overdue export is done", lambda: "one" in collector.names)

    def all_exported() -> bool:
        flusher.flush()
        return collector.names == ["one", "two"]

    await eventually("a flush exports again", all_exported)

    assert took < 0.2
    assert len([each for each in caplog.messages if each.startswith("spans are not exported")]) == 1


async def test_those_who_wait_share_the_export_after_the_one_under_way(
    provider: TracerProvider, collector: Collector
) -> None:
    collector.here.clear()
    a_span(provider, "under way")
    first = Flusher(timeout=60).begin()
    await eventually("an export is under way", collector.asked.is_set)
    waiting = []
    for number in range(50):
        a_span(provider, f"{number}")
        waiting.append(Flusher(timeout=60).begin())
    before = [thread.name for thread in threading.enumerate()]
    collector.here.set()
    flushed = await asyncio.gather(*(asyncio.wrap_future(each) for each in [first, *waiting]))

    assert flushed == [True] * 51
    assert collector.names == ["under way", *(f"{number}" for number in range(50))]
    assert collector.exports == 2
    assert before.count("export-spans") == 1


async def test_an_event_loop_waits_no_longer_than_a_thread_does(provider: TracerProvider, collector: Collector) -> None:
    collector.here.clear()
    a_span(provider, "one")
    flusher = Flusher(timeout=0.2)
    flushed = await asyncio.gather(*(asyncio.wrap_future(flusher.begin()) for _ in range(3)))
    at_once = flusher.begin()
    done = at_once.done()
    collector.here.set()

    assert flushed == [False] * 3
    assert (done, at_once.result()) == (True, False)


async def test_one_who_no_longer_waits_costs_the_others_nothing(provider: TracerProvider, collector: Collector) -> None:
    collector.here.clear()
    a_span(provider, "one")
    flusher = Flusher(timeout=60)
    waiting = [asyncio.ensure_future(asyncio.wrap_future(flusher.begin())) for _ in range(3)]
    await eventually("an export is under way", collector.asked.is_set)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    collector.here.set()

    async with asyncio.timeout(HANGS_AFTER_S):
        assert await asyncio.gather(*waiting[1:]) == [True, True]
        assert await asyncio.wrap_future(flusher.begin()) is True


class Broken(SpanProcessor):
    """Another one's, which raises."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        raise ValueError


def test_an_sdk_that_raises_leaves_nobody_waiting(provider: TracerProvider, collector: Collector) -> None:
    provider.add_span_processor(Broken())
    a_span(provider, "one")

    assert [Flusher().flush(), Flusher().flush()] == [False, False]
    assert collector.names == ["one"]


def test_a_child_process_exports_by_itself() -> None:
    """As gunicorn's do, where the parent has flushed before."""
    program = """
import os
from eventbus.process.spans import Flusher
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

trace.set_tracer_provider(TracerProvider())
exporter = InMemorySpanExporter()
trace.get_tracer_provider().add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=3_600_000))
flusher = Flusher(timeout=60)
for _ in range(2):
    trace.get_tracer("test").start_span("one").end()
    print(os.getpid(), flusher.flush(), len(exporter.get_finished_spans()), flush=True)
    child = os.fork()
    if child:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    lines = [line.split() for line in done.stdout.splitlines()]

    assert (done.returncode, done.stderr) == (0, "")
    assert [line[1:] for line in lines] == [["True", "1"], ["True", "2"]]
    assert len({pid for pid, *_ in lines}) == 2


def test_without_an_sdk_there_is_nothing_to_flush() -> None:
    Flusher().flush()


async def test_an_offset_is_committed_after_the_span_of_its_record_was_exported(
    kafka: Kafka,
    service: Service,
    database: Database,
    provider: TracerProvider,
    collector: Collector,
    monkeypatch: pytest.MonkeyPatch,
) -> None:

    exported_at_commit: list[int] = []
    commit = AIOKafkaConsumer.commit

    async def committing(consumer: Any, offsets: Any) -> None:
        exported_at_commit.append(len(collector.names))
        await commit(consumer, offsets)

    topic = await kafka.topic()
    await kafka.put(topic, *(encoded(OrderPlaced(order_id=f"o-{number}")) for number in range(20)))
    monkeypatch.setattr(AIOKafkaConsumer, "commit", committing)
    instrumentor = AIOKafkaInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        async with service.working(Handler().on(topic)):
            await kafka.until_committed(service.group, topic, {0: 20})
    finally:
        instrumentor.uninstrument()

    assert len(effects_of(database)) == 20
    assert exported_at_commit[-1] == 20
    assert collector.names == [f"process {topic}"] * 20


def test_the_spans_of_an_effect_are_exported_before_it_is_remembered(
    database: Database, provider: TracerProvider, collector: Collector
) -> None:
    def send(order: OrderPlaced, _: None) -> None:
        a_span(provider, "send email")

    remembered: list[list[str]] = []
    subscription = outside_transaction(
        OrderPlaced, send, None, record=lambda connection, done: remembered.append(list(collector.names))
    )
    subscription.apply(
        Resources(database, Inbox("x"), Outbox("x")), Message("/test", "m-1", OrderPlaced(order_id="o-1"))
    )

    assert remembered == [["send email"]]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Poison("the address is not valid"), "the address is not valid"),
        (Transient("try later"), "try later"),
        (OperationalError("SELECT", {}, Exception("database is locked")), "OperationalError: database is locked"),
        (KeyError("ada@example.com"), "no details"),
    ],
)
def test_a_span_that_failed_says_what_may_be_said(error: Exception, text: str, recorded: Recorded) -> None:
    with recorded.tracer.start_as_current_span("process") as span:
        mark_failed(span, error)
    (finished,) = recorded.spans("process")

    assert describe(error) == text
    assert finished.status.status_code is StatusCode.ERROR
    assert finished.status.description == f"{type(error).__name__}: {text}"
    assert (finished.attributes or {})["error.type"] == error_type(error)
    assert dict(finished.events[0].attributes or {}) == {
        "exception.type": error_type(error),
        "exception.message": text,
    }


def test_the_text_of_an_unknown_error_is_its_place_in_the_code() -> None:
    try:
        {}["ada@example.com"]
    except KeyError as error:
        text = describe(error)

    assert text.startswith("in test_the_text_of_an_unknown_error")
    assert "ada" not in text
