"""The processes that this runner started: begun together, and ended together."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from stack import processes
from stack.console import Progress, StackError
from stack.parts import Part
from stack.polling import pause, wait_until
from stack.services import inherited
from stack.settings import Settings

START_SECONDS = 90.0
STOP_SECONDS = 35.0
# After SIGTERM PostgreSQL waits for its clients to go; this ends their sessions.
SIGNALS = {"postgres": signal.SIGINT}
# A log that is longer is put aside at the next start: one older log is kept.
MAX_LOG_BYTES = 20_000_000
LAST_WORDS = 20


class PartFailed(StackError):
    """A part of the system did not start."""

    def __init__(self, part: str, why: str) -> None:
        super().__init__(f"{part} {why}")
        self.part = part


class Children:
    """The processes that this one started. Who else started some is known from the process table alone."""

    def __init__(self, settings: Settings, progress: Progress) -> None:
        self._settings = settings
        self._progress = progress
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._log_begins: dict[str, int] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._children)

    def start(self, wanted: Sequence[Part], new: Sequence[Part]) -> None:
        """Spawn the new parts side by side, each after those that it comes after; wait until all wanted are ready.

        Raises PartFailed naming the first part that ended or was not ready in time, and why.
        """
        began = {part.name: time.monotonic() for part in wanted}
        to_spawn, pending = list(new), {part.name: part for part in wanted}
        while pending:
            for part in [p for p in to_spawn if not pending.keys() & set(p.after)]:
                try:
                    self._spawn(part)
                except OSError as error:
                    raise PartFailed(part.name, f"cannot be started: {error}") from error
                began[part.name] = time.monotonic()
                to_spawn.remove(part)
            for part in [p for p in pending.values() if p not in to_spawn]:
                objection = part.probe()
                if objection is None:
                    self._progress.say(part.name, "ready")
                    del pending[part.name]
                elif (code := self.exit_code(part.name)) is not None and part in new:
                    raise PartFailed(part.name, f"ended with exit code {code} before it was ready")
                elif time.monotonic() - began[part.name] > START_SECONDS:
                    raise PartFailed(part.name, f"was not ready within {START_SECONDS:.0f} s: {objection}")
            pause()

    def _spawn(self, part: Part) -> None:
        if part.prepare:
            part.prepare()
        log = self._settings.log(part.name)
        self._log_begins[part.name] = _begin(log)
        environment = {**inherited(), **part.environment}
        self.exit_code(part.name)  # reaps the one before
        self._children[part.name] = processes.spawn(self._settings.home, part.name, part.command, environment, log)

    def stop(self, names: Sequence[str]) -> None:
        """Ask the named parts to end, by SIGTERM as a rule, and wait until nothing is left of them.

        After 35 s what is left is killed, and that is said. Interrupted it kills at once: nothing is left then either.
        """
        found = {name: process for name, process in processes.leaders(self._settings.home).items() if name in names}
        leaders = list(found.values())
        for name, process in found.items():
            processes.send([process], SIGNALS.get(name, signal.SIGTERM))
        processes.send(leaders, signal.SIGCONT)  # one that was paused by a signal hears no other

        def objection() -> str | None:
            for name in names:
                self.exit_code(name)  # reaps it
            return "still there" if any(map(processes.lives, leaders)) else None

        try:
            wait_until("stop", objection, STOP_SECONDS)
        except StackError:
            for process in filter(processes.lives, leaders):
                with contextlib.suppress(psutil.Error):
                    part = process.environ()[processes.PART_MARK]
                    self._progress.say(part, f"did not end within {STOP_SECONDS:.0f} s of SIGTERM and was killed")
        finally:
            for name in names:
                self.kill(name)

    def kill(self, name: str) -> None:
        """SIGKILL every process of a part, also one that another runner started, and wait until none is left."""
        processes.kill_all(self._settings.home, name)
        if child := self._children.get(name):
            child.wait()

    def exit_code(self, name: str) -> int | None:
        """Return the exit code of a child that has ended."""
        return child.poll() if (child := self._children.get(name)) else None

    def last_words(self, name: str) -> str:
        """Return the last lines that a part printed since it was started here, and the path of its log."""
        return tail(self._settings.log(name), LAST_WORDS, self._log_begins.get(name, 0))


def _begin(log: Path) -> int:
    """Make room for another run's output, and return where in the file it begins."""
    log.parent.mkdir(parents=True, exist_ok=True)
    size = log.stat().st_size if log.exists() else 0
    if size <= MAX_LOG_BYTES:
        return size
    log.replace(log.with_name(f"{log.name}.1"))
    return 0


def tail(log: Path, lines: int, begin: int = 0) -> str:
    """Return the last lines written since `begin`, and the path of the log."""
    text = ""
    if log.exists():
        with log.open("rb") as file:
            file.seek(begin)
            text = file.read().decode(errors="replace")
    return "\n".join([*(f"    {line}" for line in text.splitlines()[-lines:]), f"The whole log: {log}"])
