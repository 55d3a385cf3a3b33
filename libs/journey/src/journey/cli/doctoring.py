"""`journey doctor`."""

import time
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from journey import as_json
from journey.chain import ORDER_JOURNEY, Row
from journey.chain_file import read_chain, read_ends
from journey.cli.reading import CannotLook, reading
from journey.cli.screen import Screen, coloured
from journey.cli.showing import missing
from journey.doctor import REMARKS, SECOND, Case, Diagnosis, Verdict, absent, diagnose
from journey.draw import draw, summary
from journey.lookup import find, is_trace_id
from journey.source import Source
from journey.trace import Node, Trace
from journey.words import count, plain

EPILOG = """\
ID is a trace id, a traceparent, the key of a message (an order's id), or a tag like http.route=/orders.

Exit codes: 0 whole; 1 broken; 2 wrong usage, or it cannot be looked at; 3 not whole yet, and nothing is wrong."""
BUILT_IN = {"orders": ORDER_JOURNEY}
EXIT_CODES: Final = {Verdict.BROKEN: 1, Verdict.WAITING: 3, Verdict.WHOLE: 0}  # the first of them that is given
# Of a larger trace the findings are drawn with what is around them.
DRAWN_WHOLE: Final = 200
DRAWN_FOR_EACH: Final = 3

Declared = tuple[Sequence[Row], Sequence[str]]


def _chain(context: click.Context, option: click.Parameter, given: str | None) -> Declared:
    """Read the rows and the topics at which the journey ends."""
    if given is None or given in BUILT_IN:
        return BUILT_IN.get(given or "", ()), ()
    try:
        return read_chain(Path(given)), read_ends(Path(given))
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
    now, (rows, last_topics) = int(time.time() * SECOND), chain
    given: Counter[Verdict] = Counter()
    screen = Screen(colour)
    for trace in traces:
        case = Case(trace, source, now, int(patience * SECOND), end_topics={*ends, *last_topics})
        diagnosis = diagnose(case, rows)
        given[diagnosis.verdict] += 1
        screen.say(as_json.of_diagnosis(diagnosis) if json else _told(diagnosis, screen, drawn=id is not None))
    if not json and len(traces) > 1:
        screen.say(_counted(given))
    raise SystemExit(next(code for verdict, code in EXIT_CODES.items() if given[verdict]))


def _counted(given: Mapping[Verdict, int]) -> str:
    counts = f"{given[Verdict.WHOLE]} whole, {given[Verdict.BROKEN]} broken"
    return counts + (f", {given[Verdict.WAITING]} not whole yet" if given[Verdict.WAITING] else "")


def _asked_for(source: Source, id: str | None, last: int | None) -> list[Trace]:
    traces = find(source, id) if id is not None else source.latest(last or 0)[::-1]
    if traces:
        return traces
    if id is None:
        raise CannotLook(f"No trace is in {source.name}.")
    if not is_trace_id(id):
        raise CannotLook(missing(source, id))
    finding = absent(source)
    raise CannotLook(f"{finding.cause}, most likely: {finding.says}\n  check: {finding.check}")


def _told(diagnosis: Diagnosis, screen: Screen, *, drawn: bool) -> str:
    trace = diagnosis.trace
    head = f"{plain(trace.id)}  {diagnosis.verdict:<6}  {summary(trace)}"
    findings = [finding for finding in diagnosis.findings if finding.cause not in REMARKS]
    if not findings:
        return "\n".join([head, *_remarks(diagnosis)])
    lines = [screen.paint(head, "error" if diagnosis.verdict is Verdict.BROKEN else "wait")]
    if drawn:
        lines += ["", *_drawn(diagnosis, screen), ""]
    for finding in findings:
        lines += [f"{finding.cause}, most likely: {plain(finding.says)}", f"  check: {finding.check}"]
    return "\n".join([*lines, *_remarks(diagnosis)])


def _remarks(diagnosis: Diagnosis) -> Iterator[str]:
    for finding in diagnosis.findings:
        if finding.cause in REMARKS:
            yield f"remark: {plain(finding.says)}"
            yield f"  check: {finding.check}"


def _drawn(diagnosis: Diagnosis, screen: Screen) -> Sequence[str]:
    marks: dict[str, list[str]] = {}
    for finding in diagnosis.findings:
        marks.setdefault(finding.at, []).append(f"{finding.cause}?")
    part = _around(diagnosis.trace, marks)
    left_out = len(diagnosis.trace.spans) - len(part.spans)
    drawing = draw(part, screen.width, marks=marks, missing=diagnosis.missing, paint=screen.paint)
    more = [f"{count(left_out, 'more span')} not drawn: journey show draws all."] if left_out else []
    return [*drawing.splitlines()[3:], *more]


def _around(trace: Trace, marked: Collection[str]) -> Trace:
    """Return what is drawn of a trace: all, or of a large one the first children of each span and what is marked."""
    if len(trace.spans) <= DRAWN_WHOLE:
        return trace
    kept: set[int] = set()
    for node in trace.tree():
        above = node.parent is None or node.parent.span is None or id(node.parent.span) in kept
        first = node.parent is None or node.span in node.parent.children[:DRAWN_FOR_EACH]
        if node.span and (first and above and len(kept) < DRAWN_WHOLE):
            kept.add(id(node.span))
        if node.id in marked:
            kept |= {id(each.span) for each in _upwards(node) if each.span}
            kept |= {id(child) for child in node.children[:DRAWN_FOR_EACH]}
    return Trace(trace.id, tuple(span for span in trace.spans if id(span) in kept))


def _upwards(node: Node | None) -> Iterator[Node]:
    while node:
        yield node
        node = node.parent
