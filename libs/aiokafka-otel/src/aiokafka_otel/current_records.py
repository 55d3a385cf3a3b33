"""Which record each task is working on."""

import asyncio
from typing import Any, Final
from weakref import WeakKeyDictionary

from opentelemetry import context as otel
from opentelemetry.context import Context

from aiokafka_otel.attributes import Client
from aiokafka_otel.places import current_task
from aiokafka_otel.processing import Processing
from aiokafka_otel.scopes import closed_in, outside_closed


class _Current:
    """The record that one task is working on, if any. It is finished when the task ends."""

    __slots__ = ("processing",)

    def __init__(self) -> None:
        self.processing: Processing | None = None

    def finish(self, error: BaseException | None) -> None:
        processing, self.processing = self.processing, None
        if processing is not None:
            processing.finish(error)

    def task_ended(self, task: asyncio.Task[Any]) -> None:
        # Not task.exception(): it would count as retrieved, and asyncio would not report it any more.
        self.finish(None if task.cancelled() else getattr(task, "_exception", None))


class CurrentRecords:
    """The records that tasks are working on, at most one for each task. A task that is gone is forgotten."""

    def __init__(self) -> None:
        self._of_tasks: WeakKeyDictionary[asyncio.Task[Any], _Current] = WeakKeyDictionary()

    def begin(self, processing: Processing) -> asyncio.Task[Any]:
        """Note that the current task begins a record. The one before is finished. Returns the task."""
        task = current_task()
        assert task is not None, "a coroutine of asyncio runs in a task"
        current = self._of_tasks.get(task)
        if current is None:
            current = self._of_tasks[task] = _Current()
            task.add_done_callback(current.task_ended)
        if current.processing is not None:
            current.finish(None)
        current.processing = processing
        return task

    def finish(self, error: BaseException | None, client: Client | None = None) -> None:
        """Finish the record of the current task; with a client, only if it came from there."""
        current = self._of_current_task()
        if current is not None and current.processing is not None and client in (None, current.processing.client):
            current.finish(error)

    def context(self) -> Context:
        """Return the context in which the current task works: never that of a record which it has finished.

        The end of a `with` block brings back the context of its beginning, and with it, where the task has polled
        inside the block, the record before; so does the end of a generator that is closed by another task than the
        one that reads from it. A finished record of another task is a different matter: what its handler has started
        still works for it.
        """
        context = otel.get_current()
        closed = closed_in(context)
        if closed is None or not closed.entered_here():
            return context
        current = self._of_current_task()
        if current is None or current.processing is None:
            return outside_closed(context)
        return current.processing.scope.context

    def finish_all(self) -> None:
        """Finish the records of all tasks."""
        for current in list(self._of_tasks.values()):
            current.finish(None)

    def _of_current_task(self) -> _Current | None:
        task = current_task()
        return None if task is None else self._of_tasks.get(task)


current_records: Final = CurrentRecords()
