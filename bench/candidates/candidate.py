"""What a candidate of the comparison is."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from journey import Row
from stack import Settings
from stack.parts import Part

Chain = Sequence[Row]


class LeftOut(Exception):
    """The candidate cannot be run on this machine, for the reason given."""


@dataclass(frozen=True)
class Candidate:
    """A chain from POST /orders to its end: how it is started, and what each order must leave.

    *traces* are the chains of spans of one order: the first is in the trace that the caller began, others begin their
    own; none where nothing is traced. *install* gets what is missing into the folder of downloads, or raises LeftOut.
    """

    name: str
    what: str
    parts: Callable[[Settings], list[Part]]
    traces: Sequence[Chain] = ()
    mails: bool = False
    settings: Callable[[Settings], Settings] = field(default=lambda settings: settings)
    install: Callable[[Path], None] = field(default=lambda downloads: None)


def chain(*steps: tuple[str, str, str]) -> Chain:
    """Return rows of which each is the parent of the next, from (service, kind, name)."""
    return tuple(Row(n, *step, parent=n - 1 if n > 1 else None) for n, step in enumerate(steps, start=1))
