"""`stack new`: a service from the template, and the lines that other files have for each service."""

import importlib
import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import journey

from stack.catalogue import Service, services
from stack.console import StackError
from stack.fetch.tools import uv
from stack.settings import REPOSITORY

TEMPLATE = Path(__file__).resolve().parents[2] / "template"
JOURNEY = REPOSITORY / "journey.toml"
NAME = re.compile(r"[a-z][a-z0-9]*")
EVENT = re.compile(r"([a-z]+)\.([a-z]+)\.v[0-9]+")


@dataclass(frozen=True)
class Line:
    """A line that a file has once for each service."""

    file: str
    text: str

    def of(self, service: str) -> str:
        """Return the line of one service."""
        return self.text.replace("{name}", service).replace("{NAME}", service.upper())


# What cannot read [tool.stack] itself. A test looks for these lines in the files, for each service.
LINES = (
    Line("pyproject.toml", "{name} = { workspace = true }"),
    Line("pyproject.toml", '    "{name}",'),
    Line("pyproject.toml", '"{name}".msg = "Libraries do not import services."'),
    Line("pyproject.toml", '    "services/{name}/src",'),
    Line(
        "deploy/Dockerfile",
        "    --mount=type=bind,source=services/{name}/pyproject.toml,target=services/{name}/pyproject.toml \\",
    ),
    Line("deploy/postgres-databases.sh", "    {name} \\"),
    Line("deploy/postgres.env", "{NAME}_DATABASE_URL=postgresql+psycopg://{name}:${POSTGRES_PASSWORD}@postgres/{name}"),
    Line("deploy/compose.yml", "  {name}: {}"),
)
BAN = '"{name}".msg = "Services do not import each other: copy the contract."'
COMPOSE = Line(
    "deploy/compose.yml",
    """\
  {name}:
    <<: *worker
    command: [python, -m, {name}]
    volumes: ["{name}:/var/lib/{name}"]
    environment:
      <<: *environment
      OTEL_SERVICE_NAME: {name}
      DATABASE_URL: ${{NAME}_DATABASE_URL:-sqlite:////var/lib/{name}/{name}.db}
""",
)


NEXT = """\
services/{name} is there, and the other files know it. What is left:
  - services/{name}/src/{name}/events.py: the fields that it reads of {reads}, and those of {writes}
  - services/{name}/src/{name}/handlers.py: what it does
  - contracts/src/shop_contracts/asyncapi.json: {writes}, and the topics {name}.retry and {name}.dlq
  - README.md: its two spans in the table and in the drawing
CONTRIBUTING.md says more. Try it: make demo"""


def bans(service: str, known: Iterable[str]) -> list[Line]:
    """Return the lines that keep a service from importing each of the others."""
    file = f"services/{service}/pyproject.toml"
    return [Line(file, BAN.replace("{name}", other)) for other in known if other != service]


def create(name: str, reads: str, writes: str) -> None:
    """Write a service that reads one event and writes another, and what the repository needs to know of it.

    Raises StackError if there is a service of that name, if nobody writes the one event, or somebody the other.
    """
    known = services()
    _check(name, reads, writes, known)
    data = _answers(name, reads, writes, known)
    try:
        import copier
    except ImportError:
        raise StackError("copier is not installed: leave out --no-dev, as in `uv run stack new`") from None
    copier.run_copy(str(TEMPLATE), REPOSITORY, data=data, defaults=True, quiet=True)
    names = [service.name for service in known]
    for line in LINES:
        _insert(line.file, line.of(name), [line.of(each) for each in names], upto="")
    _insert(COMPOSE.file, f"\n{COMPOSE.of(name).rstrip()}", [f"  {each}:" for each in names], upto="\n\n")
    for each in names:
        last = Line("", BAN).of(name)
        _insert(f"services/{each}/pyproject.toml", last, [line.text for line in bans(each, names)], upto="")
    _add_to_journey(name, data["reads"]["topic"], data["writes"]["topic"])
    # The lock file gets the new member; everything else in it stays.
    subprocess.run([uv(REPOSITORY / ".stack"), "lock", "--quiet"], cwd=REPOSITORY, check=True)


def _check(name: str, reads: str, writes: str, known: Sequence[Service]) -> None:
    if not NAME.fullmatch(name):
        raise StackError(f"{name!r} is not a name for a service: give small letters and digits, like shipping")
    for event in (reads, writes):
        if not EVENT.fullmatch(event):
            raise StackError(f"{event!r} is not a type of an event: give one like invoice.issued.v1")
    if (REPOSITORY / "services" / name).exists():
        raise StackError(f"there is a service {name} already")
    written = {event: service.name for service in known for event in service.writes}
    if reads not in written:
        raise StackError(f"no service writes {reads}: there are {', '.join(sorted(written))}")
    if writes in written:
        raise StackError(f"{written[writes]} writes {writes} already")


def _answers(name: str, reads: str, writes: str, known: Sequence[Service]) -> dict[str, Any]:
    """Return what the template asks: the contract that is read is a copy of its writer's."""
    writer = next(service.name for service in known if reads in service.writes)
    events = vars(importlib.import_module(f"{writer}.events"))
    event = next(each for each in events.values() if getattr(each, "type", None) == reads)
    subject, happened, _ = writes.split(".")
    return {
        "name": name,
        "others": [service.name for service in known],
        "reads": {"type": reads, "class": event.__name__, "topic": event.topic, "does": event.__doc__},
        "writes": {"type": writes, "class": f"{subject.title()}{happened.title()}", "topic": f"{subject}s"},
        "key": event.key_field,
        "subject": subject,
        "happened": happened,
    }


def _add_to_journey(name: str, read: str, written: str) -> None:
    """Add the two spans of a service to the declared journey, below the one that sends what it reads."""
    chain = journey.read_chain(JOURNEY)
    sent = next(row.number for row in chain if row.name == f"send {read}")
    rows = [("CONSUMER", f"process {read}", sent), ("PRODUCER", f"send {written}", len(chain) + 1)]
    with JOURNEY.open("a") as file:
        for kind, span, parent in rows:
            file.write(f'\n[[row]]\nservice = "{name}"\nkind = "{kind}"\nname = "{span}"\nparent = {parent}\n')


def _insert(file: str, text: str, after: Sequence[str], *, upto: str) -> None:
    """Insert *text* after the last of the lines *after*, or behind what stands between that and *upto*."""
    place = REPOSITORY / file
    content = place.read_text()
    ends = [content.find(f"\n{line}\n") + len(line) + 1 for line in after if f"\n{line}\n" in content]
    if not ends:
        raise StackError(f"{file} has no line like {after[-1].strip()!r}: add {text.strip()!r} where it belongs")
    at = content.index(upto, max(ends)) if upto else max(ends)
    place.write_text(f"{content[:at]}\n{text}{content[at:]}")
