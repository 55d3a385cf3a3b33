"""What a span of a message says of it, by OpenTelemetry's conventions of today or before, or by Brave's tags."""

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

TOPICS: Final = (
    TOPIC,
    "messaging.destination",
    "messaging.source.name",
    "kafka.topic",
    "jms.topic",
    "jms.queue",
    "rabbit.queue",
)
KEYS: Final = (KEY, "messaging.kafka.message_key", "kafka.key")
_EXCHANGE: Final = ("rabbit.exchange", "rabbit.routing_key")
_PARTITIONS: Final = (
    PARTITION,
    "messaging.kafka.destination.partition",
    "messaging.kafka.source.partition",
    "messaging.kafka.partition",
)
_OFFSETS: Final = (OFFSET, "messaging.kafka.message.offset")
_GROUPS: Final = ("messaging.consumer.group.name", "messaging.kafka.consumer.group", "messaging.consumer_group")
_MESSAGE_IDS: Final = ("messaging.message.id", "messaging.message_id")
_TAKING: Final = re.compile(r"(^|[^a-z])(receive|recv|poll)($|[^a-z])", re.IGNORECASE)
_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_RETRY: Final = frozenset({"retry", "retries"})
_DEAD: Final = re.compile(r"\b(dlq|dlt|dlx|dead ?letter(s|ed)?( ?(topic|queue|exchange))?|parking ?lot)\b")
_FAILURES: Final = frozenset("error errors failed failure failures skipped rejected quarantine poison".split())


class Place(NamedTuple):
    """Where a record is in Kafka."""

    topic: str
    partition: str
    offset: str

    def __str__(self) -> str:
        return f"{self.topic}, partition {self.partition}, offset {self.offset}"


def topic_of(span: Span) -> str:
    """Return the topic, queue or exchange that a span sends to or reads from; "" where nothing tells.

    A span's name tells nothing: `send email` names no topic, and Zipkin lower-cases it.
    """
    if exchange := [value for value in map(span.tags.get, _EXCHANGE) if value]:
        return ":".join(exchange)
    if named := _first(span, TOPICS):
        return named
    if span.remote_service and span.remote_service.startswith("kafka/"):
        return span.remote_service.removeprefix("kafka/")
    return ""


def searches_for(topic: str) -> Iterator[dict[str, str]]:
    """Go through the tags by which traces that have to do with a topic are found, those of today first."""
    yield from ({name: topic} for name in TOPICS)
    exchange, _, routing_key = topic.partition(":")
    if routing_key:
        yield dict(zip(_EXCHANGE, (exchange, routing_key), strict=True))
    else:
        yield from ({name: topic} for name in _EXCHANGE)


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


def key_of(span: Span) -> tuple[str, str] | None:
    """Return the name and the value of the tag that has the key of a span's message."""
    return next(((name, span.tags[name]) for name in KEYS if span.tags.get(name)), None)


def message_of(span: Span) -> object | None:
    """Return what tells the one message that a span is about from others, as far as it says: its id or its place."""
    return _first(span, _MESSAGE_IDS) or place_of(span)


def reads(span: Span) -> bool:
    """Tell whether a span takes a message or handles one: a poll of several records may be a CLIENT's."""
    return span.kind == "CONSUMER" or (span.kind == "CLIENT" and bool(topic_of(span)) and only_receives(span))


def settles(span: Span) -> bool:
    """Tell whether a span commits an offset or acknowledges a message."""
    return span.tags.get("messaging.operation.type") == "settle"


def is_of_many(span: Span) -> bool:
    """Tell whether a span is about several messages, of which there may be one."""
    return place_of(span) is None and "messaging.batch.message_count" in span.tags


def is_poll_of_many(span: Span) -> bool:
    """Tell whether a consumer's span is about a poll, and not about one record."""
    return only_receives(span) and is_of_many(span)


def only_receives(span: Span) -> bool:
    """Tell whether a consumer's span is about taking a record, and not about handling it."""
    kind = span.tags.get("messaging.operation.type") or span.tags.get("messaging.operation") or span.name
    return _TAKING.search(kind) is not None


def linked_from(span: Span) -> Iterator[tuple[str, str]]:
    """Go through the links of a span, each as (trace id, span id)."""
    for name, value in span.tags.items():
        if name.startswith("otlp.link.") and len(ids := value.split("|", 2)) == 3:
            yield ids[0], ids[1]


def is_retry(topic: str) -> bool:
    """Tell whether messages wait in a topic to be tried again, by its name."""
    return not _RETRY.isdisjoint(_words(topic))


def is_dead_letters(topic: str, *, after_failure: bool = False) -> bool:
    """Tell whether a topic keeps what could not be handled, by its name.

    `error` and its like may be an ordinary topic's name: such a one counts for what is sent after a failure only.
    """
    words = _words(topic)
    return _DEAD.search(" ".join(words)) is not None or (after_failure and not _FAILURES.isdisjoint(words[-1:]))


def _words(topic: str) -> list[str]:
    """Return the words of a name, by its dots, dashes, digits and capitals: OrdersDLQ is orders and dlq."""
    return [word.lower() for word in _WORDS.findall(topic)]


def _first(span: Span, names: tuple[str, ...]) -> str | None:
    return next((value for value in map(span.tags.get, names) if value), None)
