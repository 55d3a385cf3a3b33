"""A worker process: its relay, its worker loop, its signals."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from aiokafka.errors import KafkaError

from eventbus import dead_letters, kafka, logs
from eventbus.database import Database
from eventbus.event import Event
from eventbus.inbox import Inbox
from eventbus.membership import Fenced, Membership
from eventbus.outbox import Outbox
from eventbus.patience import Patience, Stopped
from eventbus.relay import Relay
from eventbus.status import Status
from eventbus.subscription import Bench, Subscription
from eventbus.worker import Worker

log = logging.getLogger(__name__)


class Config(Protocol):
    """What every worker's configuration has."""

    @property
    def kafka_bootstrap_servers(self) -> str: ...
    @property
    def instance_id(self) -> str: ...
    @property
    def status_file(self) -> Path: ...


def run(
    name: str,
    config: Config,
    database: Database,
    *,
    subscriptions: Sequence[Subscription] = (),
    publishes: Sequence[type[Event]] = (),
) -> None:
    """Run the worker *name* until SIGTERM or SIGINT; it then finishes the record in hand and returns.

    Creates the topics that it reads and writes where they are missing. The consumer group is *name*. Ends the process
    (exit code 1) where another one uses its instance id.
    """
    logs.configure()
    try:
        asyncio.run(_run(name, config, database, subscriptions, publishes))
    except ExceptionGroup as failures:
        if failures.subgroup(Fenced) is None:
            raise
        log.critical("another process uses INSTANCE_ID %s: give each its own", config.instance_id)
        raise SystemExit(1) from None
    log.info("stopped")


async def _run(
    name: str,
    config: Config,
    database: Database,
    subscriptions: Sequence[Subscription],
    publishes: Sequence[type[Event]],
) -> None:
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    parts = [part for part, wanted in (("relay", publishes), ("worker", subscriptions)) if wanted]
    status = Status(config.status_file, *parts)
    patience = Patience(status, stop)
    servers = config.kafka_bootstrap_servers
    relay = Relay(database, bootstrap_servers=servers, client_id=f"{config.instance_id}-relay", patience=patience)

    events = {*publishes, *(each.event_type for each in subscriptions)}
    topics: dict[str, dict[str, str]] = {each.topic: {} for each in events}
    if subscriptions:
        topics[dead_letters.topic_of(name)] = dead_letters.TOPIC_SETTINGS

    membership = Membership()

    async def consume() -> None:
        bench = Bench(database, Inbox(name), Outbox(name))
        consumer = kafka.consumer(servers, group=name, instance_id=config.instance_id)
        letters = kafka.producer(
            servers, f"{config.instance_id}-dead-letters", max_bytes=dead_letters.MAX_BYTES, compression="gzip"
        )
        async with kafka.running(letters, patience), kafka.running(consumer, patience):
            await Worker(
                consumer,
                subscriptions,
                bench=bench,
                dead_letters=dead_letters.DeadLetters(letters, group=name, patience=patience),
                patience=patience,
                membership=membership,
                after_commit=relay.wake,
            ).run()

    async def work() -> None:
        # Stopped ends here: in the task group it would cancel the relay, which waits for its last acknowledgements.
        with contextlib.suppress(Stopped):
            # aiokafka cannot read a header name that is not UTF-8, nor skip the record.
            await patience.until_done("worker", consume, retry_on=(KafkaError, OSError, UnicodeDecodeError))

    try:
        await patience.until_done(
            "topics", lambda: kafka.create_topics(servers, topics, patience), retry_on=(KafkaError, OSError)
        )
        async with asyncio.TaskGroup() as tasks:
            if publishes:
                tasks.create_task(relay.run(), name="relay")
            if subscriptions:
                tasks.create_task(work(), name="worker")
            status.fine("service")
    except Stopped:
        log.info("stopped while waiting")
    finally:
        status.trouble("service", "stopped")
        database.close()
