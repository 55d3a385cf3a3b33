"""Where code runs: in a task, or outside of one in a thread."""

import asyncio
import threading
from typing import Any


def here() -> object:
    """Return the running task, or the thread if no task runs."""
    return current_task() or threading.current_thread()


def current_task() -> asyncio.Task[Any] | None:
    """Return the running task; none where `getone()` is called before a loop runs, to be awaited in one."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None
