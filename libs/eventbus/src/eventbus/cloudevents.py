"""CloudEvents 1.0 on Kafka records, binary content mode.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md#32-binary-content-mode
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Protocol

from pydantic import ValidationError

from eventbus.errors import Poison
from eventbus.event import Event

MAX_IDENTITY_LENGTH = 255

Headers = list[tuple[str, bytes]]


class Record(Protocol):
    """The parts of a consumed Kafka record that the mapping reads."""

    @property
    def headers(self) -> Iterable[tuple[str, bytes | None]]: ...
    @property
    def value(self) -> bytes | None: ...


@dataclass(frozen=True)
class Message:
    """An event as it arrived: its CloudEvents source and id, and the typed event."""

    source: str
    id: str
    event: Event

    @property
    def identity(self) -> str:
        """What makes this message the one it is: source and id together, in 255 characters at most.

        An id alone does not: it is unique for its source. Two pairs never have the same text, but by a collision of
        SHA-256, which stands for a pair that is too long or holds a NUL.
        """
        source = self.source.replace("%", "%25").replace(" ", "%20")  # the first space ends it, whatever an id holds
        identity = f"{source} {self.id}"
        if len(identity) > MAX_IDENTITY_LENGTH or "\0" in identity:
            return f"sha256:{sha256(identity.encode()).hexdigest()}"
        return identity


def headers_of(event: Event, *, event_id: str, source: str) -> Headers:
    """Return the attributes of *event* as Kafka headers, stamped with the present time (``ce_time``, RFC 3339, UTC)."""
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": event_id,
        "ce_source": f"/{source}",
        "ce_type": event.type,
        "ce_time": datetime.now(UTC).isoformat(),
        "content-type": "application/json",
    }
    return [(name, value.encode()) for name, value in attributes.items()]


def decode(record: Record, types: Mapping[str, type[Event]]) -> Message:
    """Return the event that *record* carries, as one of *types* (by ``ce_type``).

    Raises Poison if an attribute is missing or unreadable, the type unknown, or the value not valid for it. The text
    of the error names what is wrong and never quotes the value.
    """
    attributes = {name: value for name, value in record.headers if name.startswith("ce_")}
    if (version := _read(attributes, "ce_specversion")) != "1.0":
        raise Poison(f"ce_specversion is {version[:16]!r}: only 1.0 is understood")
    event_id, event_type = _read(attributes, "ce_id"), _read(attributes, "ce_type")
    source = _read(attributes, "ce_source")
    if event_type not in types:
        raise Poison(f"ce_type {event_type[:64]!r} is not known here")
    if record.value is None:
        raise Poison("the record has no value (a tombstone)")
    try:
        return Message(source, event_id, types[event_type].model_validate_json(record.value))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'value'}: {e['msg']}" for e in error.errors()[:5])
        raise Poison(f"not a valid {event_type}: {wrong}") from None


def _read(attributes: Mapping[str, bytes | None], name: str) -> str:
    value = attributes.get(name)
    if not value:
        raise Poison(f"the header {name} is missing")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise Poison(f"the header {name} is not UTF-8") from None
