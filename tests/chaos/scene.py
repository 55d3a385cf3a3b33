"""The system under test with its load, and the log of what was done to it."""

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from stack import Stack
from stack.parts import Part, table

from tests.chaos.audit import Audit
from tests.chaos.findings import Fault, Record
from tests.chaos.ledger import Ledger
from tests.chaos.post import Post
from tests.chaos.seen import Sources
from tests.chaos.topics import Topics


@dataclass
class Scene:
    """One stack, everything that can be seen of it, and the seeded randomness of its faults."""

    stack: Stack
    post: Post
    seed: int
    random: random.Random
    zipkin: bool = True
    began: float = field(default_factory=time.time)
    ledger: Ledger = field(default_factory=Ledger)
    faults: list[Fault] = field(default_factory=list)

    @cached_property
    def parts(self) -> dict[str, Part]:
        return table(self.stack.settings)

    @cached_property
    def databases(self) -> dict[str, str]:
        """The databases' URLs by service."""
        return {
            part.environment["OTEL_SERVICE_NAME"]: part.environment["DATABASE_URL"]
            for part in self.parts.values()
            if part.service
        }

    def workers(self, service: str) -> list[str]:
        """The parts that are a service's workers, its replicas too."""
        return [
            name
            for name, part in self.parts.items()
            if "STATUS_FILE" in part.environment and part.environment["OTEL_SERVICE_NAME"] == service
        ]

    @property
    def instances(self) -> dict[str, str]:
        """The workers' parts by the names that they have in Kafka."""
        return {
            part.environment["INSTANCE_ID"]: name
            for name, part in self.parts.items()
            if "INSTANCE_ID" in part.environment
        }

    @cached_property
    def topics(self) -> Topics:
        return Topics(self.stack.settings.kafka)

    @cached_property
    def audit(self) -> Audit:
        return Audit(self.stack.settings.audit_folder)

    @cached_property
    def sources(self) -> Sources:
        return Sources(self.databases, self.stack.settings.mail_folder)

    def up(self) -> None:
        """Start everything but the mail server, which is ours."""
        ours = {"mail"} if self.zipkin else {"mail", "zipkin"}
        self.stack.up(*(name for name in self.parts if name not in ours))

    @contextmanager
    def fault(self, name: str, target: str) -> Iterator["Note"]:
        """Log what is done in the block as one fault."""
        note = Note()
        began = time.time()
        yield note
        ended = note.ended or time.time()
        fault = Fault(name, target, began, ended, note.ready, note.caught_up, note.text, note.written)
        self.faults.append(fault)
        print(f"  {_clock(began)} {name} {target}: {ended - began:.1f} s {note.text}".rstrip(), flush=True)


@dataclass
class Note:
    """What is to be known of a fault besides its times."""

    ended: float | None = None
    ready: float | None = None
    caught_up: float | None = None
    text: str = ""
    written: dict[str, Record] = field(default_factory=dict)


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
