"""The command `eventbus`: what an operator does with dead letters; how far consumers and outboxes are behind."""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click
from aiokafka.errors import KafkaError
from opentelemetry.instrumentation.utils import suppress_instrumentation
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from eventbus.operator import backlog
from eventbus.operator import lag as lags
from eventbus.operator.dlq import display, resolver
from eventbus.operator.dlq.letter_box import opened
from eventbus.operator.dlq.options import CannotRun, Selection, choosing
from eventbus.operator.dlq.plan import Execution, Plan, chosen
from eventbus.operator.dlq.resolved import Resolution
from eventbus.settings import read_settings

T = TypeVar("T")

SILENT = ("aiokafka", "asyncio", "eventbus.kafka")

_EPILOG = """\
KAFKA_BOOTSTRAP_SERVERS names the brokers, like 127.0.0.1:9092.

Exit codes: 0 done; 1 nothing matched, or not all was done; 2 wrong usage, or the broker cannot be asked."""


class Settings(BaseSettings):
    """What the command reads from the environment."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True)

    kafka_bootstrap_servers: str = Field(pattern=r"^[^:]+:\d+", description="brokers, like 127.0.0.1:9092")


@click.group()
def main() -> None:
    """Operate what runs on the event bus."""
    # What they have to say ends as one line of ours; aiokafka repeats it for as long as a broker is away.
    for name in SILENT:
        logging.getLogger(name).setLevel(logging.CRITICAL)


main.add_command(backlog.show, "outbox")


@main.command(epilog=_EPILOG)
@click.option("--group", "groups", metavar="NAME", multiple=True, help="This consumer group only, like billing.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def lag(groups: tuple[str, ...], as_json: bool) -> None:
    """Show how far consumer groups are behind, and who reads.

    What a group was given and has not finished counts too, for a moment: offsets are committed after the work. A worker
    that has stopped or died is named as a reader until the broker ends its session, after 6 s.
    """
    positions = _ask(lambda servers: lags.positions(servers, groups))
    if not positions:
        click.echo("no such group has read anything", err=True)
        raise SystemExit(1)
    lines = [json.dumps(vars(each)) for each in positions] if as_json else lags.table(positions)
    for line in (*lines, *(() if as_json else lags.summary(positions))):
        click.echo(display.printable(line))


@main.group(epilog=_EPILOG)
def dlq() -> None:
    """Look at dead letters, send them back, give them up."""


@dlq.command("list", epilog=_EPILOG)
@choosing(explicitly=False)
@click.option("--done", is_flag=True, help="Those that have been dealt with and are still there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(selection: Selection, done: bool, as_json: bool) -> None:
    """List the letters that are left, and count them by error type."""

    async def show(servers: str) -> "Counter[str]":
        error_types: Counter[str] = Counter()
        async with opened(servers) as box:
            async for letter in chosen(box, selection, done=done):
                if not error_types and not as_json:
                    click.echo(display.heading(done=done))
                click.echo(display.as_json(letter) if as_json else display.line(letter, done=done))
                error_types[letter.error or "unknown"] += 1
        return error_types

    error_types = _ask(show)
    _end_if_none(error_types.total())
    if not as_json:
        click.echo(display.summary(error_types))


@dlq.command(epilog=_EPILOG)
@choosing(explicitly=True)
@click.option("--value", is_flag=True, help="The value too: it may hold personal data.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show(selection: Selection, value: bool, as_json: bool) -> None:
    """Show letters that are left with all their headers."""

    async def show(servers: str) -> int:
        count = 0
        async with opened(servers) as box:
            async for letter in chosen(box, selection):
                click.echo((display.as_json_page if as_json else display.page)(letter, value=value))
                count += 1
        return count

    _end_if_none(_ask(show))


def _options_of_resolving(command: Any) -> Any:
    command = click.option("--yes", is_flag=True, help="Do not ask before touching more than one.")(command)
    return click.option("--dry-run", is_flag=True, help="Only show what would be done.")(command)


@dlq.command(epilog=_EPILOG)
@choosing(explicitly=True)
@_options_of_resolving
def redrive(selection: Selection, dry_run: bool, yes: bool) -> None:
    """Send letters back to the topics that they came from.

    Key, value and headers are those of the original message, and the trace goes on. What was handled already after all
    its reader recognises. Under opentelemetry-instrument each letter has a span.
    """
    _deal(Resolution.REDRIVEN, selection, dry_run=dry_run, yes=yes)


@dlq.command(epilog=_EPILOG)
@choosing(explicitly=True)
@_options_of_resolving
def purge(selection: Selection, dry_run: bool, yes: bool) -> None:
    """Give letters up: they are not listed any more.

    The broker removes a letter when all before it in its partition have been dealt with too.
    """
    _deal(Resolution.PURGED, selection, dry_run=dry_run, yes=yes)


def _deal(resolution: Resolution, selection: Selection, *, dry_run: bool, yes: bool) -> None:
    plan, problems = _ask(lambda servers: _plan(servers, selection, resolution, dry_run=dry_run))
    _end_if_none(plan.total)
    click.echo(("would be " if dry_run else "to be ") + f"{resolution}: {display.summary(plan.error_types)}")
    if dry_run:
        raise SystemExit(1 if problems else 0)
    if plan.total > 1 and not yes:
        click.confirm("Go on? (--yes does not ask)", abort=True)
    execution = Execution(plan, resolution)
    _ask(execution.run)
    click.echo(f"{resolution}: {display.letters(execution.done)}")
    raise SystemExit(_outcome(execution))


async def _plan(servers: str, selection: Selection, resolution: Resolution, *, dry_run: bool) -> tuple[Plan, int]:
    """Return the plan and, for a dry run, how many letters of it cannot be sent back."""
    plan, problems = Plan(), 0
    async with opened(servers) as box:
        async for letter in chosen(box, selection):
            if dry_run and not plan.total:
                click.echo(display.heading(done=False))
            plan.add(letter)
            if dry_run:
                click.echo(display.line(letter, done=False))
                problem = resolver.problem_with(letter, box.partitions) if resolution is Resolution.REDRIVEN else None
                problems += problem is not None
                if problem:
                    click.echo(f"would be left: {display.printable(problem)}", err=True)
    return plan, problems


def _outcome(execution: Execution) -> int:
    """Say what is left of the plan and why; return the exit code."""
    left = execution.plan.total - execution.done - execution.problems
    if execution.lost:
        click.echo(
            f"Error: the broker does not answer ({execution.lost}): {left} left, run the command again", err=True
        )
    elif left and execution.stop.is_set():
        click.echo(f"interrupted: {left} left", err=True)
    elif left:
        click.echo(f"{display.letters(left)} dealt with by somebody else meanwhile, or gone", err=True)
    return 1 if left or execution.problems or execution.lost else 0


def _end_if_none(count: int) -> None:
    if not count:
        click.echo("no letter matches", err=True)
        raise SystemExit(1)


def _ask(work: Callable[[str], Coroutine[Any, Any, T]]) -> T:
    """Do *work*, which is given the bootstrap servers; where the broker cannot be asked, end with one line."""
    servers = read_settings(Settings).kafka_bootstrap_servers
    try:
        # Looking at a message is not processing it: no spans but those of what is sent back.
        with suppress_instrumentation():
            return asyncio.run(work(servers))
    except BrokenPipeError:  # whoever reads the output has enough
        raise
    except (KafkaError, TimeoutError, ConnectionError) as error:
        raise CannotRun(f"the broker at {servers} does not answer ({type(error).__name__})") from None
    except UnicodeDecodeError:
        raise CannotRun("a record has a header whose name is not UTF-8, which aiokafka cannot read") from None
