"""The operating system's process table is the only record of what runs.

Each process is started with the stack's folder and its part's name in its environment. So nothing has to be written
down, nothing written down can be stale or damaged, and every process is found, even after a crash of the runner.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

from stack.polling import wait_until

HOME_MARK = "STACK_PROCESS_OF"
PART_MARK = "STACK_PART"


def spawn(
    home: Path, part: str, command: Sequence[str], environment: Mapping[str, str], log: Path
) -> subprocess.Popen[bytes]:
    """Start a marked process in a session of its own, its output appended to `log`."""
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            env={**environment, **marks(home, part)},
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def marks(home: Path, part: str) -> dict[str, str]:
    """Return what a process must have in its environment to be found."""
    return {HOME_MARK: str(home), PART_MARK: part}


def find(home: Path, part: str | None = None) -> list[psutil.Process]:
    """Return the living processes of this stack, or of one part of it: its own first, then its children."""
    return _marked({HOME_MARK: str(home)} if part is None else marks(home, part))


def leaders(home: Path) -> dict[str, psutil.Process]:
    """Return each running part's own process by the part's name."""
    return {name: p for p in find(home) if _leads(p) and (name := _environment(p).get(PART_MARK))}


def differences(process: psutil.Process, environment: Mapping[str, str], also: Sequence[str] = ()) -> set[str]:
    """Return which variables of *environment*, and *also* which others, a running process has otherwise."""
    now = _environment(process)
    return {name for name in {*environment, *also} if now and now.get(name) != environment.get(name)}


def send(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    """Send a signal to those that are still there."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


def kill_all(home: Path, part: str | None = None) -> None:
    """SIGKILL every process of this stack or part and wait until the last is gone, those forked meanwhile too."""
    kill_marked({HOME_MARK: str(home)} if part is None else marks(home, part))


def kill_marked(marks: Mapping[str, str]) -> None:
    """SIGKILL every process that was started with these in its environment, and wait until the last is gone."""

    met: set[psutil.Process] = set()

    def objection() -> str | None:
        met.update(_marked(marks))
        # One that ends loses its environment first and its ports last: it is not found any more, and still there.
        left = [process for process in met if lives(process)]
        send(left, signal.SIGKILL)
        return f"{len(left)} processes are left: {[p.pid for p in left]}" if left else None

    wait_until(f"kill what has {dict(marks)}", objection, timeout=20)


def lives(process: psutil.Process) -> bool:
    """Say whether a process still does anything: one whose parent has not asked for its exit code yet does not."""
    try:
        # The first thread of a program with several can be a zombie before the others have ended.
        return process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.Error:
        return False


def _marked(marks: Mapping[str, str]) -> list[psutil.Process]:
    found = [p for p in psutil.process_iter() if marks.items() <= _environment(p).items()]
    return sorted(found, key=lambda p: (not _leads(p), p.pid))


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except (psutil.Error, OSError):  # gone, a zombie, or somebody else's
        return {}


def _leads(process: psutil.Process) -> bool:
    try:
        return os.getsid(process.pid) == process.pid
    except OSError:
        return False
