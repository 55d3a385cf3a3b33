"""The worker loop: turns of records, from the topic to their handlers, at least once."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import takewhile
from time import monotonic

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation

from eventbus.database.outage import Cause, cause_of
from eventbus.errors import Poison, describe
from eventbus.outbox.outbox import Outbox
from eventbus.own_attributes import DUPLICATE
from eventbus.process.patience import Patience, Stopped, backoff
from eventbus.process.spans import mark_due, mark_failed, note_failure
from eventbus.process.watchdog import Progress
from eventbus.worker.dead_letters import DeadLetters
from eventbus.worker.delivery import RecordDelivery
from eventbus.worker.group import Group
from eventbus.worker.inbox import Inbox
from eventbus.worker.key_order import KeyOrder, KeyWaits
from eventbus.worker.lanes import Lane, Lanes, deal
from eventbus.worker.membership import Fenced
from eventbus.worker.not_due import NotDue
from eventbus.worker.offsets import Offsets
from eventbus.worker.retry import Retry
from eventbus.worker.subscription import Outcome, Resources, Subscription, by_type, may_be_outage
from eventbus.worker.unfinished import Unfinished, WorkerKilled

log = logging.getLogger(__name__)

FINISH_BEFORE_REVOCATION_S = 5
# A server that restarts may be back before anybody looks. A message that ends its connection so often does it itself.
BREAKS_OFF_TIMES = 3
# A turn takes what has been fetched, but no more than this, and begins no record after this time: others may wait for
# its transaction, a rebalance or a stop for its end.
TURN_RECORDS = 100
TURN_S = 0.1
_LOOK_AGAIN_AFTER_MS = 60_000

Turn = deque[RecordDelivery]


class Worker:
    """Hand the records of the subscribed topics, and of the group's retry topic when they are due, to their handlers.

    What was fetched is handled in turns: in order, or with *slots* so many at a time and the records of one key in
    order; one transaction for each slot. A record that fails costs only itself: poison goes to the dead letters at
    once, what fails for another reason to the retry topic until it has had its tries. While infrastructure is away the
    same turn is tried forever. The offset of a record is committed after its work and that of those before it is
    durable and their spans are exported, at most every 200 ms and at stop; what is repeated after a crash, the inbox
    recognises.
    """

    def __init__(self, group: Group, consumer: AIOKafkaConsumer, aside: AIOKafkaProducer, patience: Patience) -> None:
        config, database = group.config, group.database
        self.progress = Progress()
        self._consumer = consumer
        self._subscriptions = by_type(group.subscriptions)
        self._any_subscription = group.subscriptions[0]
        self._types = {name: each.event_type for name, each in self._subscriptions.items()}
        self._resources = Resources(
            database,
            Inbox(group.name),
            Outbox(group.name, config.outbox_limit()),
            effects_at_once=max(1, config.effects_at_once // config.worker_slots),  # of each slot
        )
        self._dead_letters = DeadLetters(aside, group=group.name, patience=patience)
        self._retry = Retry(
            aside, group=group.name, delay_s=config.retry_delay_s, tries=config.retry_tries, patience=patience
        )
        self._patience = patience
        self._membership = group.membership
        self._member_id: str | None = None
        self._unfinished = Unfinished(database, group.name, tries=config.retry_tries)
        self._key_order = KeyOrder(database, group.name, enabled=config.retry_order == "key")
        self._lanes = Lanes(config.worker_slots)
        self._offsets = Offsets(consumer, self._resources.spans, patience.status)
        self._not_due = NotDue(consumer, topic=self._retry.topic, delay_s=config.retry_delay_s)
        self._wait: asyncio.Timeout | None = None
        self._in_hand = asyncio.Lock()
        # What waits for its turn.
        self._fetched: Turn = deque()
        self._revocations = 0

    @property
    def topics(self) -> list[str]:
        """The topics that are read."""
        return sorted({*(each.topic for each in self._types.values()), self._retry.topic})

    async def run(self) -> None:
        """Work until the process is to stop: the record in hand is finished, its offset committed.

        Raises Fenced, and KafkaError if this consumer is of no use any more.
        """
        self._consumer.subscribe(self.topics, listener=_FinishBeforeRevocation(self))
        interrupt = asyncio.create_task(self._interrupt_wait_at_stop())
        self._patience.status.fine("worker")
        try:
            while not self._patience.stop.is_set():
                if self._membership.fenced:
                    raise Fenced
                if not self._fetched:
                    await self._fetch()
                async with self._in_hand:
                    if self._fetched and not self._patience.stop.is_set():
                        with self.progress.in_hand():
                            await self._take_a_turn()
                self._offsets.commit_if_due()
        except Stopped:
            log.info("stopping with a record unfinished: it is handled after the next start")
        finally:
            interrupt.cancel()
            await self.commit()

    async def _fetch(self) -> None:
        """Wait for records that are due, for a stop, or until a commit is due.

        Without a span: that of a record is opened when its work begins, and has ended before its offset is committed.
        """
        self._not_due.resume()
        alarms = [at for at in (self._not_due.next_at, self._offsets.due_at) if at is not None]
        seconds = min(alarms) - asyncio.get_running_loop().time() if alarms else 0.0
        timeout_ms = max(1, round(seconds * 1000)) if alarms else _LOOK_AGAIN_AFTER_MS
        try:
            async with asyncio.timeout(None) as self._wait:
                with suppress_instrumentation():
                    fetched = await self._consumer.getmany(timeout_ms=timeout_ms, max_records=TURN_RECORDS)
        except TimeoutError:
            return
        finally:
            self._wait = None
        for records in fetched.values():
            for record in takewhile(lambda each: not self._not_due.put_back(each), records):
                self._offsets.in_hand(record)
                self._fetched.append(RecordDelivery(record, self._consumer, self._types))

    async def _interrupt_wait_at_stop(self) -> None:
        await self._patience.stop.wait()
        self._interrupt_wait()
        # Who has to stop may be killed for being slow: that is no fault of the records in hand.
        await asyncio.to_thread(self._unfinished.strike_off)

    def _interrupt_wait(self) -> None:
        if self._wait is not None and not self._wait.expired():
            self._wait.reschedule(asyncio.get_running_loop().time())

    async def _take_a_turn(self) -> None:
        """Work on what was fetched until all that has begun is done, and while infrastructure is away.

        Raises WrongTables, and Stopped if a handler does not return soon after a stop, which is no error of a record.
        """
        revocations = self._revocations
        turn, self._fetched = self._fetched, deque()
        delays = backoff()
        try:
            is_away = True
            while turn and (is_away or any(each.begun for each in turn)):
                now, delay = self._together(turn), next(delays)
                with self.progress.working():
                    handling = asyncio.to_thread(self._handle, now, lambda: revocations == self._revocations)
                    lanes = await self._patience.finished("worker", asyncio.create_task(handling))
                # What is done in one lane is kept, whatever has become of the others.
                are_away = [await self._conclude(lane, error, turn, delay) for lane, error in lanes]
                if is_away := any(are_away):
                    await self._patience.pause(delay)
                else:
                    self._patience.status.fine("worker")
        except BaseException as error:
            for each in turn:
                each.end(error)
            raise
        if revocations == self._revocations:
            self._fetched = turn

    async def _conclude(self, lane: Lane, error: Exception | None, turn: Turn, delay: float) -> bool:
        """Take off *turn* what of *lane* needs no other try; return whether infrastructure is away.

        *error* is that for which nothing of the lane was kept.
        """
        first = lane[0]
        if error is None:
            for each in lane:
                if not each.ended:
                    continue
                if may_be_outage(each.error, self._resources.database):
                    first, error, each.error = each, each.error, None
                    break
                await self._settle(each)
                turn.remove(each)
            if error is None:
                return False
            blamed: RecordDelivery | None = first
        else:
            blamed = next((each for each in lane if each.error is error), first if len(lane) == 1 else None)
            for each in lane:
                each.outcome = each.error = None
        about = blamed or first
        if await self._is_away(error, about):
            self._tell_of_outage(error, about, delay)
            return True
        if blamed is first:
            blamed.error = error
            await self._settle(blamed)
            turn.remove(blamed)
        else:  # nothing of the lane was kept: whose error it is shows when each has a turn of its own
            for each in lane:
                each.alone = True
        return False

    def _together(self, turn: Turn) -> Sequence[RecordDelivery]:
        """Return the first of *turn*, and those behind it that can be handled in one go with it."""
        first = turn[0]
        if first.alone:
            return [first]
        kind = type(self._subscription_of(first))
        return list(takewhile(lambda each: not each.alone and type(self._subscription_of(each)) is kind, turn))

    def _subscription_of(self, delivery: RecordDelivery) -> Subscription:
        # A message of an unknown type fails before its step.
        return self._subscriptions.get(delivery.type) or self._any_subscription

    def _handle(
        self, now: Sequence[RecordDelivery], is_assigned: Callable[[], bool]
    ) -> Sequence[tuple[Lane, Exception | None]]:
        """Handle *now* in one go, in a thread; return its lanes, with the error for which nothing of one was kept."""
        until = monotonic() + TURN_S

        def go_on() -> bool:
            return monotonic() < until and is_assigned() and not self._patience.stop.is_set()

        def handle(lane: Lane) -> tuple[Lane, Exception | None]:
            deliveries = [(self._subscription_of(each), each) for each in lane]
            try:
                deliveries[0][0].turn(self._resources, deliveries, go_on)
            except Exception as error:  # it decides what becomes of the turn
                return lane, error
            return lane, None

        try:
            with self._unfinished.turn([each.record for each in now]) as together:
                free, held = self._key_order.sort(now[:together])
                slots = self._subscription_of(now[0]).slots(self._resources, self._lanes.slots)
                lanes = self._lanes.each(deal(free, slots), handle)
                return [(held, None), *lanes] if held else lanes
        except WorkerKilled as error:
            now[0].error = error
        except Exception as error:  # of the database, before anything was begun
            return [(now, error)]
        return [(now, None)]

    async def _is_away(self, error: Exception, delivery: RecordDelivery) -> bool:
        """Tell whether what every message needs is away, rather than this message or its handler to blame."""
        database = self._resources.database
        if not may_be_outage(error, database):
            return False
        cause = await asyncio.to_thread(cause_of, error, database)
        delivery.broken_off += cause is Cause.BROKEN_OFF
        return cause is not Cause.MESSAGE and delivery.broken_off <= BREAKS_OFF_TIMES

    def _tell_of_outage(self, error: Exception, delivery: RecordDelivery, delay: float) -> None:
        reason = describe(error)
        with delivery.handling() as span:
            note_failure(span, error)
            log.warning("cannot work, trying again", extra={**delivery.about, "retry_in_s": delay, "reason": reason})
        self._patience.status.trouble("worker", f"{reason}, trying again")

    async def _settle(self, delivery: RecordDelivery) -> None:
        """Do what is left to do for a record that needs no other try, and end its span."""
        if delivery.error is not None:
            with delivery.handling():
                await self._set_aside(delivery, delivery.error)
        elif delivery.outcome is not None:
            if delivery.outcome is Outcome.DUPLICATE:
                delivery.span.set_attribute(DUPLICATE, True)
            with trace.use_span(delivery.span):
                log.info(delivery.outcome.value, extra=delivery.about)
            await self._is_over(delivery)
        delivery.end()
        self._offsets.finished(delivery.record)

    async def _set_aside(self, delivery: RecordDelivery, error: Exception) -> None:
        """Send the record where it is tried again, or where it is kept as a dead letter."""
        is_tried = not isinstance(error, KeyWaits)
        if is_tried:
            mark_failed(delivery.span, error)
        record, origin = delivery.record, delivery.origin
        if isinstance(error, WorkerKilled):
            origin = replace(origin, tries=origin.tries + error.deaths - 1)
        if isinstance(error, Poison) or (is_tried and origin.tries + 1 >= self._retry.tries):
            await self._dead_letters.keep(record, origin, error)
            await self._is_over(delivery)
            return
        if self._key_order.enabled:
            await self._in_key_order(self._key_order.wait, delivery)
        try:
            mark_due(delivery.span, await self._retry.later(record, origin, error))
        except MessageSizeTooLargeError:  # it cannot wait there: this was its last try
            await self._dead_letters.keep(record, origin, error)
            await self._is_over(delivery)

    async def _is_over(self, delivery: RecordDelivery) -> None:
        if delivery.is_noted:
            await self._in_key_order(self._key_order.is_over, delivery)

    async def _in_key_order(self, change: Callable[[RecordDelivery], None], delivery: RecordDelivery) -> None:
        """Make a change there, however long the database is away."""
        await self._patience.until_done(
            "order of keys", lambda: asyncio.to_thread(change, delivery), retry_on=self._resources.database.errors
        )

    async def finish_and_commit(self) -> None:
        """Finish the record in hand, give back those behind it, and commit what is done."""
        self._revocations += 1
        self._fetched = deque()
        async with self._in_hand:
            await self.commit()
            self._offsets.given_back()

    def joined(self) -> None:
        """Note under which id the group knows this consumer now."""
        # aiokafka has no public name for it.
        member_id = self._consumer._coordinator.member_id  # type: ignore[union-attr]
        if self._member_id not in (None, member_id):
            self._membership.taken()
            self._interrupt_wait()
        self._member_id = member_id
        self._offsets.given_back()
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
