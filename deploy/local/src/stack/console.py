"""What the runner tells people: a line for each step, the table of the status, and errors."""

import os
import sys
import threading
import time
from collections.abc import Iterable
from typing import IO, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES = {"ready": "green", "not ready": "red", "stopped": "dim"}
# A table that no terminal shows is as wide as its longest line.
WIDE = 10_000


class StackError(click.ClickException):
    """Something a person has to know: the message says which part, why, and what to do or where to look."""

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message on stderr."""
        click.echo(f"stack: {self.message}", file=file or sys.stderr)


class Progress:
    """Tells a person how the work goes, one line each with the time since the beginning; safe to use from threads."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()

    def say(self, part: str, text: str) -> None:
        """Print one line. If nobody reads any more (`… | head`), the work goes on all the same."""
        with self._lock:
            try:
                click.echo(f"{time.monotonic() - self._began:6.1f} s  {part:<16} {text}")
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python fails again at its end


def print_table(rows: Iterable[tuple[str, str, str, str, str]]) -> None:
    """Print the status of the parts: name, state, process id, ports, and the reason or the log."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for column in ("part", "state", "pid", "ports", "reason"):
        table.add_column(column, justify="right" if column == "pid" else "left", overflow="fold")
    for part, state, *rest in rows:
        table.add_row(Text(part), Text(state, STYLES[state]), *map(Text, rest))
    Console(width=None if sys.stdout.isatty() else WIDE).print(table)
