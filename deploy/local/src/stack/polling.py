import time
from collections.abc import Callable

from stack.errors import StackError

INTERVAL = 0.03


def wait_until(what: str, check: Callable[[], str | None], timeout: float) -> None:
    """Wait until `check` has no more objection: it returns None, or says what is still missing.

    Raises StackError with `what` and the last objection after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while (objection := check()) is not None:
        if time.monotonic() > deadline:
            raise StackError(f"{what}: not within {timeout:.0f} s: {objection}")
        pause()


def pause() -> None:
    """Let a moment pass between two looks."""
    time.sleep(INTERVAL)
