"""The runner: starts and stops the parts of the system, and tells how each one is."""

import contextlib
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Self

import psutil

from stack import fetch, ports, processes
from stack.children import Children, PartFailed
from stack.console import Progress, StackError
from stack.parts import Part, every
from stack.polling import alone
from stack.settings import Settings


@dataclass(frozen=True)
class Status:
    """How one part is at this moment: "ready", "not ready" (with the reason) or "stopped"."""

    part: str
    state: str
    pid: int | None
    ports: dict[str, int]
    log: str
    reason: str = ""


class Stack:
    """The system on this machine: starts, stops, signals and kills its parts by name. It does not restart what dies.

    As a context manager it stops, at the end, everything that it started. Other *parts* than the system's may be given.
    """

    def __init__(
        self, settings: Settings, progress: Progress | None = None, parts: Mapping[str, Part] | None = None
    ) -> None:
        self.settings = settings
        self.tidying: Thread | None = None
        self._progress = progress or Progress()
        self._parts = every(settings) if parts is None else parts
        self._children = Children(settings, self._progress)
        self._begun: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._alone():
            self._stop_in_order(self._begun)

    def fetch(self, *names: str) -> None:
        """Have what the named parts, or all that are not optional, are started with: fetched, built and verified.

        Raises StackError that names the part.
        """
        self.tidying = fetch.ensure(self.settings, [part.name for part in self._wanted(names)], self._progress)

    def _wanted(self, names: Sequence[str]) -> list[Part]:
        return [self._part(name) for name in names] or [part for part in self._parts.values() if not part.optional]

    def up(self, *names: str) -> None:
        """Have the named parts, or all that are not optional, running and ready; those that are need nothing.

        Raises StackError that names the part and shows its log's end; what this call started is stopped again then.
        """
        wanted = self._wanted(names)
        self.fetch(*names)
        with self._alone():
            running = processes.leaders(self.settings.home)
            new = [part for part in wanted if part.name not in running]
            self._check_the_same([part for part in wanted if part.name in running], running)
            self._check_ports(new)
            self._begun.update(part.name for part in new)
            try:
                self._children.start(wanted, new)
            except BaseException as error:
                self._stop_in_order({part.name for part in new})
                if isinstance(error, PartFailed):
                    raise StackError(f"{error}\n{self._children.last_words(error.part)}") from error
                raise

    def _check_the_same(self, parts: Sequence[Part], running: Mapping[str, psutil.Process]) -> None:
        for part in parts:
            if different := sorted(processes.differences(running[part.name], part.environment, also=["DEMO_FAULTS"])):
                names = ", ".join(different)
                raise StackError(f"{part.name} runs already, with another {names}: `make down` first, or give the same")

    def _check_ports(self, parts: Sequence[Part]) -> None:
        for part in parts:
            for setting in part.ports:
                ports.check_free(part.name, setting, getattr(self.settings, setting))

    def start(self, name: str) -> None:
        """Start one part and wait until it is ready."""
        self.up(name)

    def stop(self, name: str) -> int | None:
        """SIGTERM one part and return its exit code, None if it was no child of ours or did not run.

        After 35 s it is killed, and that is said on the screen.
        """
        self._part(name)
        with self._alone():
            self._children.stop([name])
        return self._children.exit_code(name)

    def kill(self, name: str) -> None:
        """SIGKILL one part with all its processes and wait until they are gone."""
        self._children.kill(self._part(name).name)

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to every process of one part."""
        processes.send(processes.find(self.settings.home, self._part(name).name), number)

    def down(self) -> None:
        """Stop every process of this stack's folder, also those that another runner started."""
        with self._alone():
            self._stop_in_order(processes.leaders(self.settings.home))
            processes.kill_all(self.settings.home)

    def status(self) -> list[Status]:
        """Look once at every part that should run or does."""
        running = processes.leaders(self.settings.home)
        parts = [part for part in self._parts.values() if not part.optional or part.name in running]
        return [self._look(part, running.get(part.name)) for part in parts]

    def _look(self, part: Part, process: psutil.Process | None) -> Status:
        log = str(self.settings.log(part.name))
        its_ports = {name: getattr(self.settings, name) for name in part.ports}
        if process is None:
            return Status(part.name, "stopped", None, its_ports, log)
        reason = part.probe()
        return Status(part.name, "not ready" if reason else "ready", process.pid, its_ports, log, reason or "")

    def exit_codes(self) -> dict[str, int | None]:
        """Return the exit codes of the parts that this object started, None for one that still runs."""
        return {name: self._children.exit_code(name) for name in self._children}

    def log(self, name: str) -> Path:
        """Return the file with everything that a part printed."""
        return self.settings.log(self._part(name).name)

    def _part(self, name: str) -> Part:
        try:
            return self._parts[name]
        except KeyError:
            raise StackError(f"there is no part {name!r}: the parts are {', '.join(self._parts)}") from None

    def _alone(self) -> contextlib.AbstractContextManager[None]:
        return alone(self.settings.home / "runner.lock", self._progress)

    def _stop_in_order(self, names: Iterable[str]) -> None:
        """Services first: the Collector, and the broker, are there for their last words."""
        names = sorted(names, key=[*self._parts, *names].index)
        if not names:
            return
        self._progress.say("stack", f"stopping {', '.join(names)}")
        services = [name for name in names if name in self._parts and self._parts[name].service]
        try:
            self._children.stop(services)
        finally:
            rest = [name for name in names if name not in services]
            self._children.stop(rest)
