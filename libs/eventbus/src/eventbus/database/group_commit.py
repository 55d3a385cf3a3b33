"""Group commit: those who come while a transaction is being committed share the next one.

SQLite has one writer, and a commit waits for the disk. With a transaction each, callers queue for many such waits.
"""

import logging
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import copy_context
from functools import partial
from threading import Lock
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError, TimeoutError

from eventbus.database.savepoint import Savepoint

T = TypeVar("T")
Begin = Callable[[], AbstractContextManager[Connection]]
Work = Callable[[Connection], T]

# Of one transaction. A later caller need not wait for more than that, and the write-ahead log has room for them.
MAX_CALLERS = 64

log = logging.getLogger(__name__)


class GroupCommit:
    """Writing transactions that callers share.

    The first caller leads: its thread runs its own work, then the work of those who have come meanwhile, each in a
    savepoint and in the context of its thread, and commits for all. Of those who come after that, one leads the next
    transaction. A caller that is alone has a plain transaction, in its own thread, and waits for nobody.
    """

    def __init__(self, begin: Begin, wait_s: float, errors: tuple[type[Exception], ...] = (SQLAlchemyError,)) -> None:
        """Write in transactions of *begin*, which has one at a time; nobody waits more than *wait_s* for a turn."""
        self._begin = begin
        self._wait_s = wait_s
        self._errors = errors
        self._lock = Lock()
        self._led = False
        self._waiting: deque[_Caller[Any]] = deque()

    def run(self, work: Work[T]) -> T:
        """Return what *work* returns, once all that it has written is committed; raise what it raises.

        An error of *work* undoes what it has written, and nothing else. One that costs the whole transaction, such as a
        full disk, is raised to the caller whose work met it; the others have a second try in one of their own.
        """
        with self._lock:
            leads = not self._led
            if leads:
                self._led = True
            else:
                caller = _Caller(work, otherwise=partial(self._alone, work))
                self._waiting.append(caller)
        if leads:
            return self._lead(work)
        if not caller.woken.acquire(timeout=self._wait_s):
            self._leave(caller)
            caller.woken.acquire()  # it is part of a transaction, which comes to an end
        return caller.then()

    def _lead(self, work: Work[T]) -> T:
        callers: list[_Caller[Any]] = []
        try:
            with self._begin() as connection:
                answer = work(connection)  # with nothing else in the transaction, it needs no savepoint
                while len(callers) < MAX_CALLERS and (caller := self._next()):
                    callers.append(caller)
                    caller.take_part(connection)
        except self._errors as error:
            if not callers:
                raise
            log.warning("a shared transaction was lost", extra={"callers": len(callers) + 1}, exc_info=error)
        else:
            for caller in callers:
                caller.then = caller.outcome
            return answer
        finally:
            self._hand_over()
            for caller in callers:
                caller.woken.release()
        return self._alone(work)

    def _alone(self, work: Work[T]) -> T:
        with self._begin() as connection:
            return work(connection)

    def _next(self) -> "_Caller[Any] | None":
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def _hand_over(self) -> None:
        with self._lock:
            self._led = bool(self._waiting)
            if not self._led:
                return
            leader = self._waiting.popleft()
        leader.then = partial(self._lead, leader.work)
        leader.woken.release()

    def _leave(self, caller: "_Caller[Any]") -> None:
        with self._lock:
            if caller in self._waiting:
                self._waiting.remove(caller)
                raise TimeoutError(f"no turn to write within {self._wait_s} s")


class _Caller(Generic[T]):
    """Somebody whose thread waits, and `then` does what has become of its work."""

    def __init__(self, work: Work[T], *, otherwise: Callable[[], T]) -> None:
        self.work = work
        self.outcome = self.then = otherwise
        self.woken = Lock()
        self.woken.acquire()
        self._context = copy_context()

    def take_part(self, connection: Connection) -> None:
        """Run the work in a transaction of somebody else's; raise an error of the database if that is lost by it."""
        savepoint = Savepoint(connection)
        try:
            answer = self._context.run(self.work, connection)
        except BaseException as error:  # whatever it is, it is raised in the thread of the caller
            self.outcome = self.then = partial(_raise, error)
            savepoint.undo()
        else:
            savepoint.keep()
            self.outcome = lambda: answer


def _raise(error: BaseException) -> Any:
    raise error
