"""What a span of a message says of it, by the semantic conventions of today, by older ones, or by its name."""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from journey.trace import Span

TOPIC: Final = "messaging.destination.name"
PARTITION: Final = "messaging.destination.partition.id"
OFFSET: Final = "messaging.kafka.offset"
KEY: Final = "messaging.kafka.message.key"
# When a message that failed is to be tried again: on the span that failed, set by eventbus.
DUE: Final = "journey.retry.due"

TOPICS: Final = (TOPIC, "messaging.destination", "messaging.source.name")
_PARTITIONS: Final = (
    PARTITION,
    "messaging.kafka.destination.partition",
    "messaging.kafka.source.partition",
    "messaging.kafka.partition",
)
_OFFSETS: Final = (OFFSET, "messaging.kafka.message.offset")
_GROUPS: Final = ("messaging.consumer.group.name", "messaging.kafka.consumer.group", "messaging.consumer_group")
_MESSAGE_IDS: Final = ("messaging.message.id", "messaging.message_id")
_VERBS: Final = "send|publish|produce|receive|recv|poll|process|consume|deliver"
_NAME: Final = re.compile(rf"(?:(?:{_VERBS}) (\S+)|(\S+) (?:{_VERBS}))", re.IGNORECASE)
_RETRY: Final = re.compile(r"(^|[._-])retry([._-].*)?$", re.IGNORECASE)
_DEAD: Final = re.compile(r"(^|[._-])(dlq|dlt|dead[._-]?letters?([._-](topic|queue))?)$", re.IGNORECASE)


class Place(NamedTuple):
    """Where a record is in Kafka."""

    topic: str
    partition: str
    offset: str

    def __str__(self) -> str:
        return f"{self.topic}, partition {self.partition}, offset {self.offset}"


def topic_of(span: Span) -> str:
    """Return the topic that a span sends to or reads from; "" where nothing tells."""
    if named := _first(span, TOPICS):
        return named
    if span.remote_service and span.remote_service.startswith("kafka/"):
        return span.remote_service.removeprefix("kafka/")
    match = _NAME.fullmatch(span.name)
    return (match[1] or match[2]) if match else ""


def place_of(span: Span) -> Place | None:
    """Return the place of the one record that a span is about, as far as it says."""
    topic, partition, offset = topic_of(span), _first(span, _PARTITIONS), _first(span, _OFFSETS)
    for message in map(span.tags.get, _MESSAGE_IDS):  # stock instrumentations write topic.partition.offset
        if message and (match := re.fullmatch(rf"{re.escape(topic)}\.(\d+)\.(\d+)", message)):
            partition, offset = partition or match[1], offset or match[2]
    return Place(topic, partition, offset) if topic and partition and offset else None


def partition_of(span: Span) -> str | None:
    """Return the partition that a span names."""
    return _first(span, _PARTITIONS)


def group_of(span: Span) -> str | None:
    """Return the consumer group that a span names."""
    return _first(span, _GROUPS)


def only_receives(span: Span) -> bool:
    """Tell whether a consumer's span is about taking a record, and not about handling it."""
    kind = span.tags.get("messaging.operation.type") or span.tags.get("messaging.operation") or span.name
    return re.search(r"\b(receive|recv|poll)\b", kind, re.IGNORECASE) is not None


def linked_from(span: Span) -> Iterator[tuple[str, str]]:
    """Go through the links of a span, each as (trace id, span id)."""
    for name, value in span.tags.items():
        if name.startswith("otlp.link.") and len(ids := value.split("|", 2)) == 3:
            yield ids[0], ids[1]


def is_retry(topic: str) -> bool:
    """Tell whether messages wait in a topic to be tried again, by its name."""
    return _RETRY.search(topic) is not None


def is_dead_letters(topic: str) -> bool:
    """Tell whether a topic keeps what could not be handled, by its name."""
    return _DEAD.search(topic) is not None


def _first(span: Span, names: tuple[str, ...]) -> str | None:
    return next((value for value in map(span.tags.get, names) if value), None)
