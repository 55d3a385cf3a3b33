"""The exporter knows what it has lost, and the flusher asks; a span that cannot be encoded costs no other one."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from typing import Any

import pytest
from eventbus.errors import Poison
from eventbus.process.spans import Flusher, mark_failed
from opentelemetry.instrumentation.auto_instrumentation._load import _load_distro
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import Status, StatusCode
from span_export import lost
from span_export.otlp import Exporter

from libs.eventbus.tests.processes import Collected, collecting


@pytest.fixture
def collected() -> Iterator[Collected]:
    with collecting() as collected:
        yield collected


@pytest.fixture
def provider(collected: Collected, monkeypatch: pytest.MonkeyPatch) -> Iterator[TracerProvider]:
    """A tracer whose spans are exported by a flush, or in an hour."""
    provider = TracerProvider()
    exporter = Exporter(endpoint=f"{collected.endpoint}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=3_600_000))
    monkeypatch.setattr("eventbus.process.spans.trace.get_tracer_provider", lambda: provider)
    yield provider
    provider.shutdown()


def a_span(provider: TracerProvider, name: str, **options: Any) -> None:
    provider.get_tracer("test").start_span(name, **options).end()


def names(collected: Collected) -> list[str]:
    return [span.name for span in collected.spans]


def test_it_is_found_by_the_name_in_the_settings() -> None:
    (entry_point,) = entry_points(group="opentelemetry_traces_exporter", name="otlp_counted")

    assert entry_point.load() is Exporter


@pytest.mark.parametrize(
    ("asked", "protocol", "loaded"),
    [
        ("otlp", "http/protobuf", "otlp_counted"),
        ("otlp", "grpc", "otlp"),
        ("console", "http/protobuf", "console"),
        ("none", "http/protobuf", "none"),
    ],
)
def test_with_our_distro_it_is_what_otlp_means(
    asked: str, protocol: str, loaded: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_PYTHON_DISTRO", "eventbus")
    for name, value in {"TRACES_EXPORTER": asked, "EXPORTER_OTLP_PROTOCOL": protocol}.items():
        monkeypatch.setenv(f"OTEL_{name}", value)
    for name in ("METRICS_EXPORTER", "LOGS_EXPORTER"):
        monkeypatch.setenv(f"OTEL_{name}", "none")
    _load_distro().configure()

    assert os.environ["OTEL_TRACES_EXPORTER"] == loaded


def test_it_loads_nothing_that_is_instrumented_later() -> None:
    loads = "import sys, span_export.otlp, span_export.distro;"
    look = f"{loads} print({{'aiokafka', 'sqlalchemy', 'flask', 'eventbus'}} & set(sys.modules))"

    assert subprocess.run([sys.executable, "-c", look], capture_output=True, text=True).stdout == "set()\n"


def test_a_flush_whose_export_is_refused_is_no_done_one(
    provider: TracerProvider, collected: Collected, caplog: pytest.LogCaptureFixture
) -> None:
    flusher, before = Flusher(), lost.spans
    collected.answer = 400
    flushed = []
    for number in range(3):
        a_span(provider, f"refused {number}")
        flushed.append(flusher.flush())
    collected.answer = 200
    a_span(provider, "taken")
    flushed.append(flusher.flush())

    assert flushed == [False, False, False, True]
    assert lost.spans - before == 3
    assert names(collected) == ["taken"]
    said = [each.getMessage() for each in caplog.records if each.name == "span_export.otlp"]
    assert [each.partition(":")[0] for each in said] == ["spans are lost", "spans are exported again"]


def test_a_flush_knows_what_was_lost_since_the_last_one(provider: TracerProvider, collected: Collected) -> None:
    flusher = Flusher()
    collected.answer = 400
    a_span(provider, "exported by the SDK in between")
    provider.force_flush()
    collected.answer = 200

    assert flusher.flush() is False
    assert flusher.flush() is True


class Busy(Exporter):
    """While it exports, the next span ends, and whoever ended it asks for a flush."""

    def __init__(self, provider: TracerProvider, collected: Collected) -> None:
        super().__init__(f"{collected.endpoint}/v1/traces")
        self._provider = provider
        self._collected = collected
        self.left = 2000
        self.told_in_time: list[bool] = []

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.left:
            self.left -= 1
            name = f"span {self.left}"
            a_span(self._provider, name)
            flush = Flusher(timeout=60).begin()
            flush.add_done_callback(lambda _: self.told_in_time.append(name in names(self._collected)))
        return super().export(spans)


def test_a_flush_is_done_although_spans_go_on_to_end(collected: Collected, monkeypatch: pytest.MonkeyPatch) -> None:
    provider = TracerProvider()
    busy = Busy(provider, collected)
    provider.add_span_processor(BatchSpanProcessor(busy, schedule_delay_millis=3_600_000))
    monkeypatch.setattr("eventbus.process.spans.trace.get_tracer_provider", lambda: provider)
    a_span(provider, "first")
    flushed = [Flusher(timeout=60).flush() for _ in range(10)]
    left, busy.left = busy.left, 0
    flushed.append(Flusher(timeout=60).flush())
    provider.shutdown()

    assert flushed == [True] * 11
    assert left > 0
    assert busy.told_in_time == [True] * (2000 - left)


def test_an_sdk_that_says_that_nothing_was_flushed_is_believed(provider: TracerProvider) -> None:
    provider.shutdown()

    assert Flusher().flush() is False


BAD: dict[str, dict[str, Any]] = {
    "a name \udce9": {},
    "a start before 1970": {"start_time": -1},
    "a start after uint64": {"start_time": 2**64},
}


@pytest.mark.parametrize("bad", BAD)
def test_a_span_that_cannot_be_encoded_goes_alone_and_is_counted(
    bad: str, provider: TracerProvider, collected: Collected, caplog: pytest.LogCaptureFixture
) -> None:
    flusher, before = Flusher(), lost.spans
    for name in "one", "two":
        a_span(provider, name)
    a_span(provider, bad, **BAD[bad])
    a_span(provider, "three")

    assert flusher.flush() is False
    assert names(collected) == ["one", "two", "three"]
    assert lost.spans - before == 1
    assert [each.getMessage() for each in caplog.records if each.name == "span_export.otlp"] == [
        "a span is lost: it cannot be encoded"
    ]


def test_an_application_s_status_and_event_cost_their_own_span_only(
    provider: TracerProvider, collected: Collected
) -> None:
    with provider.get_tracer("test").start_as_current_span("status") as span:
        span.set_status(Status(StatusCode.ERROR, "\ud800"))
    with provider.get_tracer("test").start_as_current_span("event") as span:
        span.add_event("\ud800")
    with provider.get_tracer("test").start_as_current_span("attribute") as span:
        span.set_attribute("text", "\ud800")
    Flusher().flush()

    assert names(collected) == ["attribute"]


def test_a_span_of_a_failed_message_can_always_be_encoded(provider: TracerProvider, collected: Collected) -> None:
    with provider.get_tracer("test").start_as_current_span("process") as span:
        mark_failed(span, Poison("no Ren\udce9"))

    assert Flusher().flush() is True
    assert collected.spans[0].status.message == "Poison: no Ren\\udce9"
