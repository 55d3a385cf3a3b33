"""Whatever propagators, tracers and texts do: a message is sent, a record is handed over, and an error stays itself."""

import logging
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from aiokafka_otel import process_span
from opentelemetry.context import Context
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .support import TRACEPARENT, Kafka, Recorded, instrumented, propagating, traceparent


class FieldsAsMethod(TraceContextTextMapPropagator):
    def fields(self) -> set[str]:  # type: ignore[override]
        return {"traceparent", "tracestate"}


class FieldsAsList(TraceContextTextMapPropagator):
    @property
    def fields(self) -> Any:
        return ["traceparent", "tracestate", None]


class FieldsAsNothing(TraceContextTextMapPropagator):
    fields = None  # type: ignore[assignment]


class FieldsThatFail(TraceContextTextMapPropagator):
    @property
    def fields(self) -> set[str]:
        raise RuntimeError("no fields today")


class WritesNoText(TraceContextTextMapPropagator):
    def inject(self, carrier: Any, context: Context | None = None, setter: Any = None) -> None:
        super().inject(carrier, context, setter)
        setter.set(carrier, "x-number", 7)


class InjectFails(TraceContextTextMapPropagator):
    def inject(self, carrier: Any, context: Context | None = None, setter: Any = None) -> None:
        raise RuntimeError("no context today")


async def sent(kafka: Kafka, **message: Any) -> list[tuple[str, bytes]]:
    """Send a message; return the headers with which it arrived."""
    topic = await kafka.topic()
    async with kafka.producer() as producer:
        await producer.send_and_wait(topic, b"1", **message)
    async with kafka.consumer(topic) as consumer:
        return list((await consumer.getone()).headers)


@pytest.mark.parametrize("wrong", [FieldsAsMethod, FieldsAsList, FieldsAsNothing, FieldsThatFail, WritesNoText])
@pytest.mark.parametrize("composite", [False, True])
async def test_a_propagator_with_wrong_fields_costs_nothing(
    wrong: type[TextMapPropagator], composite: bool, kafka: Kafka, recorded: Recorded
) -> None:
    with propagating(CompositePropagator([wrong()]) if composite else wrong()):
        headers = await sent(kafka, headers=[TRACEPARENT, ("kept", b"1")])

    assert headers == [("kept", b"1"), ("traceparent", traceparent(recorded.span("send")))]


async def test_a_propagator_that_cannot_inject_costs_the_context_and_no_more(
    kafka: Kafka, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    with propagating(InjectFails()):
        headers = await sent(kafka, headers=iter([TRACEPARENT, ("kept", b"1")]))

    assert headers == [("kept", b"1")]
    assert recorded.span("send").status.is_unset
    assert "no context today" in caplog.text


class FailsAtStart(SpanProcessor):
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        raise RuntimeError("no span today")


class FailsAtEnd(SpanProcessor):
    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError("no end today")


class NoText:
    """A key that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError("no text today")


async def test_a_tracer_that_fails_leaves_the_message_as_it_was_given(
    kafka: Kafka, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    recorded.tracer_provider.add_span_processor(FailsAtStart())
    headers = await sent(kafka, headers=iter([TRACEPARENT, ("kept", b"1")]))

    assert headers == [TRACEPARENT, ("kept", b"1")]
    assert "no span today" in caplog.text


async def test_a_key_without_a_text_is_sent(kafka: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOKAFKA_OTEL_RECORD_KEY", "true")
    topic = await kafka.topic()
    with instrumented(Recorded()):
        async with kafka.producer(key_serializer=lambda key: b"key") as producer:
            await producer.send_and_wait(topic, b"1", key=NoText())
        async with kafka.consumer(topic) as consumer:
            assert (await consumer.getone()).key == b"key"


async def test_a_tracer_that_fails_at_the_end_costs_neither_message_nor_record(
    kafka: Kafka, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    recorded.tracer_provider.add_span_processor(FailsAtEnd())
    topic = await kafka.topic()
    async with kafka.producer() as producer, kafka.consumer(topic) as consumer:
        for value in b"1", b"2":
            await producer.send_and_wait(topic, value)
        values = [(await consumer.getone()).value, (await consumer.getone()).value]

    assert values == [b"1", b"2"]
    assert "no end today" in caplog.text


async def test_the_error_of_a_send_is_not_replaced_by_one_of_the_tracer(kafka: Kafka, recorded: Recorded) -> None:
    recorded.tracer_provider.add_span_processor(FailsAtEnd())
    async with kafka.producer(max_request_size=100) as producer:
        with pytest.raises(Exception, match="larger than"):
            await producer.send_and_wait(await kafka.topic(), b"x" * 1000)


async def test_what_fails_all_the_time_is_said_once(
    kafka: Kafka, recorded: Recorded, caplog: pytest.LogCaptureFixture
) -> None:
    recorded.tracer_provider.add_span_processor(FailsAtStart())
    topic = await kafka.topic()
    async with kafka.producer() as producer:
        for _ in range(50):
            await producer.send_and_wait(topic, b"1")

    assert len([each for each in caplog.records if each.levelno == logging.ERROR]) == 1


@pytest.mark.parametrize(
    ("timestamp", "waits"), [(None, None), (-1, None), (2**63 - 1, 0), (1.8e15, 0), ("yesterday", None)]
)
def test_a_record_is_handled_whatever_its_timestamp_is(timestamp: Any, waits: int | None, recorded: Recorded) -> None:
    record = ConsumerRecord("t", 0, 7, timestamp, 0, b"k", b"v", None, 1, 1, ())
    handled = []
    with process_span(record):
        handled.append(record)

    assert handled == [record]
    for span in recorded.spans("process"):
        assert (span.attributes or {}).get("journey.queue.wait_ms") == waits


def test_a_record_made_by_hand_needs_neither_offset_nor_sizes(recorded: Recorded) -> None:
    with process_span(ConsumerRecord("t", 0, None, None, None, None, b"v", None, None, None, None)):
        pass

    assert (
        (recorded.span("process").attributes or {})
        .keys()
        .isdisjoint({"messaging.kafka.offset", "messaging.message.body.size", "journey.queue.wait_ms"})
    )
