"""What tracing costs: microseconds of CPU per sent and per handled record, beside plain aiokafka and the stock one,
and with the span ids of the generator `repeatable`. `sdk` is the floor: the same spans and headers, and nothing else.

    make up
    UV_PROJECT_ENVIRONMENT=.stack/venv-stock uv sync --frozen --all-packages --group stock
    uv run --frozen python libs/aiokafka-otel/benchmarks/overhead.py --broker 127.0.0.1:9092

Each variant is a process of its own with clients of its own on the same broker. They take turns, round by round, so
that what else the machine does hits all of them; the table shows medians. Spans are made by the SDK and dropped at
their end: exporters are not the subject, and metrics are not exported, as with `OTEL_METRICS_EXPORTER=none` under
`opentelemetry-instrument`. CPU time and not elapsed time, which is the broker's.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import uuid
from pathlib import Path
from time import process_time
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from opentelemetry import metrics, propagate, trace
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Setter
from opentelemetry.trace import Link, NonRecordingSpan, SpanContext, SpanKind, TraceFlags

STOCK_PYTHON = Path(".stack/venv-stock/bin/python")
HEADERS = [(f"ce_{name}", b"a value of usual length") for name in ("id", "source", "type", "time", "specversion")]
CALLER = NonRecordingSpan(SpanContext(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0xF067AA0BA902B7, True, TraceFlags(1)))


def instrument(variant: str) -> None:
    """Switch one instrumentation on."""
    if variant == "plain":
        return
    from aiokafka_otel.id_generator import RepeatableIdGenerator
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

    provider = TracerProvider(id_generator=RepeatableIdGenerator() if variant == "repeatable" else None)
    provider.add_span_processor(SpanProcessor())
    trace.set_tracer_provider(provider)
    os.environ["OTEL_METRICS_EXPORTER"] = "none"
    metrics.set_meter_provider(MeterProvider())
    if variant == "stock":
        from opentelemetry.instrumentation.aiokafka import AIOKafkaInstrumentor as Stock

        Stock().instrument()
    elif variant == "sdk":
        instrument_barely()
    else:
        from aiokafka_otel import AIOKafkaInstrumentor

        AIOKafkaInstrumentor().instrument()


class Append(Setter[list[tuple[str, bytes]]]):
    """Append a header."""

    def set(self, carrier: list[tuple[str, bytes]], key: str, value: str) -> None:
        carrier.append((key, value.encode()))


def instrument_barely() -> None:
    """Make spans with the attributes that aiokafka-otel gives them, one link, and the headers."""
    tracer, send, getone = trace.get_tracer("floor"), AIOKafkaProducer.send, AIOKafkaConsumer.getone
    common = {
        "messaging.system": "kafka",
        "messaging.client.id": "client",
        "messaging.destination.name": "orders",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.message.body.size": 300,
        "server.address": "127.0.0.1",
        "server.port": 9092,
    }
    arrival = {"messaging.destination.partition.id": "0", "messaging.kafka.offset": 7}
    of_record = {**common, **arrival, "messaging.consumer.group.name": "group", "journey.queue.wait_ms": 3}
    add = Append()

    async def traced_send(self: Any, topic: str, value: Any, key: Any, headers: Any) -> Any:
        span = tracer.start_span("send orders", kind=SpanKind.PRODUCER, attributes=common)
        propagate.inject(headers, trace.set_span_in_context(span), add)
        future = await send(self, topic, value, key, headers=headers)

        def end(_: Any) -> None:
            span.set_attributes(arrival)
            span.end()

        future.add_done_callback(end)
        return future

    async def traced_getone(self: Any) -> Any:
        record = await getone(self)
        remote = propagate.extract({name: value.decode() for name, value in record.headers}, Context())
        links = [Link(trace.get_current_span(remote).get_span_context())]
        tracer.start_span("process orders", remote, SpanKind.CONSUMER, of_record, links).end()
        return record

    AIOKafkaProducer.send, AIOKafkaConsumer.getone = traced_send, traced_getone  # type: ignore[assignment,method-assign]


async def work(broker: str, records: int) -> None:
    """Do one round for each line of standard input; print what it took."""
    topic = f"overhead-{uuid.uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=broker, linger_ms=5)
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=broker, group_id=topic, auto_offset_reset="earliest")
    async with producer, consumer:
        while await asyncio.to_thread(sys.stdin.readline):
            began = process_time()
            with trace.use_span(CALLER):
                sends = (producer.send(topic, b"x" * 300, b"key", headers=list(HEADERS)) for _ in range(records))
                answers = [await send for send in sends]
            await asyncio.gather(*answers)
            sent = process_time()
            for _ in range(records):
                await consumer.getone()
            print(json.dumps([(sent - began) / records * 1e6, (process_time() - sent) / records * 1e6]), flush=True)


def start(variant: str, options: argparse.Namespace) -> "subprocess.Popen[str]":
    """Start the process of one variant."""
    python = STOCK_PYTHON if variant == "stock" else sys.executable
    arguments = ["--variant", variant, "--broker", options.broker, "--records", str(options.records)]
    return subprocess.Popen(
        [python, __file__, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )


def measure(options: argparse.Namespace) -> dict[str, list[list[float]]]:
    """Let the variants take turns; the first round of each warms up and does not count."""
    variants = ["plain", "sdk", "aiokafka-otel", "repeatable"] + (["stock"] if STOCK_PYTHON.exists() else [])
    workers = {variant: start(variant, options) for variant in variants}
    results: dict[str, list[list[float]]] = {variant: [] for variant in variants}
    for number in range(options.rounds + 1):
        for variant, worker in workers.items():
            assert worker.stdin is not None and worker.stdout is not None
            worker.stdin.write("\n")
            took = json.loads(worker.stdout.readline())
            if number:
                results[variant].append(took)
    for worker in workers.values():
        worker.communicate()
    return results


def show(results: dict[str, list[list[float]]]) -> None:
    """Print the table."""
    medians: dict[str, list[Any]] = {
        variant: [statistics.median(values) for values in zip(*rounds, strict=True)]
        for variant, rounds in results.items()
    }
    print(f"{'CPU time, median':<18} {'send µs':>9} {'ratio':>6} {'process µs':>11} {'ratio':>6}")
    for variant, (send, process) in medians.items():
        plain_send, plain_process = medians["plain"]
        ratios = send / plain_send, process / plain_process
        print(f"{variant:<18} {send:>9.1f} {ratios[0]:>6.2f} {process:>11.1f} {ratios[1]:>6.2f}")
    if "stock" not in medians:
        print(f"stock: not measured, there is no {STOCK_PYTHON}; see the top of this file")


def main() -> None:
    """Run all variants, or, as one of the started processes, a single one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--broker", default="127.0.0.1:9092")
    parser.add_argument("--records", type=int, default=2000, help="in one round")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--variant", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.variant is None:
        show(measure(options))
    else:
        instrument(options.variant)
        asyncio.run(work(options.broker, options.records))


if __name__ == "__main__":
    main()
