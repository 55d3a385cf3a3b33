"""The load: orders from a Go program, which is as precise at 200 orders a second as the clock is."""

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from stack import StackError
from stack.fetch.collector import environment
from stack.fetch.tools import go

SOURCES = Path(__file__).resolve().parent / "loadgen"
ACCEPTED = 202
# An answer may take a minute.
LONGEST_S = 1800


@dataclass(frozen=True)
class Posted:
    """An order that was posted. Times are nanoseconds: *due* since the epoch, *took* from then to the answer."""

    id: str
    trace_id: str
    due: int
    took: int
    status: int

    @property
    def accepted(self) -> bool:
        return self.status == ACCEPTED

    @property
    def caller(self) -> str:
        """The span id that the caller sent as the parent."""
        return self.trace_id[:16]


class Load:
    """Posts orders to one address."""

    def __init__(self, program: Path, port: int) -> None:
        self._program = program
        self._address = f"127.0.0.1:{port}"

    def closed(self, prefix: str, orders: int, connections: int) -> list[Posted]:
        """Post orders, each as soon as a connection is free."""
        return self._run("closed", orders, connections, prefix)

    def open(self, prefix: str, rate: int, seconds: int) -> list[Posted]:
        """Post orders, each at its intended time, from which on it is timed."""
        return self._run("open", rate, seconds, prefix)

    def _run(self, mode: str, first: int, second: int, prefix: str) -> list[Posted]:
        command = [str(self._program), mode, str(first), str(second), self._address, prefix]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=LONGEST_S)
        return [_posted(*line.split()) for line in done.stdout.splitlines()]


def _posted(id: str, trace_id: str, due: str, took: str, status: str) -> Posted:
    return Posted(id, trace_id, int(due), int(took), int(status))


def build(downloads: Path) -> Path:
    """Return the load generator, compiled with the Go that the Collector is compiled with."""
    sources = b"".join(file.read_bytes() for file in sorted(SOURCES.iterdir()))
    program = downloads / "bench" / f"loadgen-{hashlib.sha256(sources).hexdigest()[:12]}"
    if not program.exists():
        program.parent.mkdir(parents=True, exist_ok=True)
        new = program.with_suffix(".new")
        _go(downloads, ["build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", str(new), "."])
        new.rename(program)
    return program


def _go(downloads: Path, arguments: Sequence[str]) -> None:
    command = [str(go(downloads)), *arguments]
    # A cache of its own: that of the Collector's build is removed at any time.
    caches = {"GOCACHE": str(downloads / "bench" / "go-cache"), "GOFLAGS": ""}
    done = subprocess.run(
        command, cwd=SOURCES, env=environment(downloads) | caches, capture_output=True, text=True, timeout=600
    )
    if done.returncode:
        raise StackError(f"the load generator cannot be built:\n{done.stderr}")
