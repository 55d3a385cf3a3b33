"""Finished spans are exported before what they tell of is forgotten, so that no crash leaves a hole in a trace."""

import logging
import threading
from datetime import UTC, datetime

from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode
from span_export import lost

from eventbus.errors import describe, kind

log = logging.getLogger(__name__)

# An export to a Collector on the same host takes about a millisecond.
FLUSH_TIMEOUT_S = 1.0


class Flusher:
    """Export the finished spans of this process, without ever letting the work depend on the Collector.

    While an export is overdue nobody waits: the spans then are in memory only, until the Collector is back. What the
    exporter `otlp_counted` could not export is lost, and is no done export; of another exporter's failures only those
    are known that the SDK tells.
    """

    def __init__(self, timeout: float = FLUSH_TIMEOUT_S) -> None:
        self._timeout = timeout
        self._overdue: threading.Thread | None = None
        self._lost = lost.spans

    def flush(self) -> bool:
        """Return True once all spans that have ended are exported; False after the time-out, or if some were lost
        since the last flush. Blocks; for any thread."""
        # The API has no flush: without an SDK there is nothing to export.
        force_flush = getattr(trace.get_tracer_provider(), "force_flush", None)
        if force_flush is None:
            return True
        if self._overdue is not None and self._overdue.is_alive():
            return False
        # force_flush ignores its time-out (opentelemetry-python #4568): it is this thread that waits too long.
        done: list[bool] = []
        exporting = threading.Thread(target=lambda: done.append(force_flush()), name="flush-spans", daemon=True)
        exporting.start()
        exporting.join(self._timeout)
        if exporting.is_alive():
            self._overdue = exporting
            log.warning("spans are not exported: is the Collector away? They wait in memory, the work goes on")
            return False
        before, self._lost = self._lost, lost.spans
        return done == [True] and before == self._lost


def mark_failed(span: Span, error: Exception) -> None:
    """Give *span* the status ERROR with the error's type and what may be said of it."""
    span.set_attribute("error.type", kind(error))
    span.set_status(Status(StatusCode.ERROR, f"{kind(error)}: {describe(error)}"))
    note_failure(span, error)


def mark_unfinished(span: Span) -> None:
    """Say on *span* that the process stopped before its message was handled: what follows is missing until then."""
    span.set_attribute("error.type", "Stopped")
    span.set_status(Status(StatusCode.ERROR, "Stopped: the message is handled after the next start"))


def mark_due(span: Span, due: float) -> None:
    """Say on *span* when its message is tried again: at *due*, in seconds since the epoch (RFC 3339, UTC)."""
    span.set_attribute("journey.retry.due", datetime.fromtimestamp(due, UTC).isoformat(timespec="milliseconds"))


def note_failure(span: Span, error: Exception) -> None:
    """Add the error to *span* as an event, by the semantic conventions, without the text of an unknown one."""
    span.add_event("exception", {"exception.type": kind(error), "exception.message": describe(error)})
