"""One way to say on a span that something failed, and one to say that the instrumentation itself did."""

import logging
from time import monotonic
from traceback import format_exception
from typing import Final

from opentelemetry.semconv.attributes import exception_attributes as exception
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import Span, Status, StatusCode

from aiokafka_otel.texts import encodable

__all__ = ["ERROR_TYPE", "Complaints", "error_type", "mark"]

# Characters. The SDK's limits do not reach a status description, and an error's text may quote a whole message.
_TEXT: Final = 1_000
_STACKTRACE: Final = 16_000

_log = logging.getLogger(__name__)


def error_type(error: BaseException) -> str:
    """Return the full name of the exception's class: `error.type` of the semantic conventions."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return encodable(name)


def mark(span: Span, error: BaseException) -> None:
    """Set the status ERROR and `error.type`, and record the exception as an event.

    Not by `record_exception`: it takes texts as they are, and fails where an exception has none to give.
    """
    kind, text = error_type(error), _text(error)
    span.set_attribute(ERROR_TYPE, kind)
    span.add_event(
        "exception",
        {
            exception.EXCEPTION_TYPE: kind,
            exception.EXCEPTION_MESSAGE: text,
            exception.EXCEPTION_STACKTRACE: encodable("".join(format_exception(error))[-_STACKTRACE:]),
        },
    )
    span.set_status(Status(StatusCode.ERROR, f"{encodable(type(error).__name__)}: {text}"))


def _text(error: BaseException) -> str:
    try:
        return encodable(str(error)[:_TEXT])
    except Exception as failure:
        return f"its text cannot be had: {error_type(failure)}"


class Complaints:
    """What the instrumentation could not do, in the log: the same at most once a minute."""

    def __init__(self) -> None:
        self._made: dict[str, float] = {}

    def make(self, what: str) -> None:
        """Log the exception that is being handled, and what it costs."""
        now = monotonic()
        if now - self._made.get(what, -60.0) >= 60:
            self._made[what] = now
            _log.exception(what)
