"""Waiting: for something to be so, and for one's turn."""

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.console import Progress, StackError

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


@contextmanager
def alone(file: Path, progress: Progress, keep_waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock that dies with its holder, so that two runners do not do the same thing at once.

    While it waits it calls `keep_waiting`, which may raise.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        if not _try(lock.fileno()):
            progress.say(file.stem, "waiting for another runner that is at work on it")
            while not _try(lock.fileno()):
                keep_waiting()
                pause()
        yield


def _try(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
