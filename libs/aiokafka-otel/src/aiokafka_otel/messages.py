"""The attributes of one message: with what its operation has in common: all that is known when its span starts."""

from collections.abc import Mapping
from time import time
from typing import Any

from opentelemetry.semconv._incubating.attributes import messaging_attributes as messaging
from opentelemetry.util.types import AttributeValue

from aiokafka_otel.own_attributes import QUEUE_WAIT
from aiokafka_otel.texts import encodable

Bytes = bytes | bytearray | memoryview


def of_sent(
    common: Mapping[str, AttributeValue], value: Any, key: Any, serialized: bool, with_key: bool
) -> dict[str, AttributeValue]:
    """Return the attributes of a message to be sent; `serialized` says that its value goes out as it is."""
    own = {**common}
    if value is None:
        own[messaging.MESSAGING_KAFKA_MESSAGE_TOMBSTONE] = True
    elif serialized and isinstance(value, Bytes):
        own[messaging.MESSAGING_MESSAGE_BODY_SIZE] = len(value)
    if with_key and key is not None:
        own[messaging.MESSAGING_KAFKA_MESSAGE_KEY] = _text(key)
    return own


def of_received(common: Mapping[str, AttributeValue], record: Any, with_key: bool) -> dict[str, AttributeValue]:
    """Return the attributes of a record at its hand-over; the wait in the queue is never negative.

    A record that was not read from a broker, as in a test of a handler, need not know its offset, time and size.
    """
    own = {**common}
    offset, timestamp = record.offset, record.timestamp
    if offset is not None:
        own[messaging.MESSAGING_KAFKA_OFFSET] = offset
    if timestamp is not None and timestamp >= 0:
        own[QUEUE_WAIT] = max(0, int(time() * 1000) - timestamp)
    size = record.serialized_value_size
    if size is not None and size < 0:
        own[messaging.MESSAGING_KAFKA_MESSAGE_TOMBSTONE] = True
    elif size is not None:
        own[messaging.MESSAGING_MESSAGE_BODY_SIZE] = size
    if with_key and record.key is not None:
        own[messaging.MESSAGING_KAFKA_MESSAGE_KEY] = _text(record.key)
    return own


def _text(key: Any) -> str:
    return bytes(key).decode(errors="replace") if isinstance(key, Bytes) else encodable(str(key))
