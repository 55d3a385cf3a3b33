"""With the id generator `repeatable`, a span that a redelivery starts again has the id that it had before."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka_otel import ids, process_span
from aiokafka_otel.id_generator import RepeatableIdGenerator
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from .support import (
    TRACE_ID,
    TRACEPARENT,
    Kafka,
    Recorded,
    instrumented,
    parent_id,
    parent_id_of,
    run_instrumented,
    values_of,
)

OF_ANOTHER_TRACE = ("traceparent", f"00-{'1' * 32}-{'2' * 16}-01".encode())


async def take(kafka: Kafka, topic: str, group: str | None, explicit: bool = False, **settings: Any) -> Any:
    """Handle one record of the topic, as a worker does that is gone before it commits; return the record."""
    async with kafka.consumer(topic, group_id=group, **settings) as consumer:
        if not explicit:
            return await consumer.getone()
        with suppress_instrumentation():
            record = await consumer.getone()
        with process_span(record, consumer):
            return record


def span_ids(recorded: Recorded, start_of_name: str) -> list[int]:
    return [span.context.span_id for span in recorded.spans(start_of_name)]


@pytest.mark.parametrize("explicit", [False, True])
async def test_a_redelivered_record_has_the_same_span_id(kafka: Kafka, repeatable: Recorded, explicit: bool) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", headers=[TRACEPARENT])
    await take(kafka, topic, "billing")
    await take(kafka, topic, "billing", explicit)

    first, again = span_ids(repeatable, "process")
    digest = sha256(repr(("process", TRACE_ID, "billing", topic, 0, 0)).encode()).digest()
    assert first == again == int.from_bytes(digest[:8])


async def test_every_other_handling_has_an_id_of_its_own(kafka: Kafka, repeatable: Recorded) -> None:
    topic, other_topic = await kafka.topic(partitions=2), await kafka.topic()
    record = await put_and_take(kafka, topic, TRACEPARENT)
    others = [
        replace(record, topic=other_topic),
        replace(record, partition=1),
        replace(record, offset=1),
        replace(record, headers=(OF_ANOTHER_TRACE,)),
    ]
    async with kafka.consumer(topic, group_id="billing") as consumer:
        for each in [record, *others]:
            with process_span(each, consumer):
                pass
    await take(kafka, topic, "notifier")

    known, same, *different = span_ids(repeatable, "process")
    assert known == same
    assert len({known, *different}) == 1 + len(others) + 1


async def put_and_take(kafka: Kafka, topic: str, *headers: tuple[str, bytes]) -> Any:
    await kafka.put(topic, b"1", headers=list(headers), partition=0)
    return await take(kafka, topic, "billing")


@pytest.mark.parametrize("headers", [[], [("traceparent", b"nonsense")], [("traceparent", b"\xff")]])
async def test_a_record_without_context_has_random_ids(
    kafka: Kafka, repeatable: Recorded, headers: list[tuple[str, bytes]]
) -> None:
    topic = await kafka.topic()
    await put_and_take(kafka, topic, *headers)
    await take(kafka, topic, "billing")

    first, again = repeatable.spans("process")
    assert first.context.span_id != again.context.span_id
    assert first.context.trace_id != again.context.trace_id


async def test_where_the_group_is_not_known_ids_are_random(kafka: Kafka, repeatable: Recorded) -> None:
    topic = await kafka.topic()
    record = await put_and_take(kafka, topic, TRACEPARENT)
    await take(kafka, topic, None)
    await take(kafka, topic, None)
    with process_span(record):
        pass
    with process_span(record):
        pass

    assert len(set(span_ids(repeatable, "process"))) == 5


async def test_with_a_trace_for_each_hop_nothing_is_repeated(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOKAFKA_OTEL_PARENT", "link")
    topic = await kafka.topic()
    with instrumented(Recorded(TracerProvider(id_generator=RepeatableIdGenerator()))) as recorded:
        await put_and_take(kafka, topic, TRACEPARENT)
        await take(kafka, topic, "billing")

    assert len(set(span_ids(recorded, "process"))) == 2


async def test_an_event_sent_again_has_the_same_span_id(kafka: Kafka, repeatable: Recorded) -> None:
    topic = await kafka.topic()
    with repeatable.tracer.start_as_current_span("order") as order:
        await send(kafka, topic, key=b"k", headers=[("ce_id", b"e-1"), ("ce_type", b"t"), ("ce_source", b"/orders")])
        await send(kafka, topic, key=bytearray(b"k"), headers=(("ce_source", b"/orders"), ("ce_id", b"e-1")))

    first, again = span_ids(repeatable, "send")
    context = order.get_span_context()
    identity = ("send", context.trace_id, context.span_id, topic, None, b"k", b"/orders", b"e-1")
    digest = sha256(repr(identity).encode()).digest()
    assert first == again == int.from_bytes(digest[:8])
    assert [parent_id(span) for span in repeatable.spans("send")] == [context.span_id] * 2


async def test_every_other_sending_has_an_id_of_its_own(kafka: Kafka, repeatable: Recorded) -> None:
    topic, other_topic = await kafka.topic(), await kafka.topic()
    event = [("ce_id", b"e-1")]
    with repeatable.tracer.start_as_current_span("order"):
        await send(kafka, topic, headers=event)
        await send(kafka, other_topic, headers=event)
        await send(kafka, topic, headers=[("ce_id", b"e-2")])
        with repeatable.tracer.start_as_current_span("another parent in the same trace"):
            await send(kafka, topic, headers=event)
    with repeatable.tracer.start_as_current_span("another order"):
        await send(kafka, topic, headers=event)

    assert len(set(span_ids(repeatable, "send"))) == 5


async def test_one_event_sent_to_several_places_has_a_span_id_for_each(kafka: Kafka, repeatable: Recorded) -> None:
    topic, event = await kafka.topic(partitions=3), [("ce_id", b"change-1")]
    places: list[dict[str, Any]] = [{"partition": number} for number in range(3)] + [{"key": b"a"}, {"key": b"b"}]
    with repeatable.tracer.start_as_current_span("change the configuration"):
        for place in [*places, *places]:
            await send(kafka, topic, headers=event, **place)

    sent = span_ids(repeatable, "send")
    assert sent[:5] == sent[5:]
    assert len(set(sent)) == 5


async def test_an_event_is_known_by_its_source_and_its_id(kafka: Kafka, repeatable: Recorded) -> None:
    topic = await kafka.topic()
    with repeatable.tracer.start_as_current_span("order"):
        await send(kafka, topic, headers=[("ce_source", b"/a"), ("ce_id", b"1")])
        await send(kafka, topic, headers=[("ce_source", b"/b"), ("ce_id", b"1")])
        await send(kafka, topic, headers=[("ce_source", b"/a 1"), ("ce_id", b"1")])
        await send(kafka, topic, headers=[("ce_source", b"/a"), ("ce_id", b"1 1")])

    assert len(set(span_ids(repeatable, "send"))) == 4


def test_an_object_as_key_does_not_make_the_id_differ_from_process_to_process() -> None:
    parent = trace.SpanContext(1, 2, is_remote=False)
    event = [("ce_id", b"e-1")]

    assert ids.of_sending(parent, "t", event, key=object()) == ids.of_sending(parent, "t", event, key=object())


@pytest.mark.parametrize("headers", [None, [], [("ce_id", b"")], [("ce_type", b"order.placed")]])
async def test_what_is_no_event_has_random_ids(
    kafka: Kafka, repeatable: Recorded, headers: list[tuple[str, bytes]] | None
) -> None:
    topic = await kafka.topic()
    with repeatable.tracer.start_as_current_span("order"):
        await send(kafka, topic, headers=headers)
        await send(kafka, topic, headers=headers)

    assert len(set(span_ids(repeatable, "send"))) == 2


async def test_without_a_parent_an_event_has_random_ids(kafka: Kafka, repeatable: Recorded) -> None:
    topic = await kafka.topic()
    await send(kafka, topic, headers=[("ce_id", b"e-1")])
    await send(kafka, topic, headers=[("ce_id", b"e-1")])

    assert len(set(span_ids(repeatable, "send"))) == 2


async def test_headers_that_are_no_headers_are_left_to_aiokafka(kafka: Kafka, repeatable: Recorded) -> None:
    topic = await kafka.topic()
    with repeatable.tracer.start_as_current_span("order"):
        for wrong in [[("ce_id",)], [([], b"")], [("ce_id", "no bytes")], 7]:
            with pytest.raises((IndexError, TypeError, ValueError)):
                await send(kafka, topic, headers=wrong)

    assert len(set(span_ids(repeatable, "send"))) == 4


async def send(kafka: Kafka, topic: str, **message: Any) -> None:
    async with kafka.producer() as producer:
        await producer.send_and_wait(topic, b"value", **message)


@pytest.fixture
def started_on_the_way(repeatable: Recorded) -> Iterator[list[trace.Span]]:
    """The spans that a span processor starts while another span is being started."""
    started: list[trace.Span] = []

    class Nosy(SpanProcessor):
        def on_start(self, span: Span, parent_context: Any = None) -> None:
            if not span.name.startswith("seen"):
                started.append(repeatable.tracer.start_span(f"seen {span.name}"))

    repeatable.tracer_provider.add_span_processor(Nosy())
    yield started


async def test_no_other_span_gets_the_id(
    kafka: Kafka, repeatable: Recorded, started_on_the_way: list[trace.Span]
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", headers=[TRACEPARENT])

    async def child() -> None:
        repeatable.tracer.start_span("child").end()

    async def handle(consumer: AIOKafkaConsumer) -> None:
        await consumer.getone()
        await child()
        await asyncio.create_task(child())
        await asyncio.to_thread(asyncio.run, child())
        thread = threading.Thread(target=asyncio.run, args=[child()])
        thread.start()
        await asyncio.to_thread(thread.join)
        await send(kafka, topic, headers=[("ce_id", b"e-1")])
        await child()

    for _ in range(2):
        async with kafka.consumer(topic, group_id="billing") as consumer:
            await handle(consumer)

    others = [*repeatable.spans("child"), *started_on_the_way]
    repeated = {*span_ids(repeatable, "process"), *span_ids(repeatable, "send")}
    own = {span.get_span_context().span_id for span in others}
    assert (len(repeated), len(own), len(others)) == (2, len(others), 2 * 5 + 2 * 7)
    assert not repeated & own


def test_a_tracer_that_asks_for_no_id_leaves_none_behind() -> None:
    ids.start_span(trace.NoOpTracer(), ("identity",), "not recorded")

    assert ids.take() is None


def test_an_id_is_never_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    class Zeros:
        def digest(self) -> bytes:
            return bytes(32)

    monkeypatch.setattr(ids, "sha256", lambda text: Zeros())
    provider = TracerProvider(id_generator=RepeatableIdGenerator())

    assert ids.start_span(provider.get_tracer("test"), ("identity",), "zeros").get_span_context().span_id == 1


async def test_the_standard_generator_stays_random(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await put_and_take(kafka, topic, TRACEPARENT)
    await take(kafka, topic, "billing")
    with recorded.tracer.start_as_current_span("order"):
        await send(kafka, topic, headers=[("ce_id", b"e-1")])
        await send(kafka, topic, headers=[("ce_id", b"e-1")])

    assert len({*span_ids(recorded, "process"), *span_ids(recorded, "send")}) == 4


async def test_a_root_still_says_that_its_trace_id_is_random(kafka: Kafka, repeatable: Recorded) -> None:
    topic = await kafka.topic()
    await send(kafka, topic)
    record = await take(kafka, topic, "billing")

    assert values_of(record.headers, "traceparent")[0].endswith(b"-03")


async def test_what_is_not_sampled_stays_so_and_is_repeated_too(kafka: Kafka) -> None:
    topic = await kafka.topic()
    provider = TracerProvider(sampler=ALWAYS_OFF, id_generator=RepeatableIdGenerator())
    with instrumented(Recorded(provider)):
        record = await put_and_take(kafka, topic, TRACEPARENT)
        seen: list[trace.Span] = []
        async with kafka.consumer(topic, group_id="billing") as consumer:
            for _ in range(2):
                with process_span(record, consumer) as span:
                    seen.append(span)

    first, again = (span.get_span_context() for span in seen)
    assert first == again and not first.trace_flags.sampled


def test_the_package_needs_no_sdk() -> None:
    program = "import sys; sys.modules['opentelemetry.sdk'] = None; import aiokafka_otel"
    subprocess.run([sys.executable, "-c", program], check=True)


# Another process may have been killed before: this one handles the first record, until it is killed or not.
WORKER = """
import asyncio, os, signal, sys
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from opentelemetry import trace

