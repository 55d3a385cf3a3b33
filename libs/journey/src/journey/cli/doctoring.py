"""`journey doctor`."""

import time
from collections.abc import Sequence
from pathlib import Path

import click

from journey import as_json
from journey.chain import ORDER_JOURNEY, Row
from journey.chain_file import read_chain
from journey.cli.reading import CannotLook, reading
from journey.cli.screen import Screen, coloured
from journey.cli.showing import missing
from journey.doctor import SECOND, Case, Diagnosis, absent, diagnose
from journey.draw import draw, summary
from journey.lookup import find, trace_id_of
from journey.source import Source
from journey.trace import Trace
from journey.words import plain

EPILOG = """\
ID is a trace id, a traceparent, the key of a message (an order's id), or a tag like http.route=/orders.

Exit codes: 0 whole; 1 broken, or not whole yet; 2 wrong usage, or it cannot be looked at."""
BUILT_IN = {"orders": ORDER_JOURNEY}


def _chain(context: click.Context, option: click.Parameter, given: str | None) -> Sequence[Row]:
    if given is None or given in BUILT_IN:
        return BUILT_IN.get(given or "", ())
    try:
        return read_chain(Path(given))
    except (OSError, ValueError) as error:
        raise click.BadParameter(str(error)) from None


@click.command(epilog=EPILOG)
@click.argument("id", required=False)
@click.option("--last", metavar="N", type=click.IntRange(1, 1000), help="The last traces, so many.")
@reading
@click.option(
    "--chain",
    metavar="FILE",
    callback=_chain,
    help="What the journey should be: a TOML file with a [[row]] for each span; or orders, which is built in.",
)
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
    chain: Sequence[Row],
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
    found = [diagnose(Case(trace, source, now, int(patience * SECOND)), chain) for trace in traces]
    screen = Screen(colour)
    for diagnosis in found:
        screen.say(as_json.of_diagnosis(diagnosis) if json else _told(diagnosis, screen, drawn=id is not None))
    broken = sum(not diagnosis.whole for diagnosis in found)
    if not json and len(found) > 1:
        screen.say(f"{len(found) - broken} whole, {broken} broken")
    raise SystemExit(1 if broken else 0)


def _asked_for(source: Source, id: str | None, last: int | None) -> list[Trace]:
    traces = find(source, id) if id is not None else source.latest(last or 0)[::-1]
    if traces:
        return traces
    if id is None:
        raise CannotLook(f"No trace is in {source.name}.")
    if not trace_id_of(id):
        raise CannotLook(missing(source, id))
    finding = absent(source)
    raise CannotLook(f"{finding.cause}, most likely: {finding.says}\n  check: {finding.check}")


def _told(diagnosis: Diagnosis, screen: Screen, *, drawn: bool) -> str:
    trace = diagnosis.trace
    if diagnosis.whole:
        return f"{plain(trace.id)}  whole   {summary(trace)}"
    lines = [screen.paint(f"{plain(trace.id)}  broken  {summary(trace)}", "error")]
    if drawn:
        marks = {finding.at: [f"{finding.cause}?"] for finding in diagnosis.findings}
        drawing = draw(trace, screen.width, marks=marks, missing=diagnosis.missing, paint=screen.paint)
        lines += ["", *drawing.splitlines()[3:], ""]
    for finding in diagnosis.findings:
        lines += [f"{finding.cause}, most likely: {plain(finding.says)}", f"  check: {finding.check}"]
    return "\n".join(lines)
