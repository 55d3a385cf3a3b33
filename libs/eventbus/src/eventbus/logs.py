"""Structured logs: one JSON object a line on stderr, with the ids of the current span."""

import logging
import sys

from pythonjsonlogger.json import JsonFormatter


def configure() -> None:
    """Send all logs to stderr as JSON lines.

    ``trace_id`` and ``span_id`` are filled in under opentelemetry-instrument, by opentelemetry-instrumentation-logging
    (OTEL_PYTHON_LOG_CORRELATION=true).
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def formatter() -> logging.Formatter:
    """Return the formatter, for programs that configure logging by themselves, such as gunicorn."""
    return JsonFormatter(
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


_RESERVED = vars(logging.makeLogRecord({})).keys() | {"message", "asctime"}
