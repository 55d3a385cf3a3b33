"""What is not understood is named, and never read as something harmless."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn


@dataclass(frozen=True)
class Illegible:
    """Something that is not understood and left out, and the trace that it is of if that much is known."""

    says: str
    trace_id: str | None = None


LeaveOut = Callable[[Illegible], None]
# What reading foreign JSON raises if it has another form.
OTHER_FORM: Final = (ValueError, KeyError, TypeError, AttributeError, RecursionError)


def refuse(what: Illegible) -> NoReturn:
    """Leave nothing out: ValueError with what is said."""
    raise ValueError(what.says)


def why(error: Exception) -> str:
    """Say why something is not understood: our own refusals are sentences."""
    return str(error) if type(error) is ValueError else "it has another form"
