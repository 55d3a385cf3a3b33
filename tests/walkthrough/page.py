"""docs/walkthrough.md: prose written by hand, and between it what is made: outputs of commands, and pictures."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).parents[2]
PAGE: Final = REPOSITORY / "docs" / "walkthrough.md"

# A block ```sh is a command, the block after it what it printed. A block whose opening line says more is not run.
_MADE = re.compile(
    r"""
    (?:<!--\ until:\ (?P<until>.+?)\ -->\n)?
    ^```sh\n (?P<command>.*?) ^```\n
    (?:\n^```\n (?P<output>.*?) ^```\n)?
    |
    ^<!--\ picture:\ (?P<kind>\S+)\ (?P<address>.*?)\ -->\n
    !\[(?P<seen>[^]]+)\]\((?P<file>[^)]+)\)\n
    """,
    re.M | re.S | re.X,
)


@dataclass(frozen=True)
class Command:
    """A command of the reader's. It is repeated until its output has *until*, if that is given.

    *output* is what the page shows of it; None where the page shows nothing.
    """

    text: str
    output: str | None
    until: str | None


@dataclass(frozen=True)
class Picture:
    """A picture in *file*; *kind* says what of the *address* it shows, *seen* says it in words."""

    file: Path
    kind: str
    address: str
    seen: str


Step = Command | Picture


def steps(text: str) -> list[Step]:
    """Return what the page has of commands and pictures, in their order."""
    return [_step(match) for match in _MADE.finditer(text)]


def rewritten(text: str, do: Callable[[Step], str | None]) -> str:
    """Return the page after each step was done, in their order, with the outputs that *do* returned."""

    def replace(match: re.Match[str]) -> str:
        output = do(_step(match))
        if match["output"] is None or output is None:
            return match[0]
        start, end = (place - match.start() for place in match.span("output"))
        return match[0][:start] + output + match[0][end:]

    return _MADE.sub(replace, text)


def _step(match: re.Match[str]) -> Step:
    if match["file"]:
        return Picture(PAGE.parent / match["file"], match["kind"], match["address"], match["seen"])
    return Command(match["command"], match["output"], match["until"])
