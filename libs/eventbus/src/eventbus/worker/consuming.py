"""Puts together what consumes: one consumer, a producer for what is set aside, the worker loop, the watchdog."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import dataclass

from eventbus import kafka
from eventbus.database.database import Database
from eventbus.operator.dlq import marks
from eventbus.outbox.outbox import Outbox
from eventbus.process.patience import Patience
from eventbus.process.watchdog import Progress, Watchdog, end_process
from eventbus.settings import WorkerSettings
from eventbus.worker import dead_letters, retry
from eventbus.worker.assignment import PART as ASSIGNMENT
from eventbus.worker.assignment import Assignment
from eventbus.worker.inbox import Inbox
from eventbus.worker.key_order import KeyOrder
from eventbus.worker.membership import Membership
from eventbus.worker.subscription import Bench, Subscription
from eventbus.worker.unfinished import Unfinished
from eventbus.worker.worker import Worker

log = logging.getLogger(__name__)


def topics_of(group: str) -> dict[str, dict[str, str]]:
    """Return the topics in which a group sets messages aside and keeps book of them, with their settings."""
    return {
        retry.topic_of(group): dead_letters.ROOM,
        (letters := dead_letters.topic_of(group)): dead_letters.TOPIC_SETTINGS,
        marks.topic_of(letters): marks.TOPIC_SETTINGS,
    }


@dataclass(frozen=True)
class Consuming:
    """The consuming half of a service. *before* is called in a handler's thread before each of its tries."""

    group: str
    config: WorkerSettings
    database: Database
    subscriptions: Sequence[Subscription]
    patience: Patience
    membership: Membership
    before: Callable[[int], None] = lambda attempt: None

    async def run(self) -> None:
        """Consume until the process is to stop; raises what makes these clients useless."""
        config, patience = self.config, self.patience
        consumer = kafka.consumer(config.kafka_bootstrap_servers, group=self.group, instance_id=config.instance_id)
        aside = kafka.producer(
            config.kafka_bootstrap_servers,
            f"{config.instance_id}-aside",
            max_bytes=dead_letters.MAX_BYTES,
            compression="gzip",
        )
        progress = Progress()
        worker = Worker(
            consumer,
            self.subscriptions,
            bench=Bench(
                self.database,
                Inbox(self.group),
                Outbox(self.group, config.outbox_limit()),
                effects_at_once=max(1, config.effects_at_once // config.worker_slots),  # of each slot
            ),
            dead_letters=dead_letters.DeadLetters(aside, group=self.group, patience=patience),
            retry=retry.Retry(
                aside,
                group=self.group,
                delay_s=config.retry_delay_s,
                tries=config.retry_tries,
                patience=patience,
            ),
            patience=patience,
            membership=self.membership,
            progress=progress,
            unfinished=Unfinished(self.database, self.group, tries=config.retry_tries),
            key_order=KeyOrder(self.database, self.group, enabled=config.retry_order == "key"),
            slots=config.worker_slots,
            before=self.before,
        )
        async with kafka.running(aside, patience), kafka.running(consumer, patience):
            assignment = Assignment(consumer, worker.topics, group=self.group, servers=config.kafka_bootstrap_servers)
            patience.status.trouble(ASSIGNMENT, "starting")
            async with (
                _beside(lambda: assignment.watch(patience.status)),
                _beside(lambda: Watchdog(patience.status).watch(consumer, progress)),
            ):
                await worker.run()


@contextlib.asynccontextmanager
async def _beside(watch: Callable[[], Coroutine[None, None, None]]) -> AsyncIterator[None]:
    """Run *watch* until the end."""
    task = asyncio.create_task(_or_end(watch))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _or_end(watch: Callable[[], Coroutine[None, None, None]]) -> None:
    try:
        await watch()
    except Exception:  # it looks into aiokafka's private parts, and nobody else would see what it should have seen
        log.exception("what watches the consumer has failed")
        end_process("what watches the consumer has failed")
