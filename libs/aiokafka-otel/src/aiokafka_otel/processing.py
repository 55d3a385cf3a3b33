"""The process span of one record, open while the record is handled."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter, time_ns
from typing import Any

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import Link, Span, SpanKind

from aiokafka_otel import ids
from aiokafka_otel.attributes import PROCESS, Client, Operation
from aiokafka_otel.config import Relation
from aiokafka_otel.failures import ERROR_TYPE, error_type, mark
from aiokafka_otel.messages import of_received
from aiokafka_otel.places import here
from aiokafka_otel.propagation import context_of
from aiokafka_otel.scopes import Scope, leave_closed
from aiokafka_otel.telemetry import Telemetry, switch


class _Record:
    """The process span of a record, from its start on; `context` is that of the record with the span in it."""

    __slots__ = ("_started", "_telemetry", "client", "context", "operation", "span")

    def __init__(self, telemetry: Telemetry, client: Client, record: Any) -> None:
        remote = context_of(record.headers)
        operation = client.operation(PROCESS, record.topic, record.partition)
        relation, with_key = telemetry.config.relation, telemetry.config.record_key
        creation = trace.get_current_span(remote).get_span_context()
        self._telemetry = telemetry
        self.operation = operation
        self.client = client
        self.span = span = ids.start_span(
            telemetry.tracer,
            # A span of a trace of its own is not repeated: its trace is not.
            ids.of_processing(creation, client.group, record) if ids.wanted and relation is not Relation.LINK else None,
            operation.span_name,
            context=otel.get_current() if relation is Relation.LINK else remote,
            kind=SpanKind.CONSUMER,
            attributes=of_received(operation.span, record, with_key),
            links=(Link(creation),) if creation.is_valid and relation is not Relation.PARENT else (),
        )
        self._started = perf_counter()
        self.context = trace.set_span_in_context(span, remote)

    def end(self, error: BaseException | None, elapsed: float | None = None, end_time: int | None = None) -> None:
        """End the span, marked with the error if there is one; now, or as long after its start as it says."""
        metric, span = self.operation.metric, self.span
        try:
            try:
                if elapsed is None:
                    elapsed = perf_counter() - self._started
                if error is not None:
                    mark(span, error)
                    metric = {**metric, ERROR_TYPE: error_type(error)}
                self._telemetry.metrics.process_duration.record(elapsed, metric, self.context)
            finally:
                if span.is_recording():
                    span.end(end_time)
        except Exception:  # a tracer may be anyone's, and this is on the way to the next record
            self._telemetry.complaints.make("The end of a record's span is not fully recorded")

    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return perf_counter() - self._started


class Processing:
    """One record that the application works on: its span is open and current until `finish`."""

    __slots__ = ("_outer", "_record", "scope")

    def __init__(self, telemetry: Telemetry, client: Client, record: Any) -> None:
        self._outer = sys.exc_info()[1]
        self._record = handled = _Record(telemetry, client, record)
        self.scope = Scope(handled.span, handled.context)

    @property
    def client(self) -> Client:
        """Where the record comes from."""
        return self._record.client

    @property
    def operation(self) -> Operation:
        """What its handling has in common with that of others."""
        return self._record.operation

    @property
    def span(self) -> Span:
        """The process span."""
        return self._record.span

    def finish(self, error: BaseException | None = None) -> None:
        """End the span, once. Only an Exception is an error: a cancelled task is not."""
        scope = self.scope
        if scope.closed:
            return
        scope.close()
        self._record.end(error if isinstance(error, Exception) and error is not self._outer else None)
        self._outer = None


@contextmanager
def process_span(record: Any, consumer: Any | None = None) -> Iterator[Span]:
    """Handle one record of a batch inside its own process span.

    The span is current in the block and has the parent and link that `getone` would give it; an exception that
    leaves the block marks it. With the consumer it also names group, client and server. Where aiokafka is not
    instrumented, or instrumentation is suppressed, the block runs without a span, and so it does if no span can be
    started.
    """
    telemetry = switch.recording()
    processing = None if telemetry is None else _entered(telemetry, record, consumer)
    if processing is None:
        yield trace.INVALID_SPAN
        return
    try:
        yield processing.span
    except BaseException as error:
        processing.finish(error)
        raise
    finally:
        processing.finish()
        leave_closed(otel.get_current())


def _entered(telemetry: Telemetry, record: Any, consumer: Any | None) -> Processing | None:
    try:
        processing = Processing(telemetry, telemetry.clients.of_consumer(consumer), record)
    except Exception:  # as above
        telemetry.complaints.make("A record is handled without its span")
        return None
    processing.scope.enter(here())
    return processing


class ProcessSpan:
    """The process span of one record of several that are finished together, as in one transaction.

    It has the duration of the record's handling, and is ended by hand once the outcome is known. Parent, link and
    attributes are those of `process_span`.
    """

    def __init__(self, record: Any, consumer: Any | None = None) -> None:
        self._record = record
        self._consumer = consumer
        self._started: _Record | None = None
        self._left: tuple[float, int] | None = None
        self._ended = False

    @property
    def span(self) -> Span:
        """The span; an invalid one before the first handling, and if none could be started."""
        return trace.INVALID_SPAN if self._started is None else self._started.span

    @contextmanager
    def handling(self) -> Iterator[Span]:
        """Handle the record in the block; the first block starts the span, and the last one is its end.

        The span is current in the block. The block may be entered again, from another task or thread too, but one at
        a time. What is raised in it does not mark the span. The block runs without a span where `process_span` would.
        """
        scope = self._enter()
        try:
            yield self.span
        finally:
            if scope is not None and self._started is not None:
                self._left = self._started.elapsed(), time_ns()
                scope.leave()

    def _enter(self) -> Scope | None:
        telemetry = switch.recording()
        if telemetry is None or self._ended:
            return None
        try:
            if self._started is None:
                self._started = _Record(telemetry, telemetry.clients.of_consumer(self._consumer), self._record)
            scope = Scope(self._started.span, self._started.context)
        except Exception:  # as above
            telemetry.complaints.make("A record is handled without its span")
            return None
        self._left = None
        scope.enter(here())
        return scope

    def end(self, error: BaseException | None = None) -> None:
        """End the span as of the time when its last block was left, once; any error that is given marks it.

        Unlike `process_span` this takes a cancellation for an error too: what was rolled back is no success. Without
        a span it does nothing.
        """
        if self._started is None or self._ended:
            return
        self._ended = True
        self._started.end(error, *(self._left or ()))
