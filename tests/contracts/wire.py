"""What travels between two services: as an example on disk, and as an outbox holds it."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventbus import Database, Event
from eventbus.cloudevents import Message, decode
from eventbus.database import tables

EXAMPLES = Path(__file__).parent / "examples"

# What differs from one event to the next, and must keep its form.
CHANGING = [
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<uuid>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?(?=Z|\+00:00)"), "<time>"),
    (re.compile(r"(?<=INV-)\d{8}"), "<number>"),
]


@dataclass(frozen=True)
class Wire:
    """One record: what Kafka keeps of an event."""

    topic: str
    key: str
    headers: list[tuple[str, bytes]]
    value: bytes

    @property
    def content(self) -> dict[str, Any]:
        """The value, in which no number may be a float."""
        content: dict[str, Any] = json.loads(self.value, parse_float=_refuse)
        return content

    @property
    def form(self) -> str:
        """The whole record as readable text, with ids, times and numbers made equal."""
        headers = {name: value.decode() for name, value in self.headers}
        whole = {"topic": self.topic, "key": self.key, "headers": headers, "value": self.content}
        text = json.dumps(whole, indent=2)
        for changing, name in CHANGING:
            text = changing.sub(name, text)
        return text

    def with_content(self, content: Any) -> "Wire":
        """The same record with another value."""
        return Wire(self.topic, self.key, self.headers, json.dumps(content).encode())

    def read_as(self, *types: type[Event]) -> Message:
        """What a service that knows *types* makes of it. Raises Poison."""
        return decode(self, {each.type: each for each in types})


def example(name: str) -> Wire:
    """Return an example by the type of its event."""
    whole = json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    headers = [(name, value.encode()) for name, value in whole["headers"].items()]
    return Wire(whole["topic"], whole["key"], headers, json.dumps(whole["value"]).encode())


def in_outbox(database: Database) -> list[Wire]:
    """Return what *database* has to send, oldest first."""
    with database.read() as connection:
        rows = connection.execute(tables.outbox.select().order_by(tables.outbox.c.id)).all()
    return [
        Wire(
            row.topic, row.key.decode(), [(name, value.encode()) for name, value in json.loads(row.headers)], row.value
        )
        for row in rows
    ]


def _refuse(number: str) -> None:
    raise AssertionError(f"{number} is a float on the wire")
