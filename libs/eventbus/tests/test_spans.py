import threading
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka_otel import AIOKafkaInstrumentor
from eventbus import Database, outside_transaction
from eventbus.cloudevents import Message
from eventbus.errors import Poison, Transient, describe
from eventbus.inbox import Inbox
from eventbus.outbox import Outbox
from eventbus.spans import Flusher, mark_failed
from eventbus.subscription import Bench
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode
from sqlalchemy.exc import OperationalError

from .support import Kafka, OrderPlaced, Recorded, Service, effects_of, encoded, eventually
from .test_worker import Handler


class Collector(SpanExporter):
    """Take spans, or let the caller wait as the exporter does while the Collector is away."""

    def __init__(self) -> None:
        self.here = threading.Event()
        self.here.set()
        self.names: list[str] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
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
    monkeypatch.setattr("eventbus.spans.trace.get_tracer_provider", lambda: provider)
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
    subscription.apply(Bench(database, Inbox("x"), Outbox("x")), Message("/test", "m-1", OrderPlaced(order_id="o-1")))

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
    assert (finished.attributes or {})["error.type"] == type(error).__name__
    assert dict(finished.events[0].attributes or {}) == {
        "exception.type": type(error).__name__,
        "exception.message": text,
    }


def test_the_text_of_an_unknown_error_is_its_place_in_the_code() -> None:
    try:
        {}["ada@example.com"]
    except KeyError as error:
        text = describe(error)

    assert text.startswith("in test_the_text_of_an_unknown_error")
    assert "ada" not in text
