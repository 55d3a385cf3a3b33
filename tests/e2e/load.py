"""Orders without a pause, while something else happens."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

from tests.e2e.shop import Placed


@contextmanager
def load(place: Callable[[int], Placed], *, first: int, threads: int = 4) -> Iterator[list[Placed]]:
    """Place orders without a pause until the block ends; the list has those that were accepted."""
    numbers, accepted, stop, failures = count(first), [], threading.Event(), []

    def work() -> None:
        while not stop.is_set():
            try:
                accepted.append(place(next(numbers)))
            except Exception as failure:  # raised again below, in the test's own thread
                failures.append(failure)
                return

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield accepted
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    if failures:
        raise failures[0]
