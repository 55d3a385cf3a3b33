"""What a run uses of the machine, and what others use of it meanwhile."""

import contextlib
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
from stack import processes

MIB = 2**20
# With more than this share of the machine used by others, a run is marked.
DISTURBED_FROM = 0.1


@dataclass(frozen=True)
class Usage:
    """CPU seconds so far and MiB of memory, by part; what this process and its load, and the whole machine, used."""

    at: float
    cpu: Mapping[str, float]
    memory: Mapping[str, float]
    bench: float
    machine: float

    def cpu_since(self, before: "Usage", parts: Collection[str]) -> float:
        """CPU seconds that these parts have used since *before*."""
        return sum(self.cpu[part] - before.cpu.get(part, 0.0) for part in parts)

    def foreign_since(self, before: "Usage") -> float:
        """The share of the machine that others have used since *before*."""
        ours = self.cpu_since(before, self.cpu) + self.bench - before.bench
        return (self.machine - before.machine - ours) / ((self.at - before.at) * (psutil.cpu_count() or 1))


def look(home: Path) -> Usage:
    """Look at every part that runs in a stack's folder, with all of its processes."""
    cpu: dict[str, float] = {}
    memory: dict[str, float] = {}
    for part, leader in processes.leaders(home).items():
        for process in [leader, *leader.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess), process.oneshot():
                times = process.cpu_times()
                cpu[part] = cpu.get(part, 0.0) + times.user + times.system
                memory[part] = memory.get(part, 0.0) + process.memory_info().rss / MIB
    own = psutil.Process().cpu_times()
    return Usage(time.monotonic(), cpu, memory, sum(own[:4]), _machine())


def _machine() -> float:
    # Without interrupts, which belong to everybody's network and disk.
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system + getattr(times, "steal", 0.0))
