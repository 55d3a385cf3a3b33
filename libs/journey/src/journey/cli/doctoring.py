"""`journey doctor`."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from journey import as_json
from journey.chain import Row
from journey.chain_file import read_chain, read_ends
from journey.cli.reading import CannotRead, reading
from journey.cli.showing import missing
from journey.cli.telling import told
from journey.cli.terminal import Terminal, coloured
from journey.doctor import SECOND, Case, Remembered, Verdict, absent, diagnose
from journey.lookup import find, trace_id_of
from journey.source import Source
from journey.trace import Trace

EPILOG = """\
ID is a trace id, a traceparent, the address of a trace's page, the key of a message (an order's id), or a tag like
http.route=/orders.

Exit codes: 0 whole; 1 broken; 2 wrong usage, or it cannot be looked at; 3 not whole yet, and nothing is wrong."""
DEFAULT_FILE: Final = Path("journey.toml")
EXIT_CODES: Final = {Verdict.BROKEN: 1, Verdict.WAITING: 3, Verdict.WHOLE: 0}  # the first of them that is given


@dataclass(frozen=True)
class Declared:
    """The content of a chain's file: *demanded* are the rows that each trace must have, *usual* those that it may."""

    demanded: Sequence[Row] = ()
    usual: Sequence[Row] = ()
    ends: Sequence[str] = ()


def _chain(context: click.Context, option: click.Parameter, given: Path | None) -> Declared:
    """Read the file that is given, or the one of the working directory, which demands nothing."""
    if given is None and not DEFAULT_FILE.is_file():
        return Declared()
    file = given or DEFAULT_FILE
    try:
        rows, ends = read_chain(file), read_ends(file)
        return Declared(demanded=rows if given else (), usual=rows, ends=ends)
    except (OSError, ValueError) as error:
        raise click.BadParameter(str(error)) from None


@click.command(epilog=EPILOG)
@click.argument("id", required=False)
@click.option("--last", metavar="N", type=click.IntRange(1, 1000), help="The last traces, so many.")
@reading
@click.option(
    "--chain",
    metavar="FILE",
    type=click.Path(path_type=Path),
    callback=_chain,
    help="What the journey should be: a TOML file with a [[row]] for each span. Without this option, journey.toml of "
    "the working directory, if it is there, tells only which messages have readers.",
)
@click.option(
    "--end", "ends", metavar="TOPIC", multiple=True,
    help="A topic at which the journey ends: nobody need read it. Several may be given.",
)  # fmt: skip
@click.option(
    "--patience", metavar="SECONDS", type=click.FloatRange(0), default=10.0, show_default=True,
    help="For so long after the last span more may be on its way.",
)  # fmt: skip
@click.option("--json", "json", is_flag=True, help="One JSON object a trace, one a line.")
@coloured
def doctor(
    source: Source,
    id: str | None,
    last: int | None,
    chain: Declared,
    ends: Sequence[str],
    patience: float,
    json: bool,
    colour: bool | None,
) -> None:
    """Say whether a journey is whole, and if not, where it breaks off, why most likely, and what to check next.

    Without a chain it is judged by what the trace itself tells: each parent is there, each message was read.
    """
    if (id is None) == (last is None):
        raise click.UsageError("give an ID, or --last N")
    traces = _asked_for(source, id, last)
    now = int(time.time() * SECOND)
    given: Counter[Verdict] = Counter()
    others = Remembered(source)
    terminal = Terminal(colour)
    for trace in traces:
        case = Case(trace, others, now, int(patience * SECOND), end_topics={*ends, *chain.ends})
        diagnosis = diagnose(case, chain.demanded, usual=chain.usual)
        given[diagnosis.verdict] += 1
        terminal.say(as_json.of_diagnosis(diagnosis) if json else told(diagnosis, terminal, drawn=id is not None))
    if not json and len(traces) > 1:
        terminal.say(_counted(given))
    raise SystemExit(next(code for verdict, code in EXIT_CODES.items() if given[verdict]))


def _counted(given: Mapping[Verdict, int]) -> str:
    counts = f"{given[Verdict.WHOLE]} whole, {given[Verdict.BROKEN]} broken"
    return counts + (f", {given[Verdict.WAITING]} not whole yet" if given[Verdict.WAITING] else "")


def _asked_for(source: Source, id: str | None, last: int | None) -> list[Trace]:
    traces = find(source, id) if id is not None else source.latest(last or 0)[::-1]
    if traces:
        return traces
    if id is None:
        raise CannotRead(f"No trace is in {source.name}.")
    if not trace_id_of(id):
        raise CannotRead(missing(source, id))
    finding = absent(source)
    raise CannotRead(f"{finding.cause}, most likely: {finding.says}\n  check: {finding.check}")
