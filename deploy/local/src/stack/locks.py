import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.polling import pause
from stack.console import Screen


@contextmanager
def alone(file: Path, screen: Screen, keep_waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold a lock that dies with its holder, so that two runners do not do the same thing at once.

    While it waits it calls `keep_waiting`, which may raise.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        if not _try(lock.fileno()):
            screen.say(file.stem, "waiting for another runner that is at work on it")
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
