"""How letters are chosen on the command line."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from eventbus.operator.dlq.letter_box import LetterBox
from eventbus.operator.dlq.letters import Choice
from eventbus.operator.dlq.resolved import Position
from eventbus.worker.dead_letters import topic_of


class CannotRun(click.ClickException):
    """The command cannot be done at all; exit code 2."""

    exit_code = 2


@dataclass(frozen=True)
class Selection:
    """The letters that the command line means: those of one topic or of all, by their choice."""

    topic: str | None
    choice: Choice

    def topics(self, box: LetterBox) -> list[str]:
        """Return the topics to look into; raise CannotRun if there is none of that name."""
        if self.topic is None:
            return box.topics
        if self.topic not in box.partitions:
            raise CannotRun(f"there is no topic {self.topic}; dead letters are in: {', '.join(box.topics) or 'none'}")
        return [self.topic]


def _read_positions(context: click.Context, option: click.Parameter, given: Sequence[str]) -> frozenset[Position]:
    pairs = [each.partition(":") for each in given]
    for each, (partition, _, offset) in zip(given, pairs, strict=True):
        if not (partition.isdecimal() and offset.isdecimal()):
            raise click.BadParameter(f"{each!r} is not PARTITION:OFFSET, like 0:17")
    return frozenset((int(partition), int(offset)) for partition, _, offset in pairs)


_OPTIONS = (
    click.option("--group", metavar="NAME", help="Letters of this consumer group, like billing."),
    click.option("--topic", metavar="NAME", help="Letters of this topic, like billing.dlq."),
    click.option("--order", "orders", metavar="ID", multiple=True, help="Letters with this key."),
    click.option(
        "--error-type",
        "error_types",
        metavar="NAME",
        multiple=True,
        help="Letters that failed with this.",
    ),
    click.option(
        "--offset", "positions", metavar="P:N", callback=_read_positions, multiple=True, help="The letter there."
    ),
)
_EVERYTHING = click.option("--all", "everything", is_flag=True, help="All letters (of the group or topic).")


def choosing(*, explicitly: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options that choose letters, as its argument `selection`.

    Without --group and --topic all topics that end in .dlq are meant. Where letters are to be chosen *explicitly*,
    --all or one of the others is needed.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def wrapper(**options: Any) -> None:
            command(selection=_selection(options, explicitly=explicitly), **options)

        for option in reversed((*_OPTIONS, _EVERYTHING) if explicitly else _OPTIONS):
            wrapper = option(wrapper)
        return wrapper

    return decorate


def _selection(options: dict[str, Any], *, explicitly: bool) -> Selection:
    group, topic = options.pop("group"), options.pop("topic")
    orders, error_types, positions = (options.pop(name) for name in ("orders", "error_types", "positions"))
    chosen = bool(orders or error_types or positions)
    if group and topic:
        raise click.UsageError("either --group or --topic")
    if positions and not (group or topic):
        raise click.UsageError("--offset needs --group or --topic: each topic has such an offset")
    if explicitly and options.pop("everything") == chosen:
        raise click.UsageError("choose letters by --order, --error-type or --offset, or all of them by --all")
    choice = Choice(frozenset(order.encode() for order in orders), frozenset(error_types), positions)
    return Selection(topic_of(group) if group else topic, choice)
