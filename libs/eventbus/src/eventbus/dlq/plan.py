"""Which letters are to be dealt with, and doing it with whoever sits in front of the screen."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import click
from aiokafka.errors import KafkaError

from eventbus.dlq import dealing, screen
from eventbus.dlq.desk import Desk, sitting, started
from eventbus.dlq.letters import Choice, Letter
from eventbus.dlq.marks import Deed, Position
from eventbus.dlq.options import Selection

LONG = 1000


async def chosen(desk: Desk, selection: Selection, *, done: bool = False) -> AsyncGenerator[Letter, None]:
    """Yield the letters that are meant, topic by topic: those that are left, or those that are *done*."""
    for topic in selection.topics(desk):
        async for letters in desk.letters(topic, selection.choice):
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
    deed: Deed
    done: int = 0
    problems: int = 0
    lost: str | None = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, bootstrap_servers: str) -> None:
        """Deal with the letters of the plan; where the broker is lost meanwhile, `lost` says how."""
        self._listen_to_signals()
        writer = dealing.producer(bootstrap_servers)
        async with sitting(bootstrap_servers) as desk, started(writer):
            with click.progressbar(
                length=self.plan.total,
                label=self.deed,
                hidden=self.plan.total < LONG or not sys.stderr.isatty(),
                file=sys.stderr,
            ) as bar:

                def report(letter: Letter, problem: str | None) -> None:
                    bar.update(1)
                    self._count(letter, problem)

                work = dealing.Dealing(desk, writer, self.deed, report)
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
            click.echo(f"left {letter.place}: {screen.printable(problem)}", err=True)

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)

        def stop() -> None:
            self.stop.set()
            for each in signals:
                loop.remove_signal_handler(each)  # the next one ends the process at once

        for each in signals:
            loop.add_signal_handler(each, stop)
