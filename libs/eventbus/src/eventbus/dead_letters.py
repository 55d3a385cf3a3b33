"""Where messages go that can never be handled: kept whole, with the reason."""

import logging
from datetime import timedelta

from aiokafka import AIOKafkaProducer, ConsumerRecord

from eventbus import kafka
from eventbus.errors import describe
from eventbus.origin import Origin, without_retry
from eventbus.patience import Patience

log = logging.getLogger(__name__)

# Somebody has to look at them: after holidays there is time left.
RETENTION = timedelta(days=30)
# What is set aside is its record with further headers, and uncompressed: what fitted into a topic must fit there too.
ROOM = {"max.message.bytes": str(8 * 1024 * 1024)}
TOPIC_SETTINGS = {**kafka.kept_for(RETENTION), **ROOM}
MAX_BYTES = 100 * 1024 * 1024
SEND_TIMEOUT_S = 10

_TRACE_HEADERS = ("traceparent", "tracestate", "baggage")


def topic_of(group: str) -> str:
    """Return the dead letter topic of a consumer group."""
    return f"{group}.dlq"


class DeadLetters:
    """Keep the messages that one consumer group cannot handle.

    Key, value and headers stay as they were. A trace header is kept as ``dlq.original-<name>``, since the letter itself
    belongs to the trace of its failed processing; further headers say where it came from and what was wrong.
    """

    def __init__(self, producer: AIOKafkaProducer, *, group: str, patience: Patience) -> None:
        self._producer = producer
        self._group = group
        self._patience = patience

    async def keep(self, record: ConsumerRecord[bytes, bytes], origin: Origin, error: Exception) -> None:
        """Store *record* as a dead letter; when this returns, the broker has acknowledged it.

        Raises KafkaError or TimeoutError where it cannot: the producer is of no use any more (aiokafka #1017).
        """
        reason = describe(error)
        about = {
            "dlq.consumer-group": self._group,
            "dlq.attempts": str(origin.tries + 1),
            "dlq.error-type": type(error).__name__,
            "dlq.error-message": reason[:512],
        }
        headers = [
            (f"dlq.original-{name}" if name in _TRACE_HEADERS else name, value)
            for name, value in without_retry(record.headers)
        ]
        headers += origin.headers("dlq") + [(name, value.encode()) for name, value in about.items()]
        # aiokafka refuses a record that has neither key nor value.
        key = b"" if record.key is None and record.value is None else record.key

        async with self._patience.bounded(SEND_TIMEOUT_S):
            future = await self._producer.send(topic_of(self._group), record.value, key=key, headers=headers)
        await self._patience.acknowledged("dead letters", future)
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
