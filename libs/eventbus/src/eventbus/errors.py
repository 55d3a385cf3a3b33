"""The errors that a handler and the bus agree on. Their texts travel in logs and headers: never quote a message."""

import traceback

from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as NoConnection


class Poison(Exception):
    """Say that a message can never be handled, however often it is tried.

    The worker sends it to the dead letters at once.
    """


class Transient(Exception):
    """Say that a message cannot be handled now, and may be later.

    The worker tries it again from the retry topic, a bounded number of times; those behind it do not wait.
    """


class Unavailable(Exception):
    """Say that no message can be handled now: something that the service needs is away.

    The worker tries the same message again forever, and is not ready meanwhile.
    """


# What SQLite calls an OperationalError, PostgreSQL may call an InternalError (a server that only reads) or a
# ProgrammingError (a table is missing).
_DATABASE_FAILURES = (OperationalError, InterfaceError, InternalError, ProgrammingError)

# A reason travels in a header, a span and a log line.
MAX_REASON = 512


def describe(error: BaseException) -> str:
    """Say what happened without quoting a message: of an unknown error its place in the code instead of its text.

    Whatever the error's text is, this has 512 characters at most and can be encoded.
    """
    return _encodable(_reason(error))[:MAX_REASON]


def error_type(error: BaseException) -> str:
    """Return the full name of the error's class: `error.type` of the semantic conventions, cut to fit a header."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return _encodable(name)[:MAX_REASON]


def bare_name(error_type: str) -> str:
    """Return what people call an error: the name of its class, without the module."""
    return error_type.rpartition(".")[2]


def _reason(error: BaseException) -> str:
    if isinstance(error, _DATABASE_FAILURES):
        return f"{type(error).__name__}: {error.orig}"
    if isinstance(error, (Poison, Transient, Unavailable, NoConnection)):
        # Not str(error): a class of the service's own may raise something else there.
        return str(traceback.TracebackException(type(error), error, None))
    frames = traceback.extract_tb(error.__traceback__)
    return f"in {frames[-1].name}, {frames[-1].filename}:{frames[-1].lineno}" if frames else "no details"


def _encodable(text: str) -> str:
    # Half an emoji, which JSON lets pass ("\\ud83e"), is text in Python and has no UTF-8.
    return text.encode(errors="backslashreplace").decode()
