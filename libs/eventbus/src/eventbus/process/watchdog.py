"""Ends a process that makes no progress: whoever supervises it starts a new one.

aiokafka's consumers can go silent after trouble with the broker, without an error (aiokafka #1037, #1154, #983).
"""

import asyncio
import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from eventbus.process.status import Status

log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
# Without a step although there are records to read, or although the group has a place to take.
SILENT_S = 60.0
# For one call of a handler: every client that it uses has time-outs far below.
HANDLER_S = 300.0
LOOP_S = 30
ASK_TIMEOUT_S = 5


class Progress:
    """What a worker is doing, and since when."""

    def __init__(self) -> None:
        self._working_since: float | None = None
        self._steps = 0
        self._in_hand = False

    @contextmanager
    def in_hand(self) -> Iterator[None]:
        """Mark that a record is worked on, with all of its tries."""
        self._in_hand = True
        try:
            yield
        finally:
            self._in_hand = False
            self._steps += 1

    @contextmanager
    def working(self) -> Iterator[None]:
        """Mark one call of a handler."""
        self._working_since = asyncio.get_running_loop().time()
        try:
            yield
        finally:
            self._working_since = None

    @property
    def handler_for(self) -> float:
        """Seconds since the handler was called; 0 where none is at work."""
        return 0.0 if self._working_since is None else asyncio.get_running_loop().time() - self._working_since

    @property
    def idle_at(self) -> int | None:
        """How many records were done, or None while one is in hand."""
        return None if self._in_hand else self._steps


class Watchdog:
    """Look every 5 s whether the process is alive, and call *end* with the reason where it is not."""

    def __init__(
        self,
        status: Status,
        *,
        end: Callable[[str], None] | None = None,
        silent_s: float = SILENT_S,
        handler_s: float = HANDLER_S,
    ) -> None:
        self._status = status
        self._end = end or end_process
        self._silent_s = silent_s
        self._handler_s = handler_s
        self._silent_since: tuple[object, float] | None = None

    async def watch(self, consumer: AIOKafkaConsumer, progress: Progress) -> None:
        """Look forever."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if reason := await self.look(consumer, progress):
                self._end(reason)

    async def look(self, consumer: AIOKafkaConsumer, progress: Progress) -> str | None:
        """Look once: return what is wrong, or None."""
        if dead := [name for name, task in _tasks(consumer) if task is not None and task.done()]:
            return f"background tasks of the consumer have ended: {', '.join(dead)}"
        if progress.handler_for > self._handler_s:
            return f"a handler has not returned for {self._handler_s:g} s"
        waiting = None if progress.idle_at is None else await _waits_for(consumer)
        now = asyncio.get_running_loop().time()
        state = (progress.idle_at, waiting)
        if waiting is None or self._status.in_trouble("broker"):
            self._silent_since = None
        elif self._silent_since is None or self._silent_since[0] != state:
            self._silent_since = (state, now)
        elif now - self._silent_since[1] > self._silent_s:
            return f"no progress for {self._silent_s:g} s: {waiting}"
        return None


async def _waits_for(consumer: AIOKafkaConsumer) -> str | None:
    """Say what the consumer should be doing: join its group, or read records that are there."""
    coordinator, subscription = consumer._coordinator, consumer._subscription.subscription
    if coordinator is not None and subscription is not None and coordinator.need_rejoin(subscription):
        return "the consumer is not in its group"
    partitions = consumer.assignment() - consumer.paused()
    if not partitions:
        return None
    try:
        async with asyncio.timeout(ASK_TIMEOUT_S):
            ends = await consumer.end_offsets(partitions)
            behind = [p for p in partitions if ends[p] > await consumer.position(p)]
    except (KafkaError, TimeoutError):
        return None  # the broker is away: that is for the status to say
    return f"there are records in {', '.join(sorted(f'{p.topic}/{p.partition}' for p in behind))}" if behind else None


def _tasks(consumer: AIOKafkaConsumer) -> Iterable[tuple[str, Any]]:
    # Private names, for want of others. A task that raises anything unforeseen just ends.
    yield "coordination", getattr(consumer._coordinator, "_coordination_task", None)
    yield "fetching", getattr(consumer._fetcher, "_fetch_task", None)


@contextmanager
def watched_loop(limit_s: int = LOOP_S, end: Callable[[str], None] | None = None) -> Iterator[Callable[[], None]]:
    """Watch the event loop from a thread: it has to call what this yields at least every *limit_s* seconds.

    The thread counts its own seconds, not the clock's: a process that was stopped for a while (SIGSTOP) is not dead.
    """
    beats, over = [0], threading.Event()

    def watch() -> None:
        seen, silent = 0, 0
        while not over.wait(1):
            silent = silent + 1 if beats[0] == seen else 0
            seen = beats[0]
            if silent > limit_s:
                faulthandler.dump_traceback(sys.stderr)
                (end or end_process)(f"the event loop has been blocked for {limit_s} s")
                return

    def beat() -> None:
        beats[0] += 1

    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    thread.start()
    try:
        yield beat
    finally:
        over.set()
        thread.join()


def end_process(reason: str) -> None:
    """Say why and end at once: what hangs cannot be stopped in order, and the next start repeats what is unfinished."""
    log.critical("the watchdog ends this process", extra={"reason": reason})
    logging.shutdown()
    os._exit(1)
