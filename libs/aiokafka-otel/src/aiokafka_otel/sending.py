"""One message on its way to the broker: its span lasts from the call to the acknowledgement."""

from asyncio import CancelledError, Future
from collections.abc import Mapping
from time import perf_counter
from typing import Any, NamedTuple

from opentelemetry import trace
from opentelemetry.semconv._incubating.attributes import messaging_attributes as messaging
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from aiokafka_otel import ids
from aiokafka_otel.attributes import SEND
from aiokafka_otel.failures import ERROR_TYPE, error_type, mark
from aiokafka_otel.hands import hands
from aiokafka_otel.messages import of_sent
from aiokafka_otel.propagation import add_context, without_context
from aiokafka_otel.telemetry import Telemetry


class Message(NamedTuple):
    """What is to be sent, as the application gave it."""

    topic: str
    value: Any
    key: Any
    partition: int | None
    headers: Any


class Sending:
    """The span and the measurements of one message on its way to the broker."""

    __slots__ = ("_client", "_message", "_operation", "_outside", "_started", "_telemetry", "context", "span")

    def __init__(self, telemetry: Telemetry, producer: Any, message: Message) -> None:
        self._telemetry = telemetry
        self._message = message
        self._client = telemetry.clients.of_producer(producer)
        self._operation = self._client.operation(SEND, message.topic)
        self._started = perf_counter()
        # A serializer's result has a size that only aiokafka sees; serializing twice is not worth an attribute.
        plain = producer._value_serializer is None
        own = of_sent(message.value, message.key, serialized=plain, with_key=telemetry.config.record_key)
        ambient = hands.context()
        self._outside = trace.get_current_span(ambient).get_span_context()
        self.span = ids.start_span(
            telemetry.tracer,
            ids.of_sending(self._outside, message.topic, message.headers, message.key, message.partition),
            self._operation.span_name,
            context=ambient,
            kind=SpanKind.PRODUCER,
            attributes={**self._operation.span, **own},
        )
        self.context = trace.set_span_in_context(self.span, ambient)

    def headers(self) -> Any:
        """Return a new list: the headers without any trace context, then that of the span.

        So a forwarded message belongs to the span that forwards it. If nothing traces in this process, a forwarded
        message keeps the context that it has: as it was given, the headers are returned.
        """
        given = self._message.headers or ()
        headers = without_context(given)
        if len(headers) < len(given) and not self._is_traced():
            return given
        try:
            add_context(headers, self.context)
        except Exception:  # a propagator may be anyone's
            self._telemetry.complaints.make("A message is sent without the context of its span")
        return headers

    def _is_traced(self) -> bool:
        # A tracer without SDK, or of one that is disabled, has no ids of its own: it passes those of the parent on.
        own = self.span.get_span_context()
        return own.is_valid and own.span_id != self._outside.span_id

    def failed(self, error: BaseException) -> None:
        """End the span: nothing was sent."""
        self._finish(error)

    def settled(self, future: "Future[Any]") -> None:
        """End the span with the broker's answer; a cancelled future never learns it, which is an error here."""
        if future.cancelled():
            error: BaseException | None = CancelledError("cancelled before the acknowledgement; it may still arrive")
        else:
            # Not future.exception(): it would count as retrieved, and asyncio would not report it any more.
            error = getattr(future, "_exception", None)
        self._finish(error, asked=True, metadata=future.result() if error is None else None)

    def _finish(self, error: BaseException | None, asked: bool = False, metadata: Any = None) -> None:
        try:
            self._record(error, asked, metadata)
        except Exception:  # a tracer may be too, and the error is on its way to the application
            self._telemetry.complaints.make("The end of a message's span is not fully recorded")

    def _record(self, error: BaseException | None, asked: bool, metadata: Any) -> None:
        elapsed = perf_counter() - self._started
        metrics = self._telemetry.metrics
        try:
            # Without metadata the producer has asked for no answer.
            metric = self._operation.metric if metadata is None else self._arrived(metadata)
            if error is not None:
                mark(self.span, error)
                metric = {**metric, ERROR_TYPE: error_type(error)}
            if asked:
                metrics.sent.add(1, metric, self.context)
            metrics.operation_duration.record(elapsed, metric, self.context)
        finally:
            self.span.end()

    def _arrived(self, metadata: Any) -> Mapping[str, AttributeValue]:
        place: dict[str, AttributeValue] = {messaging.MESSAGING_DESTINATION_PARTITION_ID: str(metadata.partition)}
        if metadata.offset >= 0:  # a retried message that the broker already had may come back without
            place[messaging.MESSAGING_KAFKA_OFFSET] = metadata.offset
        self.span.set_attributes(place)
        return self._client.operation(SEND, self._message.topic, metadata.partition).metric
