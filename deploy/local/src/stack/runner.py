import contextlib
import signal
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self

import psutil

from stack import fetch, logs, processes
from stack.errors import PartFailed, StackError
from stack.locks import alone
from stack.parts import Part, table
from stack.polling import wait_until
from stack.ports import check_free
from stack.screen import Screen
from stack.services import inherited
from stack.settings import Settings
from stack.starting import start_together
from stack.status import Status

STOP_SECONDS = 35.0
TAIL_LINES = 20


class Stack:
    """The system on this machine: starts, stops, signals and kills its parts by name. It does not restart what dies.

    As a context manager it stops, at the end, everything that it started.
    """

    def __init__(self, settings: Settings, screen: Screen | None = None) -> None:
        self.settings = settings
        self._screen = screen or Screen()
        self._parts = table(settings)
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._log_begins: dict[str, int] = {}
        self.tidying: Thread | None = None
        self._begun: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._alone():
            self._stop_in_order(self._begun)

    def up(self, *names: str) -> None:
        """Have the named parts, or all, running and ready; those that are need nothing.

        Raises StackError that names the part and shows its log's end; what this call started is stopped again then.
        """
        wanted = [self._part(name) for name in names] or list(self._parts.values())
        self.tidying = fetch.ensure(self.settings, [part.name for part in wanted], self._screen)
        with self._alone():
            running = processes.leaders(self.settings.home)
            new = [part for part in wanted if part.name not in running]
            check_free(self.settings, new)
            self._begun.update(part.name for part in new)
            try:
                start_together(wanted, new, self._spawn, self._exit_code, self._screen)
            except BaseException as error:
                self._stop_in_order({part.name for part in new})
                if isinstance(error, PartFailed):
                    log, began = self.log(error.part), self._log_begins.get(error.part, 0)
                    raise StackError(f"{error}\n{logs.tail(log, TAIL_LINES, began)}") from error
                raise

    def start(self, name: str) -> None:
        """Start one part and wait until it is ready."""
        self.up(name)

    def stop(self, name: str) -> int | None:
        """SIGTERM one part and return its exit code, None where it was no child of ours or did not run.

        After 35 s it is killed, and that is said on the screen.
        """
        self._part(name)
        with self._alone():
            self._stop([name])
        return self._exit_code(name)

    def kill(self, name: str) -> None:
        """SIGKILL one part with all its processes and wait until they are gone."""
        self._part(name)
        self._kill(name)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to every process of one part."""
        self._part(name)
        processes.send(processes.find(self.settings.home, name), number)

    def down(self) -> None:
        """Stop every process of this stack's folder, whoever started it."""
        with self._alone():
            self._stop_in_order(processes.leaders(self.settings.home))
            processes.kill_all(self.settings.home)

    def status(self) -> list[Status]:
        """Look once at every part."""
        running = processes.leaders(self.settings.home)
        return [
            Status.look(part, running.get(part.name), self.settings, self.log(part.name))
            for part in self._parts.values()
        ]

    def started(self) -> list[str]:
        """Return the names of the parts that this object started."""
        return list(self._children)

    def ended(self) -> dict[str, int]:
        """Return the exit codes of those that this object started and that have ended."""
        codes = {name: child.poll() for name, child in self._children.items()}
        return {name: code for name, code in codes.items() if code is not None}

    def log(self, name: str) -> Path:
        """Return the file with everything that a part printed."""
        return self.settings.logs / f"{self._part(name).name}.log"

    def _part(self, name: str) -> Part:
        try:
            return self._parts[name]
        except KeyError:
            raise StackError(f"there is no part {name!r}: the parts are {', '.join(self._parts)}") from None

    def _alone(self) -> contextlib.AbstractContextManager[None]:
        return alone(self.settings.home / "runner.lock", self._screen)

    def _spawn(self, part: Part) -> None:
        if part.prepare:
            part.prepare()
        self._log_begins[part.name] = logs.begin(self.log(part.name))
        environment = {**inherited(), **part.environment}
        self._children[part.name] = processes.spawn(
            self.settings.home, part.name, part.command, environment, self.log(part.name)
        )

    def _exit_code(self, name: str) -> int | None:
        return child.poll() if (child := self._children.get(name)) else None

    def _stop_in_order(self, names: Iterable[str]) -> None:
        """Services first: the Collector, and the broker, are there for their last words."""
        names = sorted(names, key=[*self._parts, *names].index)
        if names:
            self._screen.say("stack", f"stopping {', '.join(names)}")
        services = [name for name in names if name in self._parts and self._parts[name].service]
        try:
            self._stop(services)
            self._stop([name for name in names if name not in services])
        except BaseException:  # a second Ctrl-C: no more patience, and still nothing is left
            for name in names:
                self._kill(name)
            raise

    def _stop(self, names: Sequence[str]) -> None:
        leaders = [p for name, p in processes.leaders(self.settings.home).items() if name in names]
        processes.send(leaders, signal.SIGTERM)
        processes.send(leaders, signal.SIGCONT)  # one that was stopped by a signal hears no other

        def objection() -> str | None:
            for name in names:
                self._exit_code(name)  # reaps it
            return "still there" if any(map(processes.lives, leaders)) else None

        try:
            wait_until("stop", objection, STOP_SECONDS)
        except StackError:
            for process in filter(processes.lives, leaders):
                with contextlib.suppress(psutil.Error):
                    part = process.environ()[processes.PART_MARK]
                    self._screen.say(part, f"did not end within {STOP_SECONDS:.0f} s of SIGTERM and was killed")
        for name in names:
            self._kill(name)

    def _kill(self, name: str) -> None:
        processes.kill_all(self.settings.home, name)
        if child := self._children.get(name):
            child.wait()
