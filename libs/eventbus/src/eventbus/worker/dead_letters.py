"""Where messages go that can never be handled: kept whole, with the reason."""

import logging
from collections.abc import Iterable
from datetime import timedelta

from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import MessageSizeTooLargeError

from eventbus import kafka
from eventbus.cloudevents import Headers
from eventbus.errors import describe, error_type
from eventbus.own_attributes import ATTEMPTS, CONSUMER_GROUP, ERROR_MESSAGE, ERROR_TYPE, LEFT_OUT
from eventbus.process.patience import Patience
from eventbus.worker.cut import cut
from eventbus.worker.origin import Origin, without_retry

log = logging.getLogger(__name__)

# Somebody has to look at them: after holidays there is time left.
RETENTION = timedelta(days=30)
# What is set aside is its record with further headers, and uncompressed: what fitted into a topic must fit there too.
ROOM = {"max.message.bytes": str(8 * 1024 * 1024)}
TOPIC_SETTINGS = {**kafka.kept_for(RETENTION), **ROOM}
# Kafka cannot delete single records: which letters have been resolved is a note in a topic beside theirs.
RESOLVED_TOPIC_SETTINGS = {"cleanup.policy": "compact"}
MAX_BYTES = 100 * 1024 * 1024
SEND_TIMEOUT_S = 10

KeptHeaders = list[tuple[str, bytes | None]]

_TRACE_HEADERS = ("traceparent", "tracestate", "baggage")


def topic_of(group: str) -> str:
    """Return the dead letter topic of a consumer group."""
    return f"{group}.dlq"


def resolved_topic_of(dead_letter_topic: str) -> str:
    """Return the topic that remembers which letters of *dead_letter_topic* have been redriven or purged."""
    return f"{dead_letter_topic}.done"


class DeadLetters:
    """Keep the messages that one consumer group cannot handle.

    Key, value and headers stay as they were, unless the topic does not take so much. A trace header is kept as
    ``dlq.original-<name>``, since the letter itself belongs to the trace of its failed processing; further headers say
    where it came from and what was wrong.
    """

    def __init__(self, producer: AIOKafkaProducer, *, group: str, patience: Patience) -> None:
        self._producer = producer
        self._group = group
        self._patience = patience

    async def keep(self, record: ConsumerRecord[bytes, bytes], origin: Origin, error: Exception) -> None:
        """Store *record* as a dead letter; when this returns, the broker has acknowledged it.

        What is larger than the topic takes is kept without its value: see `cut`. Raises another KafkaError, or
        TimeoutError, where it cannot be stored: the producer is of no use any more (aiokafka #1017).
        """
        reason = describe(error)
        about = {
            CONSUMER_GROUP: self._group,
            ATTEMPTS: str(origin.tries + 1),
            ERROR_TYPE: error_type(error),
            ERROR_MESSAGE: reason,
        }
        headers = origin.headers("dlq") + [(name, value.encode()) for name, value in about.items()]
        try:
            await self._send(record.key, record.value, _renamed(record.headers), headers)
        except MessageSizeTooLargeError:
            # Where letters were sent to this partition before, the broker now misses the number of the one that it has
            # refused (OutOfOrderSequenceNumber): then this is done once more, by the next producer.
            short = cut(record)
            await self._send(short.key, None, _renamed(short.headers), [*headers, *short.about])
        log.error(
            "dead letter",
            extra={
                "topic": origin.topic,
                "partition": origin.partition,
                "offset": origin.offset,
                "tries": origin.tries + 1,
                "error": type(error).__name__,
                "reason": reason,
            },
        )

    async def _send(self, key: bytes | None, value: bytes | None, kept: KeptHeaders, added: Headers) -> None:
        # aiokafka refuses a record that has neither key nor value.
        key = b"" if key is None and value is None else key
        async with self._patience.bounded(SEND_TIMEOUT_S, finish=True):
            future = await self._producer.send(topic_of(self._group), value, key=key, headers=[*kept, *added])
        await self._patience.acknowledged("dead letters", future)


def _renamed(headers: Iterable[tuple[str, bytes | None]]) -> KeptHeaders:
    """Return the headers that a message had at its origin, those of its trace under another name."""
    return [
        (f"dlq.original-{name}" if name in _TRACE_HEADERS else name, value)
        for name, value in without_retry(headers)
        if name != LEFT_OUT
    ]
