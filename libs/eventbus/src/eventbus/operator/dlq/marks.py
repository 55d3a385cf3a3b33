"""Which dead letters have been dealt with: a compacted topic beside theirs, as Kafka cannot delete single records."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

TOPIC_SETTINGS = {"cleanup.policy": "compact"}

# A letter's partition and offset.
Position = tuple[int, int]


def topic_of(dead_letter_topic: str) -> str:
    """Return the topic that remembers which letters of *dead_letter_topic* have been dealt with."""
    return f"{dead_letter_topic}.done"


class Deed(StrEnum):
    """What was done with a letter."""

    REDRIVEN = "redriven"
    PURGED = "purged"


@dataclass(frozen=True)
class Mark:
    """The note that a letter has been dealt with.

    It holds for a letter with that *timestamp* (milliseconds) only: in a topic that was deleted and made again, another
    letter may have the same offset.
    """

    deed: Deed
    at: str
    timestamp: int

    @classmethod
    def now(cls, deed: Deed, timestamp: int) -> "Mark":
        """Return the mark of something done now."""
        return cls(deed, datetime.now(UTC).isoformat(timespec="seconds"), timestamp)

    def encode(self) -> bytes:
        """Return the value of its record."""
        return json.dumps({"deed": self.deed, "at": self.at, "timestamp": self.timestamp}).encode()


def key_of(position: Position) -> bytes:
    """Return the key of the record that marks the letter at *position*."""
    return b"%d:%d" % position


def decode(key: bytes | None, value: bytes | None) -> tuple[Position, Mark | None] | None:
    """Return which letter a record marks and how (None: the mark is taken back); None where it is no mark."""
    try:
        partition, offset = (key or b"").split(b":")
        position = int(partition), int(offset)
        if value is None:
            return position, None
        mark = json.loads(value)
        return position, Mark(Deed(mark["deed"]), str(mark["at"]), int(mark["timestamp"]))
    except (ValueError, KeyError, TypeError):
        return None
