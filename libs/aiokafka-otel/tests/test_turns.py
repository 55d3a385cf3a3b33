"""`ProcessSpan`: records that are finished together, each with a span as long as its own handling."""

import asyncio
import threading
from time import perf_counter, time_ns
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka_otel import AIOKafkaInstrumentor, ProcessSpan
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.metrics.export import HistogramDataPoint
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from .support import SPAN_ID, TRACE_ID, TRACEPARENT, Kafka, Recorded, parent_id


def received(offset: int = 0) -> ConsumerRecord[bytes, bytes]:
    """Return a record as a consumer hands it over."""
    return ConsumerRecord("orders", 0, offset, time_ns() // 1_000_000, 0, b"k", b"v", None, 1, 1, [TRACEPARENT])


def ids(span: ReadableSpan | trace.Span) -> int:
    """Return the span's id."""
    context = span.get_span_context()
    assert context is not None
    return context.span_id


def test_it_is_the_span_that_process_span_would_give(recorded: Recorded) -> None:
    record_span = ProcessSpan(received(offset=7))
    assert record_span.span is trace.INVALID_SPAN
    with record_span.handling() as span:
        assert span is record_span.span is trace.get_current_span()
    assert recorded.spans() == []
    record_span.end()

    span = recorded.span("process orders")
    assert (span.kind, span.context.trace_id, parent_id(span)) == (SpanKind.CONSUMER, TRACE_ID, SPAN_ID)
    assert [link.context.span_id for link in span.links] == [SPAN_ID]
    assert (span.attributes or {})["messaging.kafka.offset"] == 7
    assert span.status.status_code is StatusCode.UNSET


def test_a_repeatable_id_is_that_of_process_span(repeatable: Recorded) -> None:
    consumer: Any = FakeConsumer()
    spans = [ProcessSpan(received(), consumer) for _ in range(2)]
    for each in spans:
        with each.handling():
            pass
        each.end()

    first, second = repeatable.spans("process")
    assert first.context.span_id == second.context.span_id


class FakeConsumer:
    """As much of a consumer as names its group."""

    _group_id = "billing"

    class _client:
        _bootstrap_servers = "localhost:9092"
        _client_id = "test"


def test_its_duration_is_that_of_the_handling_and_not_of_the_wait_for_its_end(recorded: Recorded) -> None:
    one, other = ProcessSpan(received(1)), ProcessSpan(received(2))
    began = time_ns()
    with one.handling():
        between = time_ns()
    left = time_ns()
    with other.handling():
        pass
    before_end = time_ns()
    other.end()
    one.end()

    span, last = recorded.spans("process")
    assert began <= (span.start_time or 0) <= between <= (span.end_time or 0) <= left
    assert left <= (last.start_time or 0) and (last.end_time or 0) <= before_end


def test_the_measured_duration_is_that_of_the_span(recorded: Recorded) -> None:
    record_span, began = ProcessSpan(received()), perf_counter()
    with record_span.handling():
        pass
    longest = perf_counter() - began
    while perf_counter() < began + 2 * longest:
        pass
    record_span.end()

    (point,) = recorded.points("messaging.process.duration")
    assert isinstance(point, HistogramDataPoint)
    assert (point.count, point.sum <= longest) == (1, True)


def test_it_may_be_entered_again_and_ends_when_the_last_block_is_left(recorded: Recorded) -> None:
    record_span = ProcessSpan(received())
    with record_span.handling() as first:
        pass
    between = time_ns()
    with pytest.raises(ValueError, match="once more"), record_span.handling():
        raise ValueError("once more")
    with record_span.handling() as again:
        assert again is first is trace.get_current_span()
    left = time_ns()
    assert recorded.spans() == []
    record_span.end()

    span = recorded.span("process")
    assert (span.start_time or 0) <= between <= (span.end_time or 0) <= left
    assert (span.status.status_code, len(span.events)) == (StatusCode.UNSET, 0)


async def test_it_may_be_entered_again_by_another_thread_and_task(kafka: Kafka, recorded: Recorded) -> None:
    topic, record_span = await kafka.topic(), ProcessSpan(received())

    def in_a_thread() -> None:
        with record_span.handling():
            pass
        assert trace.get_current_span() is trace.INVALID_SPAN

    async def in_a_task(producer: AIOKafkaProducer) -> None:
        with record_span.handling():
            await producer.send_and_wait(topic, b"inside")
        await producer.send_and_wait(topic, b"outside")

    thread = threading.Thread(target=in_a_thread)
    thread.start()
    await asyncio.to_thread(thread.join)
    async with kafka.producer() as producer:
        await asyncio.create_task(in_a_task(producer))
    record_span.end()

    inside, outside = recorded.spans("send")
    assert parent_id(inside) == ids(recorded.span("process"))
    assert outside.parent is None


async def test_two_records_that_are_handled_by_turns_are_never_mixed(kafka: Kafka, recorded: Recorded) -> None:
    topic, records = await kafka.topic(), [ProcessSpan(received(offset)) for offset in range(2)]
    async with kafka.producer() as producer:
        for _ in range(3):
            for each in records:
                with each.handling() as span:
                    assert trace.get_current_span() is span
                    await producer.send_and_wait(topic, b"inside")
                await producer.send_and_wait(topic, b"outside")
    for each in reversed(records):
        each.end()

    first, second = (ids(span) for span in recorded.spans("process"))
    assert [parent_id(span) for span in recorded.spans("send")] == [first, None, second, None] * 3


async def test_what_the_block_starts_in_a_thread_or_task_works_for_the_record(kafka: Kafka, recorded: Recorded) -> None:
    topic, record_span = await kafka.topic(), ProcessSpan(received())
    handled = asyncio.Event()

    async def later(producer: AIOKafkaProducer) -> None:
        await handled.wait()
        await producer.send_and_wait(topic, b"task")

    async with kafka.producer() as producer:
        loop = asyncio.get_running_loop()

        def in_a_thread() -> None:
            asyncio.run_coroutine_threadsafe(producer.send_and_wait(topic, b"thread"), loop).result()

        with record_span.handling():
            task = asyncio.create_task(later(producer))
            await asyncio.to_thread(in_a_thread)
        handled.set()
        await task
    record_span.end()

    assert [parent_id(span) for span in recorded.spans("send")] == [ids(recorded.span("process"))] * 2


async def test_what_is_sent_later_is_no_child_whatever_the_block_has_left_behind(
    kafka: Kafka, recorded: Recorded
) -> None:
    topic, record_span = await kafka.topic(), ProcessSpan(received())
    async with kafka.producer() as producer:
        with record_span.handling():
            left_open = recorded.tracer.start_as_current_span("left too late")
            left_open.__enter__()
        assert trace.get_current_span() is trace.INVALID_SPAN
        await producer.send_and_wait(topic, b"1")
        left_open.__exit__(None, None, None)  # brings the context of the block back
        await producer.send_and_wait(topic, b"2")
        with record_span.handling():
            pass
        record_span.end()
        await producer.send_and_wait(topic, b"3")

    assert [span.parent for span in recorded.spans("send")] == [None] * 3


def test_a_block_returns_to_the_context_around_it(recorded: Recorded) -> None:
    with recorded.tracer.start_as_current_span("turn") as turn:
        outer, inner = ProcessSpan(received(1)), ProcessSpan(received(2))
        with outer.handling() as span:
            with inner.handling():
                pass
            assert trace.get_current_span() is span
        assert trace.get_current_span() is turn
    for each in outer, inner:
        each.end()

    assert [parent_id(span) for span in recorded.spans("process")] == [SPAN_ID] * 2


def test_the_error_that_it_is_ended_with_marks_it_once(recorded: Recorded) -> None:
    refused, cancelled, done = (ProcessSpan(received(offset)) for offset in range(3))
    for each in refused, cancelled, done:
        with each.handling():
            pass
    try:
        raise ValueError("no commit")
    except ValueError as error:
        refused.end(error)
    cancelled.end(asyncio.CancelledError())
    done.end()
    done.end(ValueError("too late"))

    spans = recorded.spans("process")
    assert [(span.attributes or {}).get("error.type") for span in spans] == [
        "ValueError",
        "asyncio.exceptions.CancelledError",
        None,
    ]
    assert [span.status.is_ok or span.status.is_unset for span in spans] == [False, False, True]
    assert [event.name for span in spans for event in span.events] == ["exception"] * 2
    points = recorded.points("messaging.process.duration")
    assert sum(point.count for point in points if isinstance(point, HistogramDataPoint)) == 3


def test_an_error_that_was_handled_before_the_record_came_marks_it_too(recorded: Recorded) -> None:
    try:
        raise ValueError("the turn before")
    except ValueError as error:
        record_span = ProcessSpan(received())
        with record_span.handling():
            pass
        record_span.end(error)

    assert recorded.span("process").status.status_code is StatusCode.ERROR


def test_without_a_handling_the_end_is_none(recorded: Recorded) -> None:
    record_span = ProcessSpan(received())
    record_span.end(ValueError("never begun"))

    assert recorded.spans() == []
    assert record_span.span is trace.INVALID_SPAN


def test_after_its_end_a_block_runs_without_it(recorded: Recorded) -> None:
    record_span = ProcessSpan(received())
    with record_span.handling():
        pass
    record_span.end()
    with record_span.handling():
        assert trace.get_current_span() is trace.INVALID_SPAN

    assert len(recorded.spans()) == 1


def test_suppressed_or_not_instrumented_it_just_runs_the_block(recorded: Recorded) -> None:
    record_span = ProcessSpan(received())
    with suppress_instrumentation(), record_span.handling() as span:
        span.set_attribute("handled", True)
        assert span is trace.INVALID_SPAN
    AIOKafkaInstrumentor().uninstrument()
    with record_span.handling() as span:
        assert span is trace.INVALID_SPAN
    record_span.end()

    assert recorded.spans() == []


def test_a_span_that_was_begun_is_ended_though_uninstrumented_since(recorded: Recorded) -> None:
    record_span = ProcessSpan(received())
    with record_span.handling():
        pass
    AIOKafkaInstrumentor().uninstrument()
    record_span.end()

    assert len(recorded.spans("process")) == 1


class Fails(SpanProcessor):
    """A tracer that cannot do one thing."""

    def __init__(self, what: str) -> None:
        setattr(self, what, self.fail)

    def fail(self, *_: Any, **__: Any) -> None:
        raise RuntimeError("not today")


@pytest.mark.parametrize("what", ["on_start", "on_end"])
def test_a_tracer_that_fails_costs_the_block_nothing(
    what: str, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    recorded.tracer_provider.add_span_processor(Fails(what))
    record_span, handled = ProcessSpan(received()), []
    for _ in range(2):
        with record_span.handling():
            handled.append(True)
    record_span.end()

    assert handled == [True, True]
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert "not today" in caplog.text


def test_threads_have_a_span_each(recorded: Recorded) -> None:
    together, wrong = threading.Barrier(8), []

    def handle(offset: int) -> None:
        record_span = ProcessSpan(received(offset))
        for _ in range(50):
            together.wait(60)
            with record_span.handling() as span:
                together.wait(60)
                if trace.get_current_span() is not span:
                    wrong.append(offset)
            if trace.get_current_span() is not trace.INVALID_SPAN:
                wrong.append(offset)
        record_span.end()

    threads = [threading.Thread(target=handle, args=(offset,)) for offset in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    offsets = {(span.attributes or {})["messaging.kafka.offset"] for span in recorded.spans("process")}
    assert offsets == set(range(8))
