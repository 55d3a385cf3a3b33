"""One relay an outbox: others stand by on a lock that dies with its holder."""

import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from eventbus.patience import Patience

STANDBY_POLL_S = 0.5


@asynccontextmanager
async def only_one(path: Path, patience: Patience) -> AsyncIterator[None]:
    """Hold the lock on *path*, after waiting for whoever has it. Raises Stopped while it waits."""
    with path.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                patience.status.fine("relay")
                await patience.pause(STANDBY_POLL_S)
            else:
                break
        yield
