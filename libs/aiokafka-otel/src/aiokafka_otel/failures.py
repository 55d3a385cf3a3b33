"""One way to say on a span that something failed."""

from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import Span, Status, StatusCode

__all__ = ["ERROR_TYPE", "error_type", "mark"]


def error_type(error: BaseException) -> str:
    """Return the full name of the exception's class: `error.type` of the semantic conventions."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def mark(span: Span, error: BaseException) -> None:
    """Set the status ERROR and `error.type`, and record the exception as an event."""
    span.set_attribute(ERROR_TYPE, error_type(error))
    span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
