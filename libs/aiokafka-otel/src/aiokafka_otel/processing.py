"""The process span of one record, and the context in which the record is handled."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Final
from weakref import ref

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind

from aiokafka_otel import ids
from aiokafka_otel.attributes import PROCESS, Client
from aiokafka_otel.config import Relation
from aiokafka_otel.failures import ERROR_TYPE, error_type, mark
from aiokafka_otel.messages import of_received
from aiokafka_otel.places import here
from aiokafka_otel.propagation import context_of
from aiokafka_otel.telemetry import Telemetry, switch

_KEY: Final = otel.create_key("aiokafka-otel-processing")


class Processing:
    """One record in the hands of the application: its span is open and current until `finish`.

    `context` is the one to work in: that of the record, and after `finish` the one before it.
    There are no context tokens, because a record may be finished by another task than the one that took it. The
    context names its Processing instead: whoever finds himself in the context of a finished one leaves it.
    """

    __slots__ = (
        "_before",
        "_operation",
        "_outer",
        "_place",
        "_started",
        "_telemetry",
        "client",
        "context",
        "finished",
        "span",
    )

    def __init__(self, telemetry: Telemetry, client: Client, record: Any) -> None:
        remote = context_of(record.headers)
        self._telemetry = telemetry
        self._operation = client.operation(PROCESS, record.topic, record.partition)
        self._before = otel.get_current()
        self._outer = sys.exc_info()[1]
        self.client = client
        self.finished = False
        self._place: ref[object] | None = None
        relation = telemetry.config.relation
        creation = trace.get_current_span(remote).get_span_context()
        self.span = ids.start_span(
            telemetry.tracer,
            # A span of a trace of its own is not repeated: its trace is not.
            None if relation is Relation.LINK else ids.of_processing(creation, client.group, record),
            self._operation.span_name,
            context=self._before if relation is Relation.LINK else remote,
            kind=SpanKind.CONSUMER,
            attributes={**self._operation.span, **of_received(record, telemetry.config.record_key)},
            links=(Link(creation),) if creation.is_valid and relation is not Relation.PARENT else (),
        )
        self._started = perf_counter()
        self.context = otel.set_value(_KEY, self, trace.set_span_in_context(self.span, remote))

    def enter(self) -> None:
        """Make the span current in the caller's task; nothing of the ambient context stays."""
        self._place = ref(here())
        otel.attach(self.context)

    def entered_here(self) -> bool:
        """Tell whether this task made the span current, or, outside of a task, this thread."""
        return self._place is not None and self._place() is here()

    def finish(self, error: BaseException | None = None) -> None:
        """End the span, once. Only an Exception is an error: a cancelled task is not."""
        if self.finished:
            return
        self.finished = True
        try:
            self._record(error)
        except Exception:  # a tracer may be anyone's, and this is on the way to the next record
            self._telemetry.complaints.make("The end of a record's span is not fully recorded")
        # What is over holds nothing: not the next context in a chain of tasks that start each other, not itself.
        self.context = self._before = outside_finished(self._before)
        self._outer = None

    def _record(self, error: BaseException | None) -> None:
        elapsed = perf_counter() - self._started
        metric = self._operation.metric
        try:
            if isinstance(error, Exception) and error is not self._outer:
                mark(self.span, error)
                metric = {**metric, ERROR_TYPE: error_type(error)}
            self._telemetry.metrics.process_duration.record(elapsed, metric, self.context)
        finally:
            if self.span.is_recording():
                self.span.end()


def finished_in(context: Context) -> Processing | None:
    """Return the finished record whose span is current in the context: nobody should work under it any more."""
    processing = context.get(_KEY)
    if isinstance(processing, Processing) and processing.finished:
        # A span that the application has opened on top is its own choice.
        return processing if trace.get_current_span(context) is processing.span else None
    return None


def leave_finished() -> None:
    """Return to the context before the record, where the current one belongs to a finished record."""
    current = otel.get_current()
    outside = outside_finished(current)
    if outside is not current:
        otel.attach(outside)


def outside_finished(context: Context) -> Context:
    """Return the context as it was before the finished records in whose contexts it was made."""
    while processing := finished_in(context):
        context = processing.context
    return context


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
        leave_finished()


def _entered(telemetry: Telemetry, record: Any, consumer: Any | None) -> Processing | None:
    try:
        processing = Processing(telemetry, telemetry.clients.of_consumer(consumer), record)
    except Exception:  # as above
        telemetry.complaints.make("A record is handled without its span")
        return None
    processing.enter()
    return processing
