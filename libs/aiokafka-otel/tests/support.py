"""What the tests share: real clients of the real broker, and what the instrumentation recorded."""

import asyncio
import json
import os
import re
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import which
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka_otel import AIOKafkaInstrumentor
from opentelemetry import propagate
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import HistogramDataPoint, InMemoryMetricReader, NumberDataPoint
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

PACKAGE = Path(__file__).parents[1]
ROOT = PACKAGE.parents[1]
UV = os.environ.get("UV") or which("uv") or "uv"

TRACE_ID = 0x0AF7651916CD43DD8448EB211C80319C
SPAN_ID = 0xB7AD6B7169203331
TRACEPARENT = ("traceparent", f"00-{TRACE_ID:032x}-{SPAN_ID:016x}-01".encode())


async def eventually(what: str, condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait until the condition holds; fail with its description."""
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, f"after {seconds} s still not true: {what}"
        await asyncio.sleep(0.01)


@dataclass
class Recorded:
    """The finished spans and the measurements."""

    tracer_provider: TracerProvider = field(default_factory=TracerProvider)
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    reader: InMemoryMetricReader = field(default_factory=InMemoryMetricReader)

    def __post_init__(self) -> None:
        self.tracer_provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.meter_provider = MeterProvider([self.reader])
        self.tracer = self.tracer_provider.get_tracer("test")

    def spans(self, start_of_name: str = "") -> list[ReadableSpan]:
        """Return the finished spans in the order of their starts."""
        finished = self.exporter.get_finished_spans()
        chosen = [span for span in finished if span.name.startswith(start_of_name)]
        return sorted(chosen, key=lambda span: span.start_time or 0)

    def span(self, start_of_name: str) -> ReadableSpan:
        """Return the only finished span of that name."""
        (span,) = self.spans(start_of_name)
        return span

    def points(self, metric: str) -> list[NumberDataPoint | HistogramDataPoint]:
        """Return the data points of a metric, of all instruments with that name."""
        data = self.reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for found in scope.metrics
            if found.name == metric
            for point in found.data.data_points
            if isinstance(point, NumberDataPoint | HistogramDataPoint)
        ]


@contextmanager
def instrumented(recorded: Recorded) -> Iterator[Recorded]:
    """Have aiokafka instrumented in the block."""
    instrumentor = AIOKafkaInstrumentor()
    instrumentor.instrument(tracer_provider=recorded.tracer_provider, meter_provider=recorded.meter_provider)
    try:
        yield recorded
    finally:
        if instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.uninstrument()


@contextmanager
def propagating(propagator: TextMapPropagator) -> Iterator[None]:
    """Have another propagator in the block."""
    usual = propagate.get_global_textmap()
    propagate.set_global_textmap(propagator)
    try:
        yield
    finally:
        propagate.set_global_textmap(usual)


@dataclass
class Kafka:
    """Clients of one broker, and topics of one's own."""

    broker: str

    async def topic(self, partitions: int = 1, max_message_bytes: int = 1_000_000, name: str = "") -> str:
        """Create a topic, one that nobody else uses unless it has a name."""
        name = name or f"t-{uuid.uuid4().hex[:12]}"
        wanted = NewTopic(name, partitions, 1, topic_configs={"max.message.bytes": str(max_message_bytes)})
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker)
        await admin.start()
        try:
            deadline = monotonic() + 30
            while errors := [error for error in await self._create(admin, wanted) if error[1] not in (0, 36)]:
                assert monotonic() < deadline, f"after 30 s the topic is still refused: {errors}"
                await asyncio.sleep(0.1)
        finally:
            await admin.close()
        return name

    async def _create(self, admin: AIOKafkaAdminClient, topic: NewTopic) -> list[tuple[str, int, str]]:
        # A single broker may be away for a moment on a busy machine, and takes no topics then.
        answer: Any = await admin.create_topics([topic], timeout_ms=1000)
        return list(answer.topic_errors)

    @asynccontextmanager
    async def producer(self, **settings: Any) -> AsyncIterator[AIOKafkaProducer]:
        """Run a producer."""
        async with AIOKafkaProducer(bootstrap_servers=self.broker, **settings) as producer:
            yield producer

    @asynccontextmanager
    async def consumer(self, *topics: str, **settings: Any) -> AsyncIterator[AIOKafkaConsumer]:
        """Run a consumer in a group of its own, from the beginning."""
        async with self.unstarted(*topics, **settings) as consumer:
            yield consumer

    def unstarted(self, *topics: str, **settings: Any) -> AIOKafkaConsumer:
        """Return such a consumer to be started by the test."""
        defaults = {
            "group_id": f"g-{uuid.uuid4().hex[:12]}",
            "auto_offset_reset": "earliest",
            "enable_auto_commit": False,
            "heartbeat_interval_ms": 500,
            "fetch_max_wait_ms": 50,
        }
        return AIOKafkaConsumer(*topics, bootstrap_servers=self.broker, **(defaults | settings))

    async def put(self, topic: str, *values: bytes | None, **message: Any) -> None:
        """Write records as a producer without instrumentation does."""
        with suppress_instrumentation():
            async with self.producer() as producer:
                for value in values:
                    await producer.send_and_wait(topic, value, **({"key": b"k"} | message))


def traceparent(span: ReadableSpan) -> bytes:
    """Return the header that says: this span is the parent."""
    context = span.context
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}".encode()


def values_of(headers: Iterable[tuple[str, bytes]], name: str) -> list[bytes]:
    """Return all values of a header."""
    return [value for key, value in headers if key == name]


def parent_id(span: ReadableSpan) -> int | None:
    """Return the span id of the parent."""
    return span.parent.span_id if span.parent else None


def example_of_readme() -> str:
    """Return the one Python program of the README."""
    (program,) = re.findall(r"```python\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)
    return str(program)


def run_instrumented(
    environment: Path, program: str, kafka: Kafka, exit_code: int = 0, **variables: str
) -> tuple[list[dict[str, Any]], str]:
    """Run a program under `opentelemetry-instrument`; return its spans in the order of their starts, and stderr."""
    run = subprocess.run(
        [environment / "bin" / "opentelemetry-instrument", environment / "bin" / "python", "-c", program],
        env={
            "PATH": os.environ["PATH"],
            "KAFKA": kafka.broker,
            "OTEL_TRACES_EXPORTER": "console",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.returncode == exit_code, run.stderr
    spans, rest, decoder = [], run.stdout.strip(), json.JSONDecoder()
    while rest:
        span, end = decoder.raw_decode(rest)
        spans.append(span)
        rest = rest[end:].strip()
    return sorted(spans, key=lambda span: str(span["start_time"])), run.stderr


def parent_id_of(span: dict[str, Any]) -> str | None:
    """Return the parent's id in a span as the console exporter writes it."""
    parent: str | None = span["parent_id"]
    return parent
