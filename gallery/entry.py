"""What an entry of the gallery consists of."""

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Self

# As on the page: the most telling first.
NAMES: Final = (
    "closed_early",
    "forwarded_headers",
    "one_bad_byte",
    "confluent",
    "kafka_python",
    "getmany",
    "sigterm",
    "outbox",
    "thread",
    "worker_tasks",
    "polled_elsewhere",
    "sampled_out",
    "full_queue",
    "failed_send",
)
FOLDER: Final = Path(__file__).parent / "entries"
PARAGRAPHS: Final = ("See", "Why", "Do", "Whole")


class Instrumentation(Enum):
    """Whose instrumentation of the Kafka client a script runs under."""

    STOCK = "stock"
    OURS = "ours"


STOCK: Final = Instrumentation.STOCK
OURS: Final = Instrumentation.OURS


@dataclass(frozen=True)
class Process:
    """A function of a script that is run in a process of its own, and what its environment has on top of the usual."""

    function: str
    settings: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what a shell would: `NAME=value function`."""
        *settings, function = text.split()
        return cls(function, dict(setting.split("=", 1) for setting in settings))

    @property
    def service(self) -> str:
        """The first word of the function's name."""
        return self.function.partition("_")[0]


@dataclass(frozen=True)
class Run:
    """A way to run a script, and `tree`: exactly what Zipkin has afterwards.

    The processes of `commands` are started one after the other, each when the one before has ended; the last one with
    `exit_code`. `show` is the function that the page quotes, by default that of the last process. `choose` picks the
    traces to draw where there are too many, and raises AssertionError where they are not what the entry says of them.
    """

    instrumentation: Instrumentation
    tree: str
    commands: Sequence[str] = ("orders", "billing")
    show: str = ""
    choose: Callable[[Sequence[Any]], Sequence[Any]] = lambda traces: traces
    exit_code: int = 0

    @property
    def processes(self) -> list[Process]:
        return [Process.parse(command) for command in self.commands]

    @property
    def shown(self) -> str:
        """The name of the function to quote."""
        return self.show or self.processes[-1].function


@dataclass(frozen=True)
class Entry:
    """One file of the folder `entries`: its words, and the script run in two ways."""

    name: str
    title: str
    paragraphs: Mapping[str, str]
    broken: Run
    whole: Run

    @classmethod
    def load(cls, name: str) -> Self:
        """Import an entry. ValueError where its docstring is not a title and the four paragraphs."""
        module = import_module(f"gallery.entries.{name}")
        title, *paragraphs = (" ".join(part.split()) for part in (module.__doc__ or "").strip().split("\n\n"))
        named = dict(paragraph.split(": ", 1) for paragraph in paragraphs)
        if tuple(named) != PARAGRAPHS:
            raise ValueError(f"{name} has the paragraphs {', '.join(named)} instead of {', '.join(PARAGRAPHS)}")
        return cls(name, title.rstrip("."), named, module.BROKEN, module.WHOLE)

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.py"

    def source(self, function: str) -> str:
        """Return the lines of one function of the script."""
        text = self.path.read_text()
        for statement in ast.parse(text).body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and statement.name == function:
                return ast.get_source_segment(text, statement) or ""
        raise ValueError(f"{self.name} has no function {function}")


def load_all() -> list[Entry]:
    """Import all entries, in the order of the page."""
    return [Entry.load(name) for name in NAMES]
