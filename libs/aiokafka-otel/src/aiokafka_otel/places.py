"""Where code runs: in a task, or outside of one in a thread."""

import asyncio
import threading
from typing import Any


def here() -> object:
    """Return the running task, or the thread if no task runs."""
    return current_task() or threading.current_thread()


def current_task() -> asyncio.Task[Any] | None:
    """Return the running task; none where `getone()` is called before a loop runs, to be awaited in one."""
    # In a thread without a loop `current_task` raises, which takes ten times as long.
    return None if asyncio._get_running_loop() is None else asyncio.current_task()
