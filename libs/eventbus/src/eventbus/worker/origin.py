"""Where a message came from before it was set aside, and how often it was tried."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from eventbus.cloudevents import Headers
from eventbus.own_attributes import RETRY_ATTEMPT, RETRY_HEADER_DUE

# https://kafka.apache.org/documentation/#basic_ops_add_topic: no broker has a topic with a longer name.
MAX_TOPIC_LENGTH = 249
_INT64 = 1 << 63

_RETRY = "retry."


@dataclass(frozen=True)
class Origin:
    """The first topic of a message with its place there, and its tries so far (none before the first)."""

    topic: str
    partition: int
    offset: int
    timestamp: int  # milliseconds since the epoch
    tries: int = 0
    first_failed_at: str | None = None

    @classmethod
    def of(cls, record: Any) -> Self:
        """Read the origin of a consumed record: what its ``retry.*`` headers say, where all of them make sense."""
        known = dict(record.headers)
        try:
            return cls(
                topic=_topic(known["retry.original-topic"]),
                partition=_number(known["retry.original-partition"]),
                offset=_number(known["retry.original-offset"]),
                timestamp=_number(known["retry.original-timestamp"], at_least=-1),
                tries=_number(known[RETRY_ATTEMPT]),
                first_failed_at=datetime.fromisoformat(known["retry.first-failed-at"].decode()).isoformat(),
            )
        except (KeyError, ValueError, TypeError, AttributeError):
            # A record of an old format may have no time: Kafka writes that as -1.
            timestamp = -1 if record.timestamp is None else record.timestamp
            return cls(record.topic, record.partition, record.offset, timestamp)

    @property
    def failed_since(self) -> str:
        """When the message failed first: now, where it did not before (RFC 3339, UTC)."""
        return self.first_failed_at or datetime.now(UTC).isoformat()

    def headers(self, prefix: str) -> Headers:
        """Return place and time as headers that start with *prefix*."""
        place = {
            "original-topic": self.topic,
            "original-partition": str(self.partition),
            "original-offset": str(self.offset),
            "original-timestamp": str(self.timestamp),
            "first-failed-at": self.failed_since,
        }
        return [(f"{prefix}.{name}", value.encode()) for name, value in place.items()]


def due_of(record: Any) -> float:
    """Return when a record is to be tried, in seconds since the epoch; 0, at once, where no header says so."""
    try:
        return _number(dict(record.headers)[RETRY_HEADER_DUE]) / 1000
    except (KeyError, ValueError, TypeError):
        return 0.0


def _number(value: bytes | None, *, at_least: int = 0) -> int:
    number = int(value)  # type: ignore[arg-type]  # the callers catch a TypeError
    if not at_least <= number < _INT64:
        raise ValueError("out of range")
    return number


def _topic(value: bytes) -> str:
    topic = value.decode()
    if not 0 < len(topic) <= MAX_TOPIC_LENGTH:
        raise ValueError("no topic has such a name")
    return topic


def without_retry(headers: Iterable[tuple[str, bytes | None]]) -> list[tuple[str, bytes | None]]:
    """Return the headers that the message had at its origin."""
    return [(name, value) for name, value in headers if not name.startswith(_RETRY)]


def retry_headers(origin: Origin, *, tries: int, due: float) -> Headers:
    """Return the headers of a message that failed *tries* times and is due at *due* (seconds since the epoch)."""
    return [
        (RETRY_ATTEMPT, str(tries).encode()),
        (RETRY_HEADER_DUE, str(int(due * 1000)).encode()),
        *origin.headers("retry"),
    ]
