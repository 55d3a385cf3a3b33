from dataclasses import dataclass
from typing import Self

import psutil

from stack.parts import Part
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

    @classmethod
    def look(cls, part: Part, process: psutil.Process | None, settings: Settings) -> Self:
        """Look at one part: at its process first, then by its probe."""
        log = str(settings.log(part.name))
        ports = {name: getattr(settings, name) for name in part.ports}
        if process is None:
            return cls(part.name, "stopped", None, ports, log)
        reason = part.probe()
        return cls(part.name, "not ready" if reason else "ready", process.pid, ports, log, reason or "")
