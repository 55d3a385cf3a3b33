"""One consumer of a group at work, with what it needs beside it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine

from aiokafka.errors import KafkaError

from eventbus import kafka
from eventbus.process.patience import Patience, Stopped
from eventbus.process.watchdog import Watchdog, end_process
from eventbus.worker import dead_letters, retry
from eventbus.worker.assignment import PART as ASSIGNMENT
from eventbus.worker.assignment import Assignment
from eventbus.worker.group import Group
from eventbus.worker.worker import Worker

log = logging.getLogger(__name__)


def topics_of(group: str) -> dict[str, dict[str, str]]:
    """Return the topics in which a group sets messages aside and notes which are resolved, with their settings."""
    return {
        retry.topic_of(group): dead_letters.ROOM,
        (letters := dead_letters.topic_of(group)): dead_letters.TOPIC_SETTINGS,
        dead_letters.resolved_topic_of(letters): dead_letters.RESOLVED_TOPIC_SETTINGS,
    }


async def consume(group: Group, patience: Patience) -> None:
    """Consume for *group* until the process is to stop; with new Kafka clients each time that the old ones are useless.

    Raises Fenced, and WrongTables.
    """
    # Stopped ends here: in the service's task group it would cancel the relay, which waits for its last
    # acknowledgements.
    with contextlib.suppress(Stopped):
        # aiokafka cannot read a header name that is not UTF-8, nor skip the record.
        retry_on = (KafkaError, OSError, UnicodeDecodeError)
        await patience.until_done("worker", lambda: _consume(group, patience), retry_on=retry_on)


async def _consume(group: Group, patience: Patience) -> None:
    config = group.config
    consumer = kafka.consumer(config.kafka_bootstrap_servers, group=group.name, instance_id=config.instance_id)
    aside = kafka.producer(
        config.kafka_bootstrap_servers,
        f"{config.instance_id}-aside",
        max_bytes=dead_letters.MAX_BYTES,
        compression="gzip",
    )
    worker = Worker(group, consumer, aside, patience)
    async with kafka.running(aside, patience), kafka.running(consumer, patience):
        assignment = Assignment(consumer, worker.topics, group=group.name, servers=config.kafka_bootstrap_servers)
        patience.status.trouble(ASSIGNMENT, "starting")
        async with (
            _beside(lambda: assignment.watch(patience.status)),
            _beside(lambda: Watchdog(patience.status).watch(consumer, worker.progress)),
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
