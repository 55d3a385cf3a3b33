"""A worker process: its relay, its worker loop, its signals."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import uvloop
from aiokafka.errors import KafkaError

from eventbus import kafka
from eventbus.database.database import Database
from eventbus.database.outage import WrongTables
from eventbus.event import Event
from eventbus.housekeeping import INBOX, UNFINISHED, WAITING, Retention, remove_old_rows
from eventbus.outbox.publication import Publication
from eventbus.outbox.relay import Relay
from eventbus.process import logs, watchdog
from eventbus.process.garbage import calm_garbage_collection
from eventbus.process.patience import Patience, Stopped
from eventbus.process.status import BEAT_EVERY_S, Status
from eventbus.process.stopping import bounded_stop
from eventbus.settings import WorkerSettings
from eventbus.worker.assignment import PART as ASSIGNMENT
from eventbus.worker.consume import consume, topics_of
from eventbus.worker.group import Group
from eventbus.worker.membership import Fenced
from eventbus.worker.subscription import Subscription, by_type

log = logging.getLogger(__name__)


def run(
    name: str,
    config: WorkerSettings,
    database: Database,
    *,
    subscriptions: Sequence[Subscription] = (),
    publishes: Sequence[type[Event] | Publication] = (),
    retain: Sequence[Retention] = (),
) -> None:
    """Run the worker *name* until SIGTERM or SIGINT; it then finishes the record in hand and returns. Where that takes
    longer than 8 s, the process ends (exit code 0) without it, and the record is handled after the next start.

    Is not started (exit code 1, a line on stderr) if two *subscriptions* are of one event type.

    Creates the topics that it reads and writes where they are missing. The consumer group is *name*. Rows of the inbox
    and those that *retain* lets go are removed in time. Ends the process (exit code 1) where another one uses its
    instance id, where it hangs, or where the database lacks a table or a column.
    """
    try:
        by_type(subscriptions)
    except ValueError as error:
        raise SystemExit(f"{name} is not started: {error}") from None
    logs.configure()
    calm_garbage_collection()
    service = _Service(Group(name, config, database, subscriptions), list(map(Publication.of, publishes)), retain)
    try:
        with watchdog.watched_loop() as alive, bounded_stop() as stop_asked, contextlib.closing(database):
            uvloop.run(service.run(alive, stop_asked))
    except ExceptionGroup as failures:
        if failures.subgroup(Fenced) is not None:
            log.critical("another process uses INSTANCE_ID %s: give each its own", config.instance_id)
        elif wrong := failures.subgroup(WrongTables):
            log.critical("DATABASE_URL: this program does not fit the database: %s", wrong.exceptions[0])
        else:
            raise
        raise SystemExit(1) from None
    log.info("stopped")


class _Service:
    """The parts of a process, side by side: what fails in one that cannot be tried again ends all."""

    def __init__(self, group: Group, publications: Sequence[Publication], retain: Sequence[Retention]) -> None:
        config = group.config
        self._servers = config.kafka_bootstrap_servers
        self._topics: dict[str, dict[str, str]] = {each.event_type.topic: {} for each in publications}
        names = [*(["relay"] if publications else []), *(["worker", ASSIGNMENT] if group.subscriptions else [])]
        self._patience = Patience(Status(config.status_file, *names), asyncio.Event())
        rules = [INBOX, UNFINISHED, WAITING, *retain]
        self._parts: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {
            "housekeeping": partial(remove_old_rows, group.database, rules, self._patience)
        }
        if publications:
            relay = Relay(
                group.database,
                bootstrap_servers=self._servers,
                client_id=f"{config.instance_id}-relay",
                patience=self._patience,
                publications=publications,
            )
            self._parts["relay"] = relay.run
        if group.subscriptions:
            self._topics |= {each.event_type.topic: {} for each in group.subscriptions} | topics_of(group.name)
            self._parts["worker"] = partial(consume, group, self._patience)

    async def run(
        self, alive: Callable[[], None] = lambda: None, stop_asked: Callable[[], None] = lambda: None
    ) -> None:
        """Create the topics, then run the parts, until SIGTERM or SIGINT.

        *alive* is called again and again as long as the event loop is not blocked, *stop_asked* at the signal.
        """

        def ask_to_stop() -> None:
            self._patience.stop.set()
            stop_asked()

        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, ask_to_stop)
        beating = asyncio.create_task(_beat(self._patience.status, alive), name="heartbeat")
        try:
            create_topics = partial(kafka.create_topics, self._servers, self._topics, self._patience)
            await self._patience.until_done("topics", create_topics, retry_on=(KafkaError, OSError))
            async with asyncio.TaskGroup() as tasks:
                for name, part in self._parts.items():
                    tasks.create_task(part(), name=name)
                self._patience.status.fine("service")
        except Stopped:
            log.info("stopped while waiting")
        finally:
            beating.cancel()
            self._patience.status.trouble("service", "stopped")


async def _beat(status: Status, alive: Callable[[], None]) -> None:
    while True:
        alive()
        status.beat()
        await asyncio.sleep(BEAT_EVERY_S)
