"""A worker's readiness and its sign of life, visible from outside as a small file."""

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path

log = logging.getLogger(__name__)

BEAT_EVERY_S = 1.0


class Status:
    """Keep ``{"ready": bool, "reason": str, "at": time}`` in a file, replaced atomically at each change and each beat.

    The worker is ready once the service and all *parts* have said that they are fine, while none of them is in trouble.
    A time (RFC 3339, UTC) that is not of the last seconds says that the process hangs or is gone.
    """

    def __init__(self, file: Path, *parts: str) -> None:
        self._file = file
        self._troubles = {part: "starting" for part in ("service", *parts)}
        self.beat()

    def trouble(self, part: str, reason: str) -> None:
        """Note that *part* cannot work at present, and why."""
        if self._troubles.get(part) != reason:
            self._troubles[part] = reason
            log.warning("not ready", extra={"part": part, "reason": reason})
            self.beat()

    def fine(self, part: str) -> None:
        """Note that *part* works."""
        if self._troubles.pop(part, None) is not None:
            self.beat()
            if not self._troubles:
                log.info("ready")

    def in_trouble(self, part: str) -> bool:
        """Tell whether a part is in trouble whose name begins with *part*."""
        return any(each.startswith(part) for each in self._troubles)

    def beat(self) -> None:
        """Write the file: to be called every second by what must not hang."""
        reason = "; ".join(f"{part}: {why}" for part, why in self._troubles.items())
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        draft = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            draft.write_text(json.dumps({"ready": not self._troubles, "reason": reason, "at": at}))
            draft.replace(self._file)
        except OSError as error:  # a full disk: the file grows old, which says enough, and the work may go on
            log.warning("the status cannot be written", extra={"error": type(error).__name__})
