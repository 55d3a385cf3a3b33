"""Which task has which record in hand."""

import asyncio
from contextvars import Context
from typing import Any, Final
from weakref import WeakKeyDictionary

from aiokafka_otel.attributes import Client
from aiokafka_otel.processing import Processing


class _Hand:
    """At most one record; let go of when the task ends."""

    __slots__ = ("processing",)

    def __init__(self) -> None:
        self.processing: Processing | None = None

    def let_go(self, error: BaseException | None) -> None:
        processing, self.processing = self.processing, None
        if processing is not None:
            processing.finish(error)

    def task_ended(self, task: asyncio.Task[Any]) -> None:
        # Not task.exception(): it would count as retrieved, and asyncio would not report it any more.
        self.let_go(None if task.cancelled() else getattr(task, "_exception", None))


class Hands:
    """The records in hand, one for each task at most; a task that is gone is forgotten."""

    def __init__(self) -> None:
        self._hands: WeakKeyDictionary[asyncio.Task[Any], _Hand] = WeakKeyDictionary()

    def take(self, processing: Processing) -> None:
        """Put a record into the hand of the current task, instead of the one that it holds."""
        task = current_task()
        assert task is not None, "a coroutine of asyncio runs in a task"
        hand = self._hands.get(task)
        if hand is None:
            hand = self._hands[task] = _Hand()
            # An empty context: the callback's copy would keep the first record's for as long as the task lives.
            task.add_done_callback(hand.task_ended, context=Context())
        hand.let_go(None)
        hand.processing = processing

    def let_go(self, error: BaseException | None, client: Client | None = None) -> None:
        """Finish the record that the current task holds; with a client, only if it came from there."""
        task = current_task()
        hand = self._hands.get(task) if task is not None else None
        if hand is not None and hand.processing is not None and client in (None, hand.processing.client):
            hand.let_go(error)

    def let_go_all(self) -> None:
        """Finish the records of all tasks."""
        for hand in list(self._hands.values()):
            hand.let_go(None)


def current_task() -> asyncio.Task[Any] | None:
    """Return the running task; none where `getone()` is called before a loop runs, to be awaited in one."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


hands: Final = Hands()
