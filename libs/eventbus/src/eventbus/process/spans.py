"""Finished spans are exported before what they tell of is forgotten, so that no crash leaves a hole in a trace."""

import logging
import math
import os
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic

from opentelemetry import trace
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import Span, Status, StatusCode
from span_export import after_export, lost

from eventbus.errors import bare_name, describe, error_type
from eventbus.own_attributes import RETRY_DUE

log = logging.getLogger(__name__)

# An export to a Collector on the same host takes about a millisecond.
FLUSH_TIMEOUT_S = 1.0


class Flusher:
    """Export the finished spans of this process, without ever letting the work depend on the Collector.

    All who wait when an export begins share it. While one is overdue nobody waits: the spans then are in memory only,
    until the Collector is back. What the exporter `otlp_counted` could not export is lost, and is no done export; of
    another exporter's failures only those are known that the SDK tells.
    """

    def __init__(self, timeout: float = FLUSH_TIMEOUT_S) -> None:
        self._timeout = timeout
        self.lost = lost.spans

    def flush(self) -> bool:
        """Return True once all spans that have ended are exported; False after the time-out, or if some were lost
        since the last flush. Blocks; for any thread."""
        return self.begin().result()

    def begin(self) -> "Future[bool]":
        """Return what becomes True or False as `flush` does, at once: for an event loop (`asyncio.wrap_future`)."""
        asked = _Asked(self, monotonic() + self._timeout, self.lost)
        # From now on it cannot be cancelled: others may share its export.
        asked.future.set_running_or_notify_cancel()
        # The API has no flush: without an SDK there is nothing to export.
        if getattr(trace.get_tracer_provider(), "force_flush", None) is None:
            asked.future.set_result(True)
        elif not _exports.ask(asked):
            asked.future.set_result(False)
        return asked.future


@dataclass(frozen=True, eq=False)
class _Asked:
    """Somebody who waits until the spans are exported that have ended."""

    flusher: Flusher
    deadline: float
    lost_before: int
    future: "Future[bool]" = field(default_factory=Future)


class _Exports:
    """The exports of this process: one thread makes them, another one looks after the bound of those who wait.

    Started by the first who asks: an own thread for each, or a timer, costs more than the export.
    """

    def __init__(self) -> None:
        lock = threading.Lock()
        self._lock = lock
        self._wanted = threading.Condition(lock)
        self._earlier = threading.Condition(lock)
        self._waiting: list[_Asked] = []
        # Their spans are among those of the export under way.
        self._served: list[_Asked] = []
        self._overdue = False
        self._look_at = 0.0
        self._exporting: threading.Thread | None = None

    def ask(self, asked: _Asked) -> bool:
        """Let the next export serve *asked*; return False if nobody is to wait, because one is overdue."""
        with self._lock:
            if self._overdue:
                return False
            self._waiting.append(asked)
            if self._exporting is None:
                self._exporting = threading.Thread(target=self._export_forever, name="export-spans", daemon=True)
                self._exporting.start()
                threading.Thread(target=self._bound_forever, name="bound-exports", daemon=True).start()
            self._wanted.notify()
            if asked.deadline < self._look_at:
                self._earlier.notify()
        return True

    def batch_done(self, spans: int) -> None:
        """Note that a batch is exported. The SDK goes on as long as spans end: those who are served wait no longer."""
        if threading.current_thread() is not self._exporting:
            return
        with self._lock:
            self._overdue = False
            # Only a batch that is not full had all spans that had ended when it was made.
            done = self._served if spans < _batch_size() else []
            self._served = [*(self._served if not done else []), *self._waiting]
            self._waiting = []
        _tell(done)

    def _export_forever(self) -> None:
        while True:
            with self._lock:
                while not self._waiting and not self._overdue:
                    self._wanted.wait()
                self._served, self._waiting = self._waiting, []
            flushed = _flush_all()
            with self._lock:
                self._overdue = False
                done, self._served = self._served, []
            _tell(done, flushed)

    def _bound_forever(self) -> None:
        while True:
            with self._lock:
                late = self._wait_for_late()
            if late:
                log.warning("spans are not exported: is the Collector away? They wait in memory, the work goes on")
            for asked in late:
                asked.future.set_result(False)

    def _wait_for_late(self) -> list[_Asked]:
        """Return all who wait once one of them has waited for too long: the export under way is overdue."""
        self._look_at = min((asked.deadline for asked in [*self._served, *self._waiting]), default=math.inf)
        now = monotonic()
        if now < self._look_at:
            self._earlier.wait(None if self._look_at == math.inf else self._look_at - now)
            return []
        late, self._served, self._waiting = [*self._served, *self._waiting], [], []
        self._overdue = True
        self._wanted.notify()
        return late


def _flush_all() -> bool:
    try:
        # Its own time-out is ignored (opentelemetry-python #4568).
        return bool(trace.get_tracer_provider().force_flush())  # type: ignore[attr-defined]
    except Exception:  # another exporter's: those who wait must be told, and the next ones be served
        log.exception("spans are not exported")
        return False


def _tell(done: list[_Asked], flushed: bool = True) -> None:
    now = lost.spans
    for asked in done:
        asked.flusher.lost = now
        asked.future.set_result(flushed and now == asked.lost_before)


def _batch_size() -> int:
    return int(os.environ.get("OTEL_BSP_MAX_EXPORT_BATCH_SIZE") or 512)


_exports = _Exports()


def _begin_anew() -> None:
    """A child process has none of its parent's threads."""
    global _exports
    _exports = _Exports()


os.register_at_fork(after_in_child=_begin_anew)
after_export.append(lambda spans: _exports.batch_done(spans))


def mark_failed(span: Span, error: Exception) -> None:
    """Give *span* the status ERROR with the error's type and what may be said of it."""
    kind = error_type(error)
    span.set_attribute(ERROR_TYPE, kind)
    span.set_status(Status(StatusCode.ERROR, f"{bare_name(kind)}: {describe(error)}"))
    note_failure(span, error)


def mark_unfinished(span: Span) -> None:
    """Say on *span* that the process stopped before its message was handled: what follows is missing until then."""
    span.set_attribute(ERROR_TYPE, "Stopped")
    span.set_status(Status(StatusCode.ERROR, "Stopped: the message is handled after the next start"))


def mark_due(span: Span, due: float) -> None:
    """Say on *span* when its message is tried again: at *due*, in seconds since the epoch (RFC 3339, UTC)."""
    span.set_attribute(RETRY_DUE, datetime.fromtimestamp(due, UTC).isoformat(timespec="milliseconds"))


def note_failure(span: Span, error: Exception) -> None:
    """Add the error to *span* as an event, by the semantic conventions, without the text of an unknown one."""
    span.add_event("exception", {"exception.type": error_type(error), "exception.message": describe(error)})
