"""A worker process: its relay, its worker loop, its signals."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Mapping, Sequence

import uvloop
from aiokafka.errors import KafkaError

from eventbus import kafka
from eventbus.database.database import Database
from eventbus.database.outage import WrongTables
from eventbus.event import Event
from eventbus.housekeeping import INBOX, UNFINISHED, WAITING, Retention, keep_house
from eventbus.outbox.relay import Relay
from eventbus.process import logs, watchdog
from eventbus.process.garbage import calm_garbage_collection
from eventbus.process.patience import Patience, Stopped
from eventbus.process.status import BEAT_EVERY_S, Status
from eventbus.process.stopping import bounded_stop
from eventbus.scenarios import Fault, Scenarios
from eventbus.settings import WorkerSettings
from eventbus.worker import consuming
from eventbus.worker.assignment import PART as ASSIGNMENT
from eventbus.worker.consuming import Consuming
from eventbus.worker.membership import Fenced, Membership
from eventbus.worker.subscription import Subscription, by_type

log = logging.getLogger(__name__)


def run(
    name: str,
    config: WorkerSettings,
    database: Database,
    *,
    subscriptions: Sequence[Subscription] = (),
    publishes: Sequence[type[Event]] = (),
    retain: Sequence[Retention] = (),
    scenarios: Mapping[str, Fault] | None = None,
) -> None:
    """Run the worker *name* until SIGTERM or SIGINT; it then finishes the record in hand and returns. Where that takes
    longer than 8 s, the process ends (exit code 0) without it, and the record is handled after the next start.

    Is not started (exit code 1, a line on stderr) if two *subscriptions* are of one event type.

    Creates the topics that it reads and writes where they are missing. The consumer group is *name*. Rows of the inbox
    and those that *retain* lets go are removed in time. Ends the process (exit code 1) where another one uses its
    instance id, where it hangs, or where the database lacks a table or a column. What goes wrong on purpose in which
    of the *scenarios* does so with DEMO_FAULTS=1 only.
    """
    try:
        by_type(subscriptions)
    except ValueError as error:
        raise SystemExit(f"{name} is not started: {error}") from None
    logs.configure()
    calm_garbage_collection()
    faults = Scenarios(scenarios or {}, enabled=config.demo_faults)
    try:
        with watchdog.watched_loop() as alive, bounded_stop() as stop_asked:
            kept = [INBOX, UNFINISHED, WAITING, *retain]
            uvloop.run(_run(name, config, database, subscriptions, publishes, faults, kept, alive, stop_asked))
    except ExceptionGroup as failures:
        if failures.subgroup(Fenced) is not None:
            log.critical("another process uses INSTANCE_ID %s: give each its own", config.instance_id)
        elif wrong := failures.subgroup(WrongTables):
            log.critical("DATABASE_URL: this program does not fit the database: %s", wrong.exceptions[0])
        else:
            raise
        raise SystemExit(1) from None
    log.info("stopped")


async def _run(
    name: str,
    config: WorkerSettings,
    database: Database,
    subscriptions: Sequence[Subscription],
    publishes: Sequence[type[Event]],
    scenarios: Scenarios,
    retain: Sequence[Retention] = (),
    alive: Callable[[], None] = lambda: None,
    stop_asked: Callable[[], None] = lambda: None,
) -> None:
    stop = asyncio.Event()

    def ask_to_stop() -> None:
        stop.set()
        stop_asked()

    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, ask_to_stop)
    parts = [*(["relay"] if publishes else []), *(["worker", ASSIGNMENT] if subscriptions else [])]
    status = Status(config.status_file, *parts)
    patience = Patience(status, stop)
    servers = config.kafka_bootstrap_servers
    relay = Relay(
        database,
        bootstrap_servers=servers,
        client_id=f"{config.instance_id}-relay",
        patience=patience,
        topics={each.topic for each in publishes},
        copies=scenarios.copies,
    )

    events = {*publishes, *(each.event_type for each in subscriptions)}
    topics: dict[str, dict[str, str]] = {each.topic: {} for each in events}
    if subscriptions:
        topics |= consuming.topics_of(name)
    consumption = Consuming(
        name,
        config,
        database,
        subscriptions,
        patience,
        Membership(),
        before=scenarios.before,
    )

    async def work() -> None:
        # Stopped ends here: in the task group it would cancel the relay, which waits for its last acknowledgements.
        with contextlib.suppress(Stopped):
            # aiokafka cannot read a header name that is not UTF-8, nor skip the record.
            await patience.until_done("worker", consumption.run, retry_on=(KafkaError, OSError, UnicodeDecodeError))

    beating = asyncio.create_task(_beat(status, alive), name="heartbeat")
    try:
        await patience.until_done(
            "topics", lambda: kafka.create_topics(servers, topics, patience), retry_on=(KafkaError, OSError)
        )
        async with asyncio.TaskGroup() as tasks:
            if publishes:
                tasks.create_task(relay.run(), name="relay")
            if subscriptions:
                tasks.create_task(work(), name="worker")
            tasks.create_task(keep_house(database, retain, patience), name="housekeeping")
            status.fine("service")
    except Stopped:
        log.info("stopped while waiting")
    finally:
        beating.cancel()
        status.trouble("service", "stopped")
        database.close()


async def _beat(status: Status, alive: Callable[[], None]) -> None:
    while True:
        alive()
        status.beat()
        await asyncio.sleep(BEAT_EVERY_S)
