"""Which letters are to be dealt with, and doing it with whoever sits in front of the display."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import click
from aiokafka.errors import KafkaError

from eventbus import kafka
from eventbus.operator.dlq import display, resolver
from eventbus.operator.dlq.letter_box import LetterBox, opened
from eventbus.operator.dlq.letters import Choice, Letter
from eventbus.operator.dlq.options import Selection
from eventbus.operator.dlq.resolved import Position, Resolution

LONG = 1000


async def chosen(box: LetterBox, selection: Selection, *, done: bool = False) -> AsyncGenerator[Letter, None]:
    """Yield the letters that are meant, topic by topic: those that are left, or those that are *done*."""
    for topic in selection.topics(box):
        async for letters in box.letters(topic, selection.choice):
            for letter in letters:
                if (letter.done is not None) == done:
                    yield letter


@dataclass
class Plan:
    """The letters to be dealt with: their places only, so that any number fits into memory."""

    positions: dict[str, set[Position]] = field(default_factory=dict)
    error_types: "Counter[str]" = field(default_factory=Counter)

    def add(self, letter: Letter) -> None:
        """Plan to deal with *letter*."""
        self.positions.setdefault(letter.record.topic, set()).add(letter.position)
        self.error_types[letter.error or "unknown"] += 1

    @property
    def total(self) -> int:
        """How many letters these are."""
        return self.error_types.total()


@dataclass
class Execution:
    """The work on a plan: asked to stop (Ctrl-C, SIGTERM) it finishes the letters that it has in hand."""

    plan: Plan
    resolution: Resolution
    done: int = 0
    problems: int = 0
    lost: str | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, bootstrap_servers: str) -> None:
        """Deal with the letters of the plan; where the broker is lost meanwhile, `lost` says how."""
        self._listen_to_signals()
        writer = resolver.producer(bootstrap_servers)
        async with opened(bootstrap_servers) as box, kafka.started(writer):
            with click.progressbar(
                length=self.plan.total,
                label=self.resolution,
                hidden=self.plan.total < LONG or not sys.stderr.isatty(),
                file=sys.stderr,
            ) as bar:

                def report(letter: Letter, problem: str | None) -> None:
                    bar.update(1)
                    self._count(letter, problem)

                work = resolver.Resolver(box, writer, self.resolution, report)
                try:
                    for topic, positions in self.plan.positions.items():
                        if not self.stop.is_set():
                            await work.deal(topic, Choice(positions=frozenset(positions)), self.stop)
                except (KafkaError, TimeoutError, ConnectionError) as error:
                    self.lost = type(error).__name__

    def _count(self, letter: Letter, problem: str | None) -> None:
        if problem is None:
            self.done += 1
        else:
            self.problems += 1
            click.echo(f"left {letter.place}: {display.printable(problem)}", err=True)

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)

        def stop() -> None:
            self.stop.set()
            for each in signals:
                loop.remove_signal_handler(each)  # the next one ends the process at once

        for each in signals:
            loop.add_signal_handler(each, stop)
