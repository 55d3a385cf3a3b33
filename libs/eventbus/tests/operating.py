"""An operator at the command line, and dead letters as the bus leaves them."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

from aiokafka import ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient
from click.testing import CliRunner
from eventbus.cloudevents import Headers
from eventbus.operator.cli import SILENT, main
from eventbus.worker import dead_letters

from libs.eventbus.tests.processes import Collected
from libs.eventbus.tests.support import Kafka, OrderPlaced, encoded

T = TypeVar("T")

PROGRAMS = Path(sys.executable).parent
EVENTBUS = (str(PROGRAMS / "eventbus"),)

Letter = tuple[bytes | None, bytes | None, Headers]


def letter(
    order: str, *, original: str, key: bytes | None = b"", without: tuple[str, ...] = (), **changes: bytes
) -> Letter:
    """Return a dead letter of an order; *changes* (with _ for -) are of its dlq.* headers."""
    own_key, value, headers = encoded(OrderPlaced(order_id=order), event_id=f"e-{order}")
    about = {
        "original-topic": original.encode(),
        "original-partition": b"2",
        "original-offset": b"17",
        "original-timestamp": b"1700000000000",
        "consumer-group": b"billing",
        "attempts": b"5",
        "error-type": b"Poison",
        "error-message": b"total: Field required",
        "first-failed-at": b"2026-11-23T01:45:17.123456+00:00",
        "original-traceparent": b"00-" + b"1" * 32 + b"-" + b"1" * 16 + b"-01",
        **{name.replace("_", "-"): change for name, change in changes.items()},
    }
    headers += [(f"dlq.{name}", text) for name, text in about.items() if name not in without]
    return own_key if key == b"" else key, value, headers


@dataclass
class Answer:
    """What a command said, and how it ended."""

    exit_code: int
    out: str
    err: str

    @property
    def json(self) -> list[dict[str, Any]]:
        """The objects of its lines."""
        return [json.loads(line) for line in self.out.splitlines()]


@dataclass
class Operator:
    """Runs `eventbus dlq` on the letters of one consumer group, in tests that have no event loop."""

    kafka: Kafka
    group: str
    runner: asyncio.Runner

    @property
    def letters(self) -> str:
        """The topic of the group's dead letters."""
        return dead_letters.topic_of(self.group)

    def create_letters(self) -> "Operator":
        """Create the group's topic of dead letters, as its worker does."""
        self.run(self.kafka.create(self.letters, **dead_letters.TOPIC_SETTINGS))
        return self

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of what the tests of workers await."""
        return self.runner.run(work)

    def put(self, *letters: Letter, partition: int = 0) -> None:
        """Add letters."""
        self.run(self.kafka.put(self.letters, *letters, partition=partition))

    def topic(self) -> str:
        """Create a topic."""
        return self.run(self.kafka.topic())

    def records(self, topic: str) -> list[ConsumerRecord[bytes, bytes]]:
        """Return what a topic holds."""
        return self.run(self.kafka.records(topic))

    def topics(self) -> list[str]:
        """Return the names of all topics."""
        return self.run(_administrate(self.kafka.broker, lambda admin: admin.list_topics()))

    def forget_letters(self) -> None:
        """Delete the topic of the letters; their marks stay."""
        self.run(_administrate(self.kafka.broker, lambda admin: admin.delete_topics([self.letters])))
        deadline = monotonic() + 15
        while self.letters in self.topics():
            assert monotonic() < deadline, "the topic is not deleted"

    def kept(self) -> dict[int, list[int]]:
        """Return the offsets of the letters that the broker still has, by partition."""
        found: dict[int, list[int]] = {}
        for each in [*self.dlq("list", "--json").json, *self.dlq("list", "--json", "--done").json]:
            found.setdefault(each["partition"], []).append(each["offset"])
        return {partition: sorted(offsets) for partition, offsets in sorted(found.items())}

    def marked(self) -> list[str]:
        """Return which letters are remembered as dealt with."""
        latest = {record.key: record.value for record in self.records(dead_letters.resolved_topic_of(self.letters))}
        return [key.decode() for key, value in latest.items() if key and value is not None]

    def until_the_broker_works(self) -> None:
        """Wait until a broker that had hung takes records again."""
        self.run(self.kafka.put(self.topic(), (b"k", b"v", [])))

    def dlq(self, command: str, *arguments: str, answer: str = "") -> Answer:
        """Run a command on the group's letters."""
        return self.eventbus("dlq", command, "--group", self.group, *arguments, answer=answer)

    def eventbus(self, *arguments: str, answer: str = "") -> Answer:
        """Run a command in this process, with *answer* to what it asks."""
        environment = {"KAFKA_BOOTSTRAP_SERVERS": self.kafka.broker}
        with levels_restored():
            result = CliRunner(env=environment).invoke(main, arguments, input=answer)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Answer(result.exit_code, result.stdout, result.stderr)

    def listed(self, *arguments: str) -> list[str]:
        """Return the orders of the letters that `list` shows."""
        return [each["order"] for each in self.dlq("list", "--json", *arguments).json]


@contextmanager
def process(
    broker: str, *arguments: str, program: tuple[str, ...] = EVENTBUS, collected: Collected | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """Run a command as a process, under opentelemetry-instrument where its spans are *collected*."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    telemetry = {
        "OTEL_SERVICE_NAME": "redrive",
        "OTEL_EXPORTER_OTLP_ENDPOINT": collected.endpoint if collected else "",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
    }
    instrument = (str(PROGRAMS / "opentelemetry-instrument"),)
    running = subprocess.Popen(
        [*(instrument if collected else ()), *program, *arguments],
        env={**inherited, **(telemetry if collected else {}), "KAFKA_BOOTSTRAP_SERVERS": broker},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with running:
        try:
            yield running
        finally:
            running.kill()


def ended(running: "subprocess.Popen[str]", seconds: float = 60) -> Answer:
    """Wait until a process has ended."""
    out, err = running.communicate(timeout=seconds)
    return Answer(running.returncode, out, err)


@contextmanager
def levels_restored() -> Iterator[None]:
    """Undo what the command does to loggers of this process."""
    before = {name: logging.getLogger(name).level for name in SILENT}
    try:
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)


async def _administrate(broker: str, work: Callable[[AIOKafkaAdminClient], Awaitable[T]]) -> T:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await admin.start()
    try:
        return await work(admin)
    finally:
        await admin.close()
