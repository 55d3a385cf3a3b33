"""The worker loop: one record at a time, from the topic to its handler, at least once."""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import CancelledError
from dataclasses import replace

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka_otel import process_span
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import Span

from eventbus.cloudevents import decode
from eventbus.dead_letters import DeadLetters
from eventbus.errors import Poison, Transient, Unavailable, describe
from eventbus.membership import Fenced, Membership
from eventbus.not_due import NotDue
from eventbus.offsets import Offsets
from eventbus.origin import Origin
from eventbus.outage import Cause, WrongTables, cause_of
from eventbus.patience import Patience, Stopped, backoff
from eventbus.retry import Retry
from eventbus.spans import mark_due, mark_failed, mark_unfinished, note_failure
from eventbus.subscription import Bench, Outcome, Subscription, by_type
from eventbus.unfinished import Unfinished, WorkerKilled
from eventbus.watchdog import Progress

log = logging.getLogger(__name__)

FINISH_BEFORE_REVOCATION_S = 5
# A server that restarts may be back before anybody looks. A message that ends its connection so often does it itself.
BREAKS_OFF_TIMES = 3
# What a thread cannot hand over as it is: of the first nothing would arrive, the others would end this worker.
_LOST_ON_THE_WAY = (StopIteration, CancelledError, asyncio.CancelledError, GeneratorExit, SystemExit)


