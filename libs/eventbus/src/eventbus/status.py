"""A worker's readiness, visible from outside as a small file."""

import json
import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)


class Status:
    """Keep ``{"ready": bool, "reason": str}`` in a file, replaced atomically at each change.

    The worker is ready once the service and all *parts* have said that they are fine, while none of them is in trouble.
    """

    def __init__(self, file: Path, *parts: str) -> None:
        self._file = file
        self._troubles = {part: "starting" for part in ("service", *parts)}
        self._write()

    def trouble(self, part: str, reason: str) -> None:
        """Note that *part* cannot work at present, and why."""
        if self._troubles.get(part) != reason:
            self._troubles[part] = reason
            log.warning("not ready", extra={"part": part, "reason": reason})
            self._write()

    def fine(self, part: str) -> None:
        """Note that *part* works."""
        if self._troubles.pop(part, None) is not None:
            self._write()
            if not self._troubles:
                log.info("ready")

    def _write(self) -> None:
        reason = "; ".join(f"{part}: {why}" for part, why in self._troubles.items())
        draft = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        draft.write_text(json.dumps({"ready": not self._troubles, "reason": reason}))
        draft.replace(self._file)
