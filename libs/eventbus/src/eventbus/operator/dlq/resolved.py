"""Which dead letters have been dealt with: a compacted topic beside theirs, as Kafka cannot delete single records."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

# A letter's partition and offset.
Position = tuple[int, int]


class Resolution(StrEnum):
    """What was done with a letter."""

    REDRIVEN = "redriven"
    PURGED = "purged"


@dataclass(frozen=True)
class Resolved:
    """The note that a letter has been dealt with.

    It holds for a letter with that *timestamp* (milliseconds) only: in a topic that was deleted and made again, another
    letter may have the same offset.
    """

    resolution: Resolution
    at: str
    timestamp: int

    @classmethod
    def now(cls, resolution: Resolution, timestamp: int) -> "Resolved":
        """Return the mark of something done now."""
        return cls(resolution, datetime.now(UTC).isoformat(timespec="seconds"), timestamp)

    def encode(self) -> bytes:
        """Return the value of its record."""
        return json.dumps({"deed": self.resolution, "at": self.at, "timestamp": self.timestamp}).encode()


def key_of(position: Position) -> bytes:
    """Return the key of the record that marks the letter at *position*."""
    return b"%d:%d" % position


def decode(key: bytes | None, value: bytes | None) -> tuple[Position, Resolved | None] | None:
    """Return which letter a record marks and how (None: the mark is taken back); None if it is no mark."""
    try:
        partition, offset = (key or b"").split(b":")
        position = int(partition), int(offset)
        if value is None:
            return position, None
        mark = json.loads(value)
        return position, Resolved(Resolution(mark["deed"]), str(mark["at"]), int(mark["timestamp"]))
    except (ValueError, KeyError, TypeError):
        return None
