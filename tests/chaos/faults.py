"""The faults, each by its name: what it does, and how many seconds that takes."""

import asyncio
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from sqlalchemy import create_engine, text

from tests.chaos.scene import Scene
from tests.chaos.topics import GROUPS, write
from tests.e2e.garbage import garbage, set_aside
from tests.e2e.polling import poll_until

WORKERS = ("orders-worker", "billing", "notifier")
SERVICE = {"orders-worker": "orders", "billing": "billing", "notifier": "notifier"}
LONGER_THAN_A_SESSION_S = 8
REWOUND = 100


@dataclass(frozen=True)
class Kind:
    """One fault: `seconds` is about how long it takes until the system works again."""

    do: Callable[[Scene], None]
    seconds: float


def kill(target: str, scene: Scene) -> None:
    """kill -9 a part and start it again."""
    part = _one(scene, target)
    with scene.fault("kill", part) as note:
        scene.stack.kill(part)
        note.ended = time.time()
        scene.stack.start(part)
        note.ready = time.time()


def term(target: str, scene: Scene) -> None:
    """SIGTERM a part as an operator does, and start it again."""
    part = _one(scene, target)
    with scene.fault("term", part) as note:
        code = scene.stack.stop(part)
        note.ended = time.time()
        note.text = f"exit code {code}"
        scene.stack.start(part)
        note.ready = time.time()


def pause(target: str, scene: Scene) -> None:
    """Have a worker hang for longer than its session in the group."""
    part = _one(scene, target)
    with scene.fault("pause", part):
        scene.stack.signal(part, signal.SIGSTOP)
        time.sleep(LONGER_THAN_A_SESSION_S)
        scene.stack.signal(part, signal.SIGCONT)


def away(part: str, seconds: float, scene: Scene) -> None:
    """Have something that everybody needs killed, and gone for a while."""
    with scene.fault("away" if seconds else "kill", part) as note:
        began = time.time()
        scene.stack.kill(part)
        time.sleep(seconds)
        note.ended = time.time()
        scene.stack.start(part)
        note.ready = time.time()
        note.text = f"answers meanwhile {scene.ledger.answers(note.ended - seconds, note.ended)}" if seconds else ""
        if part == "collector":
            # What is killed before takes along the spans that it still has in memory.
            poll_until(lambda: _exported(scene, began, note.ready), "the processes have exported what waited")
            note.caught_up = time.time()


def _exported(scene: Scene, began: float, ready: float) -> bool:
    """Tell whether every process that was at work when the Collector went away has exported a span since it is back.

    Its exporter keeps their order.
    """
    scene.audit.read()
    return all(latest > ready for latest in scene.audit.latest.values() if latest > began - 1)


def lock(service: str, seconds: float, scene: Scene) -> None:
    """Hold the lock that a service needs for writing."""
    url = scene.databases[service]
    holding = (
        "BEGIN IMMEDIATE" if url.startswith("sqlite") else f"LOCK TABLE {LOCKED[service]} IN ACCESS EXCLUSIVE MODE"
    )
    engine = create_engine(url, connect_args={"timeout": 60} if url.startswith("sqlite") else {})
    with scene.fault("lock", service), engine.connect() as connection:
        connection.execute(text(holding))
        time.sleep(seconds)
        connection.rollback()
    engine.dispose()


def mail(how: str, seconds: float, scene: Scene) -> None:
    """Have the mail server refuse, hang or be away."""
    with scene.fault(how, "mail"), getattr(scene.post, how)():
        time.sleep(seconds)


def poison(scene: Scene) -> None:
    """Write what nobody can handle to every partition of every topic that is read."""
    for group, topic in GROUPS.items():
        for each, records in ((topic, garbage(topic)), (f"{group}.retry", garbage(topic) | set_aside(topic))):
            with scene.fault("poison", each) as note:
                note.written = asyncio.run(write(scene.stack.settings.kafka, each, records))
                note.text = f"{len(note.written)} records"


def rewind(group: str, scene: Scene) -> None:
    """Stop a group's workers, set their offsets back, and start them again."""
    with scene.fault("rewind", group) as note:
        for part in scene.workers(group):
            scene.stack.stop(part)
        note.text = f"to {scene.topics.rewind(group, REWOUND)}"
        note.ended = time.time()
        for part in scene.workers(group):
            scene.stack.start(part)
        note.ready = time.time()


def _one(scene: Scene, target: str) -> str:
    """One of the replicas, where there are several."""
    return scene.random.choice(scene.workers(SERVICE[target])) if target in SERVICE else target


# One table is enough, and the one that a transaction asks for first: more than one could be a deadlock.
LOCKED = {"orders": "orders", "billing": "inbox", "notifier": "inbox"}

FAULTS: Mapping[str, Kind] = {
    **{f"kill-{part}": Kind(partial(kill, part), 4) for part in ("orders", *WORKERS)},
    **{f"term-{part}": Kind(partial(term, part), 5) for part in ("orders", *WORKERS)},
    **{f"pause-{part}": Kind(partial(pause, part), 9) for part in WORKERS},
    "postgres-away": Kind(partial(away, "postgres", 5), 10),
    "kill-kafka": Kind(partial(away, "kafka", 0), 6),
    "kafka-away": Kind(partial(away, "kafka", 60), 66),
    "collector-away": Kind(partial(away, "collector", 20), 40),
    "collector-away-long": Kind(partial(away, "collector", 60), 80),
    "restart-zipkin": Kind(partial(away, "zipkin", 0), 6),
    **{f"lock-{service}": Kind(partial(lock, service, 10), 11) for service in ("orders", "billing", "notifier")},
    "mail-refusing": Kind(partial(mail, "refusing", 10), 11),
    "mail-hanging": Kind(partial(mail, "hanging", 10), 11),
    "mail-down": Kind(partial(mail, "down", 10), 11),
    "poison": Kind(poison, 4),
    **{f"rewind-{group}": Kind(partial(rewind, group), 10) for group in GROUPS},
}
NEEDS_A_SERVER = {"postgres-away"}
KILLS = ("kill-billing", "kill-notifier", "kill-orders-worker")