class Worker:
    """Hand each record of the subscribed topics, and of the group's retry topic when it is due, to its handler.

    Poison goes to the dead letters at once, what fails for another reason to the retry topic until it has had its
    tries; while infrastructure is away the same record is tried forever. The offset is committed after the work is
    durable and its spans are exported, at most every 200 ms and at stop; what is repeated after a crash, the inbox
    recognises.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        subscriptions: Sequence[Subscription],
        *,
        bench: Bench,
        dead_letters: DeadLetters,
        retry: Retry,
        patience: Patience,
        membership: Membership,
        progress: Progress,
        unfinished: Unfinished,
        before: Callable[[int], None],
        after_commit: Callable[[], None],
    ) -> None:
        self._consumer = consumer
        self._subscriptions = by_type(subscriptions)
        self._types = {name: each.event_type for name, each in self._subscriptions.items()}
        self._bench = bench
        self._dead_letters = dead_letters
        self._retry = retry
        self._patience = patience
        self._membership = membership
        self._member_id: str | None = None
        self._progress = progress
        self._unfinished = unfinished
        self._before = before
        self._after_commit = after_commit
        self._in_hand = asyncio.Lock()
        self._offsets = Offsets(consumer, bench.spans, patience.status)
        self._not_due = NotDue(consumer, topic=retry.topic, delay_s=retry.delay_s)
        self._wait: asyncio.Timeout | None = None

    @property
    def topics(self) -> list[str]:
        """The topics that are read."""
        return sorted({*(each.topic for each in self._types.values()), self._retry.topic})

    async def run(self) -> None:
        """Work until the process is to stop: the record in hand is finished, its offset committed.

        Raises Fenced, and KafkaError where this consumer is of no use any more.
        """
        self._consumer.subscribe(self.topics, listener=_FinishBeforeRevocation(self))
        interrupt = asyncio.create_task(self._interrupt_wait_at_stop())
        self._patience.status.fine("worker")
        try:
            while not self._patience.stop.is_set():
                if self._membership.fenced:
                    raise Fenced
                if record := await self._next_record():
                    async with self._in_hand:
                        await self._process(record)
                if (due := self._offsets.due_at) is not None and asyncio.get_running_loop().time() >= due:
                    await self.commit()
        except Stopped:
            log.info("stopping with a record unfinished: it is handled after the next start")
        finally:
            interrupt.cancel()
            await self.commit()

    async def _next_record(self) -> ConsumerRecord[bytes, bytes] | None:
        """Return the next record that is due, or None where stop or a due commit comes first.

        Without a span: that of a record is opened when its work begins, and has ended before its offset is committed.
        """
        self._not_due.resume()
        alarms = [at for at in (self._not_due.next_at, self._offsets.due_at) if at is not None]
        try:
            async with asyncio.timeout_at(min(alarms, default=None)) as self._wait:
                with suppress_instrumentation():
                    record = await self._consumer.getone()
        except TimeoutError:
            return None
        finally:
            self._wait = None
        return None if self._not_due.put_back(record) else record

    async def _interrupt_wait_at_stop(self) -> None:
        await self._patience.stop.wait()
        self._interrupt_wait()
        # Who has to stop may be killed for being slow: that is no fault of the record in hand.
        await asyncio.to_thread(self._unfinished.strike_off)

    def _interrupt_wait(self) -> None:
        if self._wait is not None and not self._wait.expired():
            self._wait.reschedule(asyncio.get_running_loop().time())

    async def _process(self, record: ConsumerRecord[bytes, bytes]) -> None:
        """Work on a record inside its span. Raises Stopped, which is no error of the record."""
        stopped = None
        with process_span(record, self._consumer) as span, self._progress.in_hand():
            try:
                await self._work_on(record, span)
            except Stopped as error:
                mark_unfinished(span)
                stopped = error
        if stopped:
            raise stopped
        self._offsets.finished(record)

    async def _work_on(self, record: ConsumerRecord[bytes, bytes], span: Span) -> None:
        origin = Origin.of(record)
        about = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        try:
            outcome = await self._handle(record, origin.tries + 1, about, span)
        except (Stopped, WrongTables):
            raise
        except Exception as error:  # the one place that decides between retry and dead letter: nothing is skipped
            mark_failed(span, error)
            if isinstance(error, WorkerKilled):
                origin = replace(origin, tries=origin.tries + error.deaths - 1)
            if isinstance(error, Poison) or origin.tries + 1 >= self._retry.tries:
                await self._dead_letters.keep(record, origin, error)
            else:
                await self._try_later(record, origin, error, span)
            return
        if outcome is Outcome.DUPLICATE:
            span.set_attribute("journey.duplicate", True)
        log.info(outcome.value, extra=about)

    async def _try_later(
        self, record: ConsumerRecord[bytes, bytes], origin: Origin, error: Exception, span: Span
    ) -> None:
        try:
            mark_due(span, await self._retry.later(record, origin, error))
        except MessageSizeTooLargeError:  # it cannot wait there: this was its last try
            await self._dead_letters.keep(record, origin, error)

    async def _handle(
        self, record: ConsumerRecord[bytes, bytes], attempt: int, about: dict[str, object], span: Span
    ) -> Outcome:
        """Apply the subscription of the record's message, again and again while infrastructure is away.

        Raises Poison for a record that cannot be read or has killed its workers, whatever else the handler raises,
        WrongTables, and Stopped if the handler does not return soon after a stop.
        """
        database, broken_off = self._bench.database, 0
        may_be_away: tuple[type[Exception], ...] = (Unavailable, *database.errors)

        def apply() -> Outcome:
            with self._unfinished.delivery(record):
                message = decode(record, self._types)
                about.update(event_id=message.id, key=message.event.key)
                try:
                    self._before(attempt)
                    return self._subscriptions[message.event.type].apply(self._bench, message)
                except _LOST_ON_THE_WAY as error:
                    raise Transient(f"the handler raised {type(error).__name__} {describe(error)}") from error

        for delay in backoff():
            try:
                with self._progress.working():
                    outcome = await self._patience.finished("worker", asyncio.create_task(asyncio.to_thread(apply)))
            except may_be_away as error:
                cause = await asyncio.to_thread(cause_of, error, database)
                broken_off += cause is Cause.BROKEN_OFF
                if cause is Cause.MESSAGE or broken_off > BREAKS_OFF_TIMES:
                    raise
                note_failure(span, error)
                reason = describe(error)
                log.warning("cannot work, trying again", extra={**about, "retry_in_s": delay, "reason": reason})
                self._patience.status.trouble("worker", f"{reason}, trying again")
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
        self._not_due.forget_pauses()
        self._unfinished.assigned()

    async def commit(self) -> None:
        """Commit the offsets of finished records."""
        await self._offsets.commit()


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
