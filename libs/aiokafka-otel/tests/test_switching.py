"""On by `instrument`, off by `uninstrument`, quiet under suppression, clear about wrong settings."""

import asyncio
from importlib.metadata import entry_points
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.conn import AIOKafkaConnection
from aiokafka_otel import AIOKafkaInstrumentor
from aiokafka_otel.config import Config, Relation
from opentelemetry import trace
from opentelemetry.instrumentation.utils import is_instrumentation_enabled, suppress_instrumentation
from wrapt import wrap_function_wrapper

from .support import TRACEPARENT, Kafka, Recorded, parent_id

METHODS: list[tuple[type, str]] = [
    (owner, name)
    for owner in (AIOKafkaProducer, AIOKafkaConsumer, AIOKafkaConnection)
    for name in vars(owner)
    if callable(getattr(owner, name))
]


def test_opentelemetry_instrument_finds_it_under_a_name_of_its_own() -> None:
    (entry_point,) = entry_points(group="opentelemetry_instrumentor", name="aiokafka_otel")

    assert entry_point.load() is AIOKafkaInstrumentor


async def test_uninstrument_restores_every_method(kafka: Kafka) -> None:
    before = {(owner, name): vars(owner)[name] for owner, name in METHODS}
    recorded, topic = Recorded(), await kafka.topic()
    for _ in range(2):
        AIOKafkaInstrumentor().instrument(tracer_provider=recorded.tracer_provider)
        changed = [name for (owner, name), method in before.items() if vars(owner)[name] is not method]
        AIOKafkaInstrumentor().uninstrument()
        assert sorted(changed) == sorted(
            ["connect", "start", "send", "start", "getone", "__anext__", "getmany", "stop"]
        )

    assert all(vars(owner)[name] is method for (owner, name), method in before.items())
    async with kafka.producer() as producer, kafka.consumer(topic) as consumer:
        await producer.send_and_wait(topic, b"value")
        assert (await consumer.getone()).headers == ()
    assert recorded.spans() == []


async def test_uninstrument_ends_the_spans_of_all_records_in_hand(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", b"2")
    in_hand, done = asyncio.Event(), asyncio.Event()

    async def other(consumer: AIOKafkaConsumer) -> None:
        await consumer.getone()
        in_hand.set()
        await done.wait()

    async with kafka.consumer(topic) as consumer:
        task = asyncio.create_task(other(consumer))
        await in_hand.wait()
        await consumer.getone()
        assert recorded.spans("process") == []
        AIOKafkaInstrumentor().uninstrument()

        assert len(recorded.spans("process")) == 2
        assert trace.get_current_span() is trace.INVALID_SPAN
        done.set()
        await task


async def test_what_others_have_wrapped_again_does_nothing_once_uninstrumented(
    kafka: Kafka, recorded: Recorded
) -> None:
    def pass_on(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
        return wrapped(*args, **kwargs)

    topic = await kafka.topic()
    ours = {(owner, name): vars(owner)[name] for owner, name in METHODS}
    originals = {place: getattr(method, "__wrapped__", method) for place, method in ours.items()}
    try:
        for owner, name in [(AIOKafkaProducer, "send"), (AIOKafkaConsumer, "getone"), (AIOKafkaConsumer, "stop")]:
            wrap_function_wrapper(owner, name, pass_on)
        AIOKafkaInstrumentor().uninstrument()
        async with kafka.producer() as producer, kafka.consumer(topic) as consumer:
            await producer.send_and_wait(topic, b"value")
            await consumer.getone()
    finally:
        for owner, name in [(AIOKafkaProducer, "send"), (AIOKafkaConsumer, "getone"), (AIOKafkaConsumer, "stop")]:
            setattr(owner, name, originals[owner, name])

    assert recorded.spans() == []


async def test_nothing_is_recorded_or_injected_under_suppression(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    with suppress_instrumentation():
        async with kafka.producer() as producer, kafka.consumer(topic) as consumer:
            await producer.send_and_wait(topic, b"1", headers=[TRACEPARENT])
            assert (await consumer.getone()).headers == (TRACEPARENT,)
            await producer.send_and_wait(topic, b"2")
            while not (batch := await consumer.getmany(timeout_ms=100)):
                pass
            assert [record.headers for records in batch.values() for record in records] == [()]

    assert recorded.spans() == []
    assert recorded.points("messaging.client.sent.messages") == []
    assert recorded.points("messaging.client.consumed.messages") == []


async def test_a_suppressed_poll_ends_the_record_of_the_same_consumer_only(kafka: Kafka, recorded: Recorded) -> None:
    orders, lookup, target = await kafka.topic(), await kafka.topic(), await kafka.topic()
    await kafka.put(orders, b"1", b"2")
    await kafka.put(lookup, b"price")
    async with kafka.consumer(orders) as consumer, kafka.consumer(lookup) as prices, kafka.producer() as producer:
        await consumer.getone()
        with suppress_instrumentation():
            await prices.getone()
        await producer.send_and_wait(target, b"for 1")
        assert parent_id(recorded.span("send")) == trace.get_current_span().get_span_context().span_id
        assert recorded.spans("process") == []
        with suppress_instrumentation():
            await consumer.getone()

        assert len(recorded.spans("process")) == 1
        await producer.send_and_wait(target, b"for 2, which has no span")

    assert recorded.spans("send")[1].parent is None


async def test_a_poll_does_not_end_the_suppression_around_it(kafka: Kafka, recorded: Recorded) -> None:
    topic = await kafka.topic()
    await kafka.put(topic, b"1", b"2", b"3")
    async with kafka.consumer(topic) as consumer:
        await consumer.getone()
        with suppress_instrumentation():
            await consumer.getone()
            await consumer.getone()
            await consumer.stop()
            assert not is_instrumentation_enabled()

    assert len(recorded.spans()) == 1


@pytest.mark.parametrize(
    ("variable", "value"), [("AIOKAFKA_OTEL_PARENT", "child"), ("AIOKAFKA_OTEL_RECORD_KEY", "yes")]
)
def test_a_wrong_setting_is_named_and_the_default_is_used(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.warns(RuntimeWarning, match=f"{variable}='{value}' is not"):
        assert Config.from_environment() == Config(relation=Relation.BOTH, record_key=False)
