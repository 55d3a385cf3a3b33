"""Forgets what was published, many rows at a time, while others are sent."""

import asyncio
from collections.abc import Callable, Sequence

from eventbus.database.database import Database
from eventbus.outbox.pending import Pending
from eventbus.process.patience import Patience
from eventbus.process.spans import Flusher

# Each time costs a request to the Collector and a transaction, which at 100 rows a second twenty of them share.
EVERY_S = 0.2
# No longer than for so many: the relay sends no more while 1,000 are not forgotten.
ENOUGH = 250


class Forgetting:
    """Delete rows that were published, after their spans were exported.

    At once if the last time is 200 ms ago, otherwise then, or when 250 of them wait. *forgotten* is called each time
    that some were.
    """

    def __init__(self, pending: Pending, database: Database, patience: Patience, forgotten: Callable[[], None]) -> None:
        self._pending = pending
        self._database = database
        self._patience = patience
        self._forgotten = forgotten
        self._spans = Flusher()
        self._event_ids: list[str] = []
        self._deleting = 0
        self._more = asyncio.Event()
        self._now = asyncio.Event()
        self._over = False

    @property
    def waiting(self) -> int:
        """How many rows were published and are still there."""
        return len(self._event_ids) + self._deleting

    def add(self, event_id: str) -> None:
        """Have the row of this event forgotten soon."""
        self._event_ids.append(event_id)
        self._more.set()
        if len(self._event_ids) >= ENOUGH:
            self._now.set()

    def finish(self) -> None:
        """Let `run` return when everything is forgotten that was added."""
        self._over = True
        self._more.set()
        self._now.set()

    async def run(self) -> None:
        """Forget rows as they come. An outage of the database is waited for; raises Stopped if the process is to
        stop instead."""
        while not self._over:
            await self._more.wait()
            self._more.clear()
            await self._forget()
            await self._pause()
        await self._forget()

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(EVERY_S):
                await self._now.wait()
        except TimeoutError:
            pass
        if not self._over:
            self._now.clear()

    async def _forget(self) -> None:
        event_ids, self._event_ids = self._event_ids, []
        if not event_ids:
            return
        self._deleting = len(event_ids)
        await self._patience.until_done(
            "outbox", lambda: asyncio.to_thread(self._delete, event_ids), retry_on=self._database.errors
        )
        self._deleting = 0
        self._forgotten()

    def _delete(self, event_ids: Sequence[str]) -> None:
        # First the spans: what is forgotten is never sent again, and its span would be missing after a crash.
        self._spans.flush()
        self._pending.forget(event_ids)
