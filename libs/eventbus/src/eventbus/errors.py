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

    The worker tries the same message again for ever, and is not ready meanwhile.
    """


# Another message would fail as well. What SQLite calls an OperationalError, PostgreSQL may call an InternalError (a
# server that only reads) or a ProgrammingError (a table is missing). Of its deadlocks, again at once is right too.
DATABASE_FAILURES = (OperationalError, InterfaceError, InternalError, ProgrammingError)
INFRASTRUCTURE = (Unavailable, *DATABASE_FAILURES, NoConnection)


def describe(error: BaseException) -> str:
    """Say what happened without quoting a message: of an unknown error its place in the code instead of its text."""
    if isinstance(error, DATABASE_FAILURES):
        return f"{type(error).__name__}: {error.orig}"
    if isinstance(error, (Poison, Transient, *INFRASTRUCTURE)):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    return f"in {frames[-1].name}, {frames[-1].filename}:{frames[-1].lineno}" if frames else "no details"
