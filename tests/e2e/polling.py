"""Waiting for what happens somewhere else."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def poll_until(look: Callable[[], T], description: str, *, timeout: float = 60, every: float = 0.1) -> T:
    """Return the first true answer of *look*; fail with *description* and the last answer after *timeout* seconds."""
    deadline = time.monotonic() + timeout
    while not (answer := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{description}: not within {timeout:g} s; the last look gave {answer!r}")
        time.sleep(every)
    return answer
