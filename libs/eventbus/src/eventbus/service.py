"""A worker process: its relay, its worker loop, its signals."""

import asyncio
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

    Creates the topics that it reads and writes where they are missing. The consumer group is *name*.
    """
    logs.configure()
    asyncio.run(_run(name, config, database, subscriptions, publishes))
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
    status = Status(config.status_file)
    patience = Patience(status, stop)
    servers = config.kafka_bootstrap_servers
    relay = Relay(database, bootstrap_servers=servers, client_id=f"{config.instance_id}-relay", patience=patience)

    topics = [each.topic for each in publishes] + [each.event_type.topic for each in subscriptions]
    if subscriptions:
        topics.append(dead_letters.topic_of(name))

    async def consume() -> None:
        bench = Bench(database, Inbox(name), Outbox(name))
        consumer = kafka.consumer(servers, group=name, instance_id=config.instance_id)
        letters = kafka.producer(servers, f"{config.instance_id}-dead-letters")
        async with kafka.running(letters), kafka.running(consumer):
            await Worker(
                consumer,
                subscriptions,
                bench=bench,
                dead_letters=dead_letters.DeadLetters(letters, group=name, patience=patience),
                patience=patience,
                after_commit=relay.wake,
            ).run()

    try:
        await patience.until_done(
            "topics", lambda: kafka.create_topics(servers, topics), retry_on=(KafkaError, OSError)
        )
        async with asyncio.TaskGroup() as parts:
            if publishes:
                parts.create_task(relay.run(), name="relay")
            if subscriptions:
                parts.create_task(patience.until_done("worker", consume, retry_on=(KafkaError, OSError)), name="worker")
            status.fine("service")
    except* Stopped:
        log.info("stopped while waiting")
    finally:
        database.close()
