"""Ends a process that was asked to stop and does not come to its end: a thread cannot be interrupted."""

import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from eventbus.process.spans import FLUSH_TIMEOUT_S, Flusher

log = logging.getLogger(__name__)

# Of the 10 s that a process has, one is for the last spans.
END_AFTER_S = 9 - FLUSH_TIMEOUT_S


@contextmanager
def bounded_stop(end: Callable[[], None] | None = None) -> Iterator[Callable[[], None]]:
    """Yield what is to be called when the process is asked to stop: it ends 8 s later, if it has not by itself.

    A handler that is still at work, or a wait for the database, is cut off as by a crash: its transaction is rolled
    back, and its record is handled after the next start.
    """
    timer = threading.Timer(END_AFTER_S, end or end_process)
    timer.daemon = True

    def stop_asked() -> None:
        if not timer.is_alive() and not timer.finished.is_set():
            timer.start()

    try:
        yield stop_asked
    finally:
        timer.cancel()


def end_process() -> None:
    """End at once with exit code 0, after the spans that have ended are exported if the Collector is there."""
    log.warning("ended with work unfinished: it is done after the next start", extra={"after_s": END_AFTER_S})
    Flusher().flush()
    logging.shutdown()
    os._exit(0)
