"""The context is found and replaced in every format that the configured propagators know, however names are spelled."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.propagators.aws import AwsXRayPropagator
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.propagators.jaeger import JaegerPropagator
from opentelemetry.propagators.ot_trace import OTTracePropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from .support import SPAN_ID, TRACE_ID, Kafka, Recorded, parent_id, propagating

Headers = list[tuple[str, bytes]]

TRACE, SPAN = f"{TRACE_ID:032x}".encode(), f"{SPAN_ID:016x}".encode()
KEPT = [("kept", b"1"), ("x-b4", b"2"), ("b3-like", b"3"), ("ünïcode", b"4"), ("", b"5")]

W3C = [("traceparent", b"00-" + TRACE + b"-" + SPAN + b"-01"), ("tracestate", b"a=1"), ("baggage", b"user=ada")]
B3_SINGLE = [("b3", TRACE + b"-" + SPAN + b"-1")]
B3_MULTI = [
    ("X-B3-TraceId", TRACE),
    ("X-B3-SpanId", SPAN),
    ("X-B3-ParentSpanId", b"1" * 16),
    ("X-B3-Sampled", b"1"),
    ("X-B3-Flags", b"0"),
]
JAEGER = [("uber-trace-id", TRACE + b":" + SPAN + b":0:1"), ("uberctx-userId", b"ada"), ("uberctx-x", b"1")]
OT_TRACE = [
    ("ot-tracer-traceid", TRACE),
    ("ot-tracer-spanid", SPAN),
    ("ot-tracer-sampled", b"true"),
    ("ot-baggage-userId", b"ada"),
]
XRAY = [("X-Amzn-Trace-Id", b"Root=1-" + TRACE[:8] + b"-" + TRACE[8:] + b";Parent=" + SPAN + b";Sampled=1")]

DEFAULT = CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()])
FORMATS: list[tuple[TextMapPropagator, Headers]] = [
    (DEFAULT, W3C),
    (B3SingleFormat(), B3_SINGLE),
    (B3SingleFormat(), B3_MULTI),
    (B3MultiFormat(), B3_MULTI),
    (B3MultiFormat(), B3_SINGLE),
    (JaegerPropagator(), JAEGER),
    (OTTracePropagator(), OT_TRACE),
    (AwsXRayPropagator(), XRAY),
    (CompositePropagator([B3MultiFormat(), JaegerPropagator(), DEFAULT]), W3C),
]
EXAMPLES = pytest.mark.parametrize(
    ("propagator", "old"), [pytest.param(*each, id=f"{type(each[0]).__name__}-{each[1][0][0]}") for each in FORMATS]
)
SPELLINGS = pytest.mark.parametrize("spelled", [str, str.lower, str.upper, str.title])


def in_the_spelling(headers: Headers, spelled: Any) -> Headers:
    return [(spelled(name), value) for name, value in headers]


async def forwarded(kafka: Kafka, headers: Iterable[tuple[str, bytes]]) -> Headers:
    """Send a message with these headers outside of any trace; return those that it had in the broker."""
    topic = await kafka.topic()
    async with kafka.producer() as producer:
        await producer.send_and_wait(topic, b"1", headers=headers)
    async with kafka.consumer(topic) as consumer:
        return list((await consumer.getone()).headers)


@SPELLINGS
@EXAMPLES
async def test_the_sender_is_found(
    propagator: TextMapPropagator, old: Headers, spelled: Any, kafka: Kafka, recorded: Recorded
) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", headers=in_the_spelling(old, spelled))
    with propagating(propagator):
        async with kafka.consumer(topic) as consumer:
            await consumer.getone()

    assert recorded.span("process").context.trace_id == TRACE_ID
    assert parent_id(recorded.span("process")) == SPAN_ID


@SPELLINGS
@EXAMPLES
async def test_nothing_of_the_old_context_is_forwarded(
    propagator: TextMapPropagator, old: Headers, spelled: Any, kafka: Kafka, recorded: Recorded
) -> None:
    with propagating(propagator):
        headers = await forwarded(kafka, [*in_the_spelling(old, spelled), *KEPT])
        send = trace.NonRecordingSpan(recorded.span("send").context)
        new: dict[str, Any] = {}
        propagator.inject(new, trace.set_span_in_context(send, Context()))

    assert headers[: len(KEPT)] == KEPT
    assert headers[len(KEPT) :] == [(name, value.encode()) for name, value in new.items()]


@pytest.mark.parametrize(
    ("propagator", "beginning"), [(JaegerPropagator(), "uberctx-"), (OTTracePropagator(), "ot-baggage-")]
)
async def test_baggage_in_headers_of_its_own_does_not_pile_up(
    propagator: TextMapPropagator, beginning: str, kafka: Kafka, recorded: Recorded
) -> None:
    old = JAEGER if beginning == "uberctx-" else OT_TRACE

    async def hop(headers: Headers, keep: bool) -> Headers:
        source, target = await kafka.topic(), await kafka.topic()
        await kafka.put(source, b"1", headers=headers)
        async with kafka.consumer(source) as consumer, kafka.producer() as producer:
            record = await consumer.getone()
            if not keep:
                context.attach(baggage.clear())
            await producer.send_and_wait(target, b"2", headers=record.headers)
        async with kafka.consumer(target) as consumer:
            return list((await consumer.getone()).headers)

    def entries(headers: Headers) -> Headers:
        return [header for header in headers if header[0].startswith(beginning)]

    with propagating(propagator):
        once = await asyncio.create_task(hop(in_the_spelling(old, beginning_in_capitals), keep=True))
        twice = await asyncio.create_task(hop(once, keep=True))
        without = await asyncio.create_task(hop(twice, keep=False))

    assert entries(once) == entries(twice) == entries(old)
    assert entries(without) == []


def beginning_in_capitals(name: str) -> str:
    beginning, _, entry = name.rpartition("-")
    return f"{beginning.upper()}-{entry}"


class Own(TextMapPropagator):
    """A propagator of an application's own, with much that `fields` does not say."""

    @property
    def fields(self) -> set[str]:
        return {"x-own"}

    def inject(self, carrier: Any, context: Any = None, setter: Any = None) -> None:
        setter.set(carrier, "x-own", "new")
        for name, value in baggage.get_all(context).items():
            setter.set(carrier, f"own-ctx-{name}", str(value))

    def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Context:
        getter.get(carrier, "X-Own-Old-Spelling")
        return context if context is not None else Context()


async def test_what_a_propagator_reads_or_writes_without_saying_so_is_replaced_too(
    kafka: Kafka, recorded: Recorded
) -> None:
    old = [("x-own", b"old"), ("x-own-old-spelling", b"old"), ("Own-Ctx-user", b"ada"), ("own", b"kept")]
    with propagating(Own()):
        headers = await forwarded(kafka, old)

    assert headers == [("own", b"kept"), ("x-own", b"new")]


async def test_without_propagators_headers_pass_untouched(kafka: Kafka, recorded: Recorded) -> None:
    headers = [*W3C, *B3_SINGLE, *KEPT]
    with propagating(CompositePropagator([])):
        assert await forwarded(kafka, headers) == headers
