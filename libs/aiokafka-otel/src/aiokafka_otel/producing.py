"""Wrapper of the producer: the span of a message lasts from the call to the broker's acknowledgement."""

from asyncio import CancelledError, Future
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter
from typing import Any

from opentelemetry import trace
from opentelemetry.semconv._incubating.attributes import messaging_attributes as messaging
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from aiokafka_otel import ids
from aiokafka_otel.attributes import SEND, Client
from aiokafka_otel.failures import ERROR_TYPE, error_type, mark
from aiokafka_otel.hands import hands
from aiokafka_otel.messages import of_sent
from aiokafka_otel.propagation import headers_with
from aiokafka_otel.telemetry import Telemetry, switch

Wrapped = Callable[..., Awaitable["Future[Any]"]]


async def send(wrapped: Wrapped, producer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> "Future[Any]":
    """Send the message with the context of a new span in place of any that its headers hold.

    `send_and_wait` comes here too: aiokafka calls `send` for it.
    """
    telemetry = switch.recording()
    if telemetry is None:
        return await wrapped(*args, **kwargs)
    return await _send(telemetry, wrapped, producer, *args, **kwargs)


async def _send(
    telemetry: Telemetry,
    wrapped: Wrapped,
    producer: Any,
    topic: str,
    value: Any = None,
    key: Any = None,
    partition: int | None = None,
    timestamp_ms: int | None = None,
    headers: Any = None,
) -> "Future[Any]":
    # A serializer's result has a size that only aiokafka sees; serializing twice is not worth an attribute.
    plain = producer._value_serializer is None
    own = of_sent(value, key, serialized=plain, with_key=telemetry.config.record_key)
    sending = _Sending(telemetry, telemetry.clients.of_producer(producer), topic, headers, own)
    try:
        carrier = headers_with(sending.context, headers)
        future = await wrapped(topic, value, key, partition, timestamp_ms, carrier)
    except BaseException as error:
        sending.failed(error)
        raise
    # aiokafka resolves the future when the broker has answered, before `send_and_wait` returns.
    future.add_done_callback(sending.settled)
    return future


class _Sending:
    """The span and the measurements of one message on its way to the broker."""

    __slots__ = ("_client", "_operation", "_started", "_telemetry", "_topic", "context", "span")

    def __init__(
        self, telemetry: Telemetry, client: Client, topic: str, headers: Any, own: dict[str, AttributeValue]
    ) -> None:
        self._telemetry = telemetry
        self._client = client
        self._topic = topic
        self._operation = client.operation(SEND, topic)
        self._started = perf_counter()
        ambient = hands.context()
        self.span = ids.start_span(
            telemetry.tracer,
            ids.of_sending(trace.get_current_span(ambient).get_span_context(), topic, headers),
            self._operation.span_name,
            context=ambient,
            kind=SpanKind.PRODUCER,
            attributes={**self._operation.span, **own},
        )
        self.context = trace.set_span_in_context(self.span, ambient)

    def failed(self, error: BaseException) -> None:
        """End the span: nothing was sent."""
        self._end(self._operation.metric, error)

    def settled(self, future: "Future[Any]") -> None:
        """End the span with the broker's answer; a cancelled future never learns it, which is an error here."""
        if future.cancelled():
            error: BaseException | None = CancelledError("cancelled before the acknowledgement; it may still arrive")
        else:
            # Not future.exception(): it would count as retrieved, and asyncio would not report it any more.
            error = getattr(future, "_exception", None)
        metric = self._operation.metric
        if error is None and (metadata := future.result()) is not None:  # None: the producer asked for no answer
            metric = self._client.operation(SEND, self._topic, metadata.partition).metric
            place: dict[str, AttributeValue] = {messaging.MESSAGING_DESTINATION_PARTITION_ID: str(metadata.partition)}
            if metadata.offset >= 0:  # a retried message that the broker already had may come back without
                place[messaging.MESSAGING_KAFKA_OFFSET] = metadata.offset
            self.span.set_attributes(place)
        self._telemetry.metrics.sent.add(
            1, metric if error is None else {**metric, ERROR_TYPE: error_type(error)}, self.context
        )
        self._end(metric, error)

    def _end(self, metric: Mapping[str, AttributeValue], error: BaseException | None) -> None:
        if error is not None:
            mark(self.span, error)
            metric = {**metric, ERROR_TYPE: error_type(error)}
        elapsed = perf_counter() - self._started
        self._telemetry.metrics.operation_duration.record(elapsed, metric, self.context)
        self.span.end()
