"""Where messages wait that may succeed later: one topic a group, one constant delay, so that they come due in order."""

import logging
import time

from aiokafka import AIOKafkaProducer, ConsumerRecord

from eventbus.errors import describe
from eventbus.process.patience import Patience
from eventbus.worker.key_order import KeyWaits
from eventbus.worker.origin import Origin, retry_headers, without_retry

log = logging.getLogger(__name__)

SEND_TIMEOUT_S = 10


def topic_of(group: str) -> str:
    """Return the retry topic of a consumer group."""
    return f"{group}.retry"


class Retry:
    """Set messages of one consumer group aside until they are due, *tries* times at most.

    A message that waits does not hold up those behind it: events with one key may change their order, unless their
    `KeyOrder` is kept.
    """

    def __init__(
        self, producer: AIOKafkaProducer, *, group: str, delay_s: float, tries: int, patience: Patience
    ) -> None:
        self._producer = producer
        self.topic = topic_of(group)
        self.delay_s = delay_s
        self.tries = tries
        self._patience = patience

    async def later(self, record: ConsumerRecord[bytes, bytes], origin: Origin, error: Exception) -> float:
        """Have the message tried after the delay; when this returns, the broker has acknowledged it.

        One that has not been tried, for KeyWaits, loses no try. Returns when it is due, in seconds since the epoch.

        Raises MessageSizeTooLargeError if the topic does not take so large a message; another KafkaError or
        TimeoutError where it cannot: the producer is of no use any more (aiokafka #1017).
        """
        is_tried = not isinstance(error, KeyWaits)
        tries = origin.tries + is_tried
        due = time.time() + self.delay_s
        headers = without_retry(record.headers) + retry_headers(origin, tries=tries, due=due)
        async with self._patience.bounded(SEND_TIMEOUT_S, finish=True):
            future = await self._producer.send(self.topic, record.value, key=record.key, headers=headers)
        await self._patience.acknowledged("retry", future)
        log.warning(
            "failed, to be tried again later" if is_tried else "waits for an earlier message of its key",
            extra={
                "topic": origin.topic,
                "partition": origin.partition,
                "offset": origin.offset,
                "tries": tries,
                "of": self.tries,
                "again_in_s": self.delay_s,
                "error": type(error).__name__,
                "reason": describe(error),
            },
        )
        return due
