"""One message on its way to the broker: its span lasts from the call to the acknowledgement."""

from asyncio import CancelledError, Future
from collections.abc import Mapping
from time import perf_counter
from typing import Any, NamedTuple

from opentelemetry import trace
from opentelemetry.semconv._incubating.attributes.messaging_attributes import (
    MESSAGING_DESTINATION_PARTITION_ID as PARTITION,
)
from opentelemetry.semconv._incubating.attributes.messaging_attributes import MESSAGING_KAFKA_OFFSET as OFFSET
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from aiokafka_otel import ids
from aiokafka_otel.attributes import SEND
from aiokafka_otel.current_records import current_records
from aiokafka_otel.failures import ERROR_TYPE, error_type, mark
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

    __slots__ = ("_client", "_given", "_operation", "_outside", "_started", "_telemetry", "_topic", "context", "span")

    def __init__(self, telemetry: Telemetry, producer: Any, message: Message) -> None:
        topic, value, key, partition, headers = message
        ambient = current_records.context()
        outside = trace.get_current_span(ambient).get_span_context()
        client = telemetry.clients.of_producer(producer)
        operation = client.operation(SEND, topic)
        # A serializer's result has a size that only aiokafka sees; serializing twice is not worth an attribute.
        plain = producer._value_serializer is None
        self._telemetry = telemetry
        self._client = client
        self._operation = operation
        self._outside = outside
        self._topic = topic
        self._given = headers
        self._started = perf_counter()
        self.span = span = ids.start_span(
            telemetry.tracer,
            ids.of_sending(outside, topic, headers, key, partition) if ids.wanted else None,
            operation.span_name,
            context=ambient,
            kind=SpanKind.PRODUCER,
            attributes=of_sent(operation.span, value, key, plain, telemetry.config.record_key),
        )
        self.context = trace.set_span_in_context(span, ambient)

    def headers(self) -> Any:
        """Return a new list: the headers without any trace context, then that of the span.

        So a forwarded message belongs to the span that forwards it. If nothing traces in this process, a forwarded
        message keeps the context that it has: as it was given, the headers are returned.
        """
        given = self._given or ()
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
        metrics, span = self._telemetry.metrics, self.span
        try:
            # Without metadata the producer has asked for no answer.
            metric = self._operation.metric if metadata is None else self._arrived(metadata)
            if error is not None:
                mark(span, error)
                metric = {**metric, ERROR_TYPE: error_type(error)}
            if asked:
                metrics.sent.add(1, metric, self.context)
            metrics.operation_duration.record(elapsed, metric, self.context)
        finally:
            span.end()

    def _arrived(self, metadata: Any) -> Mapping[str, AttributeValue]:
        there = self._client.operation(SEND, self._topic, metadata.partition)
        set_attribute = self.span.set_attribute
        set_attribute(PARTITION, there.span[PARTITION])
        offset = metadata.offset
        if offset >= 0:  # a retried message that the broker already had may come back without
            set_attribute(OFFSET, offset)
        return there.metric
