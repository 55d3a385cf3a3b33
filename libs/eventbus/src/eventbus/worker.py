"""The worker loop: one record at a time, from the topic to its handler, at least once."""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, KafkaError
from opentelemetry import trace
from opentelemetry.trace import Status as SpanStatus
from opentelemetry.trace import StatusCode

from eventbus.cloudevents import Message, decode
from eventbus.dead_letters import DeadLetters
from eventbus.errors import Poison
from eventbus.membership import Fenced, Membership
from eventbus.patience import Patience, Stopped, backoff
from eventbus.subscription import Bench, Outcome, Subscription

log = logging.getLogger(__name__)

COMMIT_EVERY_S = 0.2
FINISH_BEFORE_REVOCATION_S = 5
COMMIT_TIMEOUT_S = 2
COMMIT_AGAIN_AFTER_S = 2


class Worker:
    """Hand each record of the subscribed topics to its handler.

    The offset is committed after the work is durable, at most every 200 ms and at stop; what is repeated after a crash,
    the inbox recognises. Poison goes to the dead letters at once; anything else that fails is tried again for ever.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        subscriptions: Sequence[Subscription],
        *,
        bench: Bench,
        dead_letters: DeadLetters,
        patience: Patience,
        membership: Membership,
        after_commit: Callable[[], None],
    ) -> None:
        self._consumer = consumer
        self._subscriptions = {each.event_type.type: each for each in subscriptions}
        self._types = {each.event_type.type: each.event_type for each in subscriptions}
        self._bench = bench
        self._dead_letters = dead_letters
        self._patience = patience
        self._membership = membership
        self._member_id: str | None = None
        self._after_commit = after_commit
        self._in_hand = asyncio.Lock()
        self._done: dict[TopicPartition, int] = {}
        self._commit_due = 0.0
        self._wait: asyncio.Timeout | None = None

    async def run(self) -> None:
        """Work until the process is to stop: the record in hand is finished, its offset committed.

        Raises Fenced, and KafkaError where this consumer is of no use any more.
        """
        self._consumer.subscribe(
            sorted({each.topic for each in self._types.values()}), listener=_FinishBeforeRevocation(self)
        )
        interrupt = asyncio.create_task(self._interrupt_wait_at_stop())
        self._patience.status.fine("worker")
        try:
            while not self._patience.stop.is_set():
                if self._membership.fenced:
                    raise Fenced
                if record := await self._next_record():
                    async with self._in_hand:
                        await self._work_on(record)
                        self._done[TopicPartition(record.topic, record.partition)] = record.offset + 1
                if self._done and asyncio.get_running_loop().time() >= self._commit_due:
                    await self.commit()
        except Stopped:
            log.info("stopping with a record unfinished: it is handled after the next start")
        finally:
            interrupt.cancel()
            await self.commit()

    async def _next_record(self) -> ConsumerRecord[bytes, bytes] | None:
        """Return the next record, or None where stop or a due commit comes first.

        The call stays in this task (unlike asyncio.wait_for on Python 3.11), so the record's span is current here.
        """
        try:
            async with asyncio.timeout_at(self._commit_due if self._done else None) as self._wait:
                return await self._consumer.getone()
        except TimeoutError:
            return None
        finally:
            self._wait = None

    async def _interrupt_wait_at_stop(self) -> None:
        await self._patience.stop.wait()
        self._interrupt_wait()

    def _interrupt_wait(self) -> None:
        if self._wait is not None and not self._wait.expired():
            self._wait.reschedule(asyncio.get_running_loop().time())

    async def _work_on(self, record: ConsumerRecord[bytes, bytes]) -> None:
        about = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        try:
            message = decode(record, self._types)
            outcome = await self._handle(message, about)
        except Poison as poison:
            span = trace.get_current_span()
            span.set_status(SpanStatus(StatusCode.ERROR, str(poison)))
            span.set_attribute("error.type", type(poison).__name__)
            span.record_exception(poison)
            await self._dead_letters.keep(record, poison)
            return
        if outcome is Outcome.DUPLICATE:
            trace.get_current_span().set_attribute("journey.duplicate", True)
        log.info(outcome.value, extra={**about, "event_id": message.id, "key": message.event.key})

    async def _handle(self, message: Message, about: dict[str, object]) -> Outcome:
        """Apply the message's subscription until it succeeds; raise Poison where the handler says it never will."""
        subscription = self._subscriptions[message.event.type]
        for delay in backoff():
            try:
                outcome = await asyncio.to_thread(subscription.apply, self._bench, message)
            except Poison:
                raise
            except Exception as error:  # whatever else fails is retried: nothing is skipped
                trace.get_current_span().record_exception(error)
                log.warning(
                    "handling failed, trying again",
                    extra={**about, "event_id": message.id, "key": message.event.key, "retry_in_s": delay},
                    exc_info=error,
                )
                self._patience.status.trouble("worker", f"{type(error).__name__}, trying again")
            else:
                self._patience.status.fine("worker")
                self._after_commit()
                return outcome
            await self._patience.pause(delay)
        raise AssertionError("back-off has no end")

    async def finish_and_commit(self) -> None:
        """Wait for the record in hand and commit what is done."""
        async with self._in_hand:
            await self.commit()

    def joined(self) -> None:
        """Note under which id the group knows this consumer now."""
        # aiokafka has no public name for it.
        member_id = self._consumer._coordinator.member_id  # type: ignore[union-attr]
        if self._member_id not in (None, member_id):
            self._membership.taken()
            self._interrupt_wait()
        self._member_id = member_id

    async def commit(self) -> None:
        """Commit the offsets of finished records; what fails is tried again, unless the partitions are gone."""
        now = asyncio.get_running_loop().time
        self._commit_due = now() + COMMIT_EVERY_S
        assigned = self._consumer.assignment()
        offsets = {partition: offset for partition, offset in self._done.items() if partition in assigned}
        self._done = {}
        try:
            async with asyncio.timeout(COMMIT_TIMEOUT_S):
                if offsets:
                    await self._consumer.commit(offsets)
        except CommitFailedError:
            log.warning("offsets not committed after a rebalance: the inbox knows what is repeated")
        except (KafkaError, TimeoutError) as error:
            log.warning("offsets not committed", extra={"error": type(error).__name__})
            self._done = {**offsets, **self._done}
            self._commit_due = now() + COMMIT_AGAIN_AFTER_S
            self._patience.status.trouble("offsets", f"not committed: {type(error).__name__}")
            return
        self._patience.status.fine("offsets")


class _FinishBeforeRevocation(ConsumerRebalanceListener):
    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        try:
            async with asyncio.timeout(FINISH_BEFORE_REVOCATION_S):
                await self._worker.finish_and_commit()
        except TimeoutError:
            log.warning("partitions revoked with a record in hand", extra={"partitions": len(revoked)})

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._worker.joined()
        log.info("partitions assigned", extra={"partitions": sorted(f"{p.topic}/{p.partition}" for p in assigned)})
