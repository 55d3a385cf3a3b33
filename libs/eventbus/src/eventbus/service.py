"""A worker process: its relay, its worker loop, its signals."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Sequence
from functools import partial

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
    """Run the worker *name* until SIGTERM or SIGINT; it then finishes the record in hand and returns. If that takes
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
        self._group = group
        self._publications = publications
        self._retain = [INBOX, UNFINISHED, WAITING, *retain]

    async def run(
        self, alive: Callable[[], None] = lambda: None, stop_asked: Callable[[], None] = lambda: None
    ) -> None:
        """Create the topics, then run the parts, until SIGTERM or SIGINT.

        *alive* is called again and again as long as the event loop is not blocked, *stop_asked* at the signal.
        """
        stop = asyncio.Event()

        def ask_to_stop() -> None:
            stop.set()
            stop_asked()

        for each in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(each, ask_to_stop)
        # Only now is there a status: who has seen it may send a signal.
        status = self._status()
        patience = Patience(status, stop)
        beating = asyncio.create_task(_beat(status, alive), name="heartbeat")
        try:
            create_topics = partial(kafka.create_topics, self._servers, self._topics(), patience)
            await patience.until_done("topics", create_topics, retry_on=(KafkaError, OSError))
            async with asyncio.TaskGroup() as tasks:
                if self._publications:
                    tasks.create_task(self._relay(patience).run(), name="relay")
                if self._group.subscriptions:
                    tasks.create_task(consume(self._group, patience), name="worker")
                tasks.create_task(remove_old_rows(self._group.database, self._retain, patience), name="housekeeping")
                status.fine("service")
        except Stopped:
            log.info("stopped while waiting")
        finally:
            beating.cancel()
            status.trouble("service", "stopped")

    @property
    def _servers(self) -> str:
        return self._group.config.kafka_bootstrap_servers

    def _status(self) -> Status:
        relay = ["relay"] if self._publications else []
        worker = ["worker", ASSIGNMENT] if self._group.subscriptions else []
        return Status(self._group.config.status_file, *relay, *worker)

    def _topics(self) -> dict[str, dict[str, str]]:
        topics: dict[str, dict[str, str]] = {each.event_type.topic: {} for each in self._publications}
        if self._group.subscriptions:
            topics |= {each.event_type.topic: {} for each in self._group.subscriptions} | topics_of(self._group.name)
        return topics

    def _relay(self, patience: Patience) -> Relay:
        return Relay(
            self._group.database,
            bootstrap_servers=self._servers,
            client_id=f"{self._group.config.instance_id}-relay",
            patience=patience,
            publications=self._publications,
        )


async def _beat(status: Status, alive: Callable[[], None]) -> None:
    while True:
        alive()
        status.beat()
        await asyncio.sleep(BEAT_EVERY_S)
