import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stack.screen import Screen


@contextmanager
def alone(file: Path, screen: Screen) -> Iterator[None]:
    """Hold a lock that dies with its holder, so that two runners do not do the same thing at once."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            screen.say("stack", f"waiting for another runner to finish ({file.name})")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
