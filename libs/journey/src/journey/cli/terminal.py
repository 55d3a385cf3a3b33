"""How the commands print."""

import os
import shutil
import sys
from collections.abc import Callable
from typing import Final

import click

from journey.draw import Paint, Tone

Style = dict[str, bool | str]
_STYLES: Final[dict[Tone, Style]] = {
    "": {},
    "error": {"fg": "red"},
    "wait": {"dim": True},
    "mark": {"fg": "red", "bold": True},
}

coloured: Callable[[Callable[..., None]], Callable[..., None]] = click.option(
    "--color/--no-color", "colour", default=None, help="Colours; else on a terminal only, and not with NO_COLOR."
)


class Terminal:
    """Standard output: its width, and whether it is to have colours."""

    def __init__(self, colour: bool | None) -> None:
        self.colour = bool(sys.stdout.isatty() and not os.environ.get("NO_COLOR")) if colour is None else colour
        self.width = shutil.get_terminal_size((100, 24)).columns

    @property
    def paint(self) -> Paint:
        """Colours a line of a drawing, or leaves it."""
        return lambda text, tone: click.style(text, **_STYLES[tone]) if self.colour and tone else text  # type: ignore[arg-type]

    def say(self, text: str) -> None:
        """Print at once: whoever reads may follow."""
        click.echo(text, color=self.colour)