async def main():
    kafka = os.environ["KAFKA"]
    consumer = AIOKafkaConsumer(os.environ["SOURCE"], bootstrap_servers=kafka, group_id="worker",
        group_instance_id="worker", auto_offset_reset="earliest", enable_auto_commit=False)
    async with consumer, AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        await consumer.getone()
        await producer.send_and_wait(os.environ["TARGET"], b"done", headers=[("ce_id", b"e-1")])
        trace.get_tracer_provider().force_flush()
        if os.environ.get("KILLED"):
            os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_what_a_killed_worker_has_sent_has_a_parent_after_the_redelivery(kafka: Kafka) -> None:
    source, target = await kafka.topic(), await kafka.topic()
    await kafka.put(source, b"1", headers=[TRACEPARENT])
    environment = {"SOURCE": source, "TARGET": target, "OTEL_PYTHON_ID_GENERATOR": "repeatable"}
    killed = await asyncio.to_thread(
        run_instrumented, Path(sys.prefix), WORKER, kafka, exit_code=-9, KILLED="1", **environment
    )
    next_one = await asyncio.to_thread(run_instrumented, Path(sys.prefix), WORKER, kafka, **environment)

    (orphan,), (process, send_again) = killed[0], next_one[0]
    assert [orphan["name"], process["name"]] == [f"send {target}", f"process {source}"]
    assert parent_id_of(orphan) == process["context"]["span_id"]
    assert orphan["context"] == send_again["context"]
