"""Wrappers of the consumer: the span of a record lasts from its hand-over to the next poll of the same task.

The wrappers are plain functions that finish the previous record before they return the coroutine: under
`asyncio.wait_for` on Python 3.11 the coroutine runs in another task, where the caller's context is out of reach.
"""

import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from itertools import chain, islice
from time import perf_counter, time_ns
from typing import Any, Final

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.semconv._incubating.attributes import messaging_attributes as messaging
from opentelemetry.trace import Link, SpanContext, SpanKind

from aiokafka_otel.attributes import RECEIVE, Client
from aiokafka_otel.current_records import current_records
from aiokafka_otel.processing import Processing
from aiokafka_otel.propagation import context_of
from aiokafka_otel.scopes import leave_closed
from aiokafka_otel.telemetry import Telemetry, is_suppressed, switch

Wrapped = Callable[..., Awaitable[Any]]

# The SDK keeps no more on a span by default; reading the headers of 5,000 records would hold the event loop.
_LINKS: Final = 128


def getone(wrapped: Wrapped, consumer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
    """Finish the caller's record, then hand over the next one inside its span."""
    telemetry = _poll(consumer)
    if telemetry is None:
        return wrapped(*args, **kwargs)
    return _hand_over(telemetry, consumer, partial(wrapped, *args, **kwargs))


def anext(wrapped: Wrapped, consumer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
    """Finish the caller's record; the span of the next one is opened by `getone`, which aiokafka calls."""
    _poll(consumer)
    return wrapped(*args, **kwargs)


def getmany(wrapped: Wrapped, consumer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
    """Finish the caller's record, then record the poll, if it returns anything."""
    telemetry = _poll(consumer)
    if telemetry is None:
        return wrapped(*args, **kwargs)
    return _receive(telemetry, consumer, partial(wrapped, *args, **kwargs))


def stop(wrapped: Wrapped, consumer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Awaitable[Any]:
    """Finish the caller's record, if it came from this consumer.

    A record that another task has in hand is left to that task: stopping the consumer does not end its work.
    """
    if switch.telemetry is not None:
        current = otel.get_current()
        _finish(switch.telemetry, current, is_suppressed(current), consumer)
    return wrapped(*args, **kwargs)


def _poll(consumer: Any) -> Telemetry | None:
    telemetry = switch.telemetry
    if telemetry is None:
        return None
    current = otel.get_current()
    # A suppressed look into another topic does not end the work on the record in hand.
    suppressed = is_suppressed(current)
    _finish(telemetry, current, suppressed, consumer if suppressed else None)
    return None if suppressed else telemetry


def _finish(telemetry: Telemetry, current: Context, suppressed: bool, consumer: Any | None) -> None:
    # In `except` and `finally` this is what the handler has raised.
    error = sys.exc_info()[1]
    current_records.finish(error, None if consumer is None else telemetry.clients.of_consumer(consumer))
    # The suppression is part of the context, so that one cannot leave the other behind.
    if not suppressed:
        leave_closed(current)


async def _hand_over(telemetry: Telemetry, consumer: Any, poll: Wrapped) -> Any:
    record = await poll()
    try:
        client = telemetry.clients.of_consumer(consumer)
        processing = Processing(telemetry, client, record)
        scope = processing.scope
        scope.enter(current_records.begin(processing))
        telemetry.metrics.consumed.add(1, processing.operation.metric, scope.context)
    except Exception:  # the consumer's position has moved: raising would lose the record
        telemetry.complaints.make("A record is handed over without its span")
    return record


async def _receive(telemetry: Telemetry, consumer: Any, poll: Wrapped) -> Any:
    began, started = time_ns(), perf_counter()
    batches = await poll()
    try:
        if any(batches.values()):
            _record(telemetry, telemetry.clients.of_consumer(consumer), batches, began, perf_counter() - started)
    except Exception:  # as above
        telemetry.complaints.make("A batch is handed over without its span")
    return batches


def _record(telemetry: Telemetry, client: Client, batches: Mapping[Any, list[Any]], began: int, elapsed: float) -> None:
    topics = {partition.topic for partition in batches}
    operation = client.operation(RECEIVE, topics.pop() if len(topics) == 1 else None)
    span = telemetry.tracer.start_span(
        operation.span_name,
        kind=SpanKind.CLIENT,
        attributes={
            **operation.span,
            messaging.MESSAGING_BATCH_MESSAGE_COUNT: sum(map(len, batches.values())),
        },
        links=_links(batches),
        start_time=began,
    )
    span.end()
    telemetry.metrics.operation_duration.record(elapsed, operation.metric, trace.set_span_in_context(span))
    for partition, records in batches.items():
        each = client.operation(RECEIVE, partition.topic, partition.partition)
        telemetry.metrics.consumed.add(len(records), each.metric)


def _links(batches: Mapping[Any, list[Any]]) -> list[Link]:
    contexts: dict[tuple[int, int], SpanContext] = {}
    for record in islice(chain.from_iterable(batches.values()), _LINKS):
        creation = trace.get_current_span(context_of(record.headers)).get_span_context()
        if creation.is_valid:
            contexts[creation.trace_id, creation.span_id] = creation
    return [Link(creation) for creation in contexts.values()]
