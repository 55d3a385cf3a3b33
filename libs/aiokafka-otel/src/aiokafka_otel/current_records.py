"""Which task has which record in hand."""

import asyncio
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry import context as otel
from opentelemetry.context import Context

from aiokafka_otel.attributes import Client
from aiokafka_otel.places import current_task
from aiokafka_otel.processing import Processing
from aiokafka_otel.scopes import closed_in, outside_closed


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

    def take(self, processing: Processing) -> asyncio.Task[Any]:
        """Put a record into the hand of the current task, instead of the one that it holds; return the task."""
        task = current_task()
        assert task is not None, "a coroutine of asyncio runs in a task"
        hand = self._hands.get(task)
        if hand is None:
            hand = self._hands[task] = _Hand()
            task.add_done_callback(hand.task_ended)
        if hand.processing is not None:
            hand.let_go(None)
        hand.processing = processing
        return task

    def let_go(self, error: BaseException | None, client: Client | None = None) -> None:
        """Finish the record that the current task holds; with a client, only if it came from there."""
        hand = self._of_current_task()
        if hand is not None and hand.processing is not None and client in (None, hand.processing.client):
            hand.let_go(error)

    def context(self) -> Context:
        """Return the context in which the current task works: never that of a record which it has finished.

        The end of a `with` block brings back the context of its beginning, and with it, where the task has polled
        inside the block, the record before; so does the end of a generator that is closed by another task than the
        one that reads from it. A finished record of another task is a different matter: what its handler has started
        still works for it.
        """
        current = otel.get_current()
        closed = closed_in(current)
        if closed is None or not closed.entered_here():
            return current
        hand = self._of_current_task()
        return outside_closed(current) if hand is None or hand.processing is None else hand.processing.scope.context

    def let_go_all(self) -> None:
        """Finish the records of all tasks."""
        for hand in list(self._hands.values()):
            hand.let_go(None)

    def _of_current_task(self) -> _Hand | None:
        task = current_task()
        return None if task is None else self._hands.get(task)


hands: Final = Hands()
