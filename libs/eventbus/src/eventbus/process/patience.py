"""Waiting for what is away: try again with back-off, say so in the status, stop when asked."""

import asyncio
import logging
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from eventbus.process.status import Status

log = logging.getLogger(__name__)

T = TypeVar("T")

# What ran for so long had worked: its next failure is a new one.
WORKED_S = 30


class Stopped(Exception):
    """The process was asked to stop while it waited."""


class Patience:
    """Repeat what fails for a reason outside of the process, forever, until *stop* is set.

    What is on its way then has *grace* seconds to arrive.
    """

    def __init__(self, status: Status, stop: asyncio.Event, *, grace: float = 5) -> None:
        self.status = status
        self.stop = stop
        self._grace = grace

    async def until_done(
        self, part: str, action: Callable[[], Awaitable[T]], *, retry_on: tuple[type[Exception], ...]
    ) -> T:
        """Return what *action* returns, however many tries it takes; *part* is not ready meanwhile.

        Tries again on *retry_on*, with back-off up to 5 s. Raises Stopped if the process is to stop instead.
        """
        now = asyncio.get_running_loop().time
        delays = backoff()
        while True:
            began = now()
            try:
                result = await action()
            except retry_on as error:
                if now() - began > WORKED_S:
                    delays = backoff()
                delay = next(delays)
                log.warning("failed, trying again", extra={"part": part, "retry_in_s": delay}, exc_info=error)
                self.status.trouble(part, f"{type(error).__name__}, trying again")
            else:
                self.status.fine(part)
                return result
            await self.pause(delay)

    async def acknowledged(self, part: str, future: "asyncio.Future[T]") -> T:
        """Return the result of *future*; say so while it keeps everybody waiting.

        An idempotent producer never gives up (aiokafka #1101). Raises Stopped if the process is to stop and the
        grace brings no answer; the outcome is then unknown.
        """
        if not future.done():
            later = asyncio.get_running_loop().call_later
            telling = later(self._grace, self.status.trouble, part, "the broker does not acknowledge")
            try:
                await self._until_done_or_stopped(part, future)
            finally:
                telling.cancel()
        result = future.result()
        self.status.fine(part)
        return result

    async def finished(self, part: str, work: "asyncio.Future[T]") -> T:
        """Return the result of *work*, which nothing can interrupt.

        Raises Stopped if the process is to stop and the grace brings no end; the outcome is then unknown.
        """
        await self._until_done_or_stopped(part, work)
        return work.result()

    async def _until_done_or_stopped(self, part: str, future: "asyncio.Future[T]") -> None:
        stopping = asyncio.create_task(self.stop.wait())
        try:
            either: set[asyncio.Future[Any]] = {future, stopping}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({future}, timeout=self._grace)
        finally:
            stopping.cancel()
        if not future.done():
            raise Stopped(f"{part}: not done within {self._grace:g} s of stopping")

    @asynccontextmanager
    async def bounded(self, seconds: float, *, finish: bool = False) -> AsyncIterator[None]:
        """Bound what is awaited inside.

        Raises TimeoutError after *seconds*, Stopped at once if the process is to stop; what is to *finish* has the
        grace before.
        """
        limit = asyncio.timeout(seconds)
        watch = asyncio.create_task(self._expire_at_stop(limit, self._grace if finish else 0.0))
        try:
            async with limit:
                yield
        except TimeoutError:
            if self.stop.is_set():
                raise Stopped from None
            raise
        finally:
            watch.cancel()

    async def _expire_at_stop(self, limit: asyncio.Timeout, grace: float) -> None:
        await self.stop.wait()
        at = asyncio.get_running_loop().time() + grace
        if not limit.expired() and at < (limit.when() or math.inf):
            limit.reschedule(at)

    async def pause(self, seconds: float) -> None:
        """Wait; raise Stopped at once if the process is to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self.stop.wait()
        except TimeoutError:
            return
        raise Stopped


def backoff() -> Iterator[float]:
    """Yield ever longer pauses from 0.1 s to 5 s, with jitter so that replicas do not march in step."""
    delay = 0.1
    while True:
        yield delay * random.uniform(0.8, 1.2)
        delay = min(delay * 2, 5.0)
