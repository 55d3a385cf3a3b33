"""Structured logs: one JSON object a line on stderr, with the ids of the current span."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter


def configure() -> None:
    """Send all logs to stderr as JSON lines, unless that is how they go already.

    ``trace_id`` and ``span_id`` are filled in under opentelemetry-instrument, by opentelemetry-instrumentation-logging
    (OTEL_PYTHON_LOG_CORRELATION=true).
    """
    if any(isinstance(each.formatter, _Formatter) for each in logging.root.handlers):
        return
    # What is on no line need not be found out for each: https://docs.python.org/3/howto/logging.html#optimization
    for name in NOT_ON_A_LINE:
        setattr(logging, name, None)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def formatter() -> logging.Formatter:
    """Return the formatter, for programs that configure logging by themselves, such as gunicorn."""
    return _Formatter(
        ["asctime", "levelname", "name", "message", "otelTraceID", "otelSpanID"],
        rename_fields={
            "asctime": "time",
            "levelname": "level",
            "name": "logger",
            "otelTraceID": "trace_id",
            "otelSpanID": "span_id",
        },
        reserved_attrs=[*_RESERVED, "otelServiceName", "otelTraceSampled", "taskName"],
        datefmt="%Y-%m-%dT%H:%M:%S%z",
    )


class _Formatter(JsonFormatter):
    """The time of a line is to the second, and most lines have that of the one before."""

    _last = (-1, "")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return the second in which *record* was made."""
        second, text = self._last
        if second != int(record.created):
            second, text = self._last = int(record.created), super().formatTime(record, datefmt)
        return text


# The caller's place in the code, its thread, its process, its task (from Python 3.12).
_SWITCHES = ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing", "logAsyncioTasks")
NOT_ON_A_LINE = [name for name in _SWITCHES if hasattr(logging, name)]

_RESERVED = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}
