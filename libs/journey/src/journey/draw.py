"""A trace as a tree in plain text."""

import math
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from journey.clocks import clock_fault, clocks_differ
from journey.formatting import count, cut, lasting, plain
from journey.queues import Wait, queue_wait
from journey.trace import Node, Span, Trace

# Set by eventbus on the span of a message that was handled before.
DUPLICATE_TAG: Final = "journey.duplicate"
NARROWEST: Final = 60
SHORTEST_NAMES: Final = 28
SHORTEST_BAR: Final = 16
LONGEST_BAR: Final = 60
DEEPEST: Final = 24  # characters of connecting lines
MARK: Final = ">>> "

Period = tuple[float, float]  # from and to, in microseconds
Tone = Literal["", "error", "wait", "mark"]
Paint = Callable[[str, Tone], str]


@dataclass(frozen=True)
class _Line:
    text: str
    span: Span | None = None  # fills the columns service, kind and duration
    period: Period | None = None
    ink: str = "█"
    tone: Tone = ""
    of: str = ""  # the id of the place in the tree that the line begins
    below: str = ""  # what the tree's lines look like under it


def draw(
    trace: Trace,
    width: int = 100,
    *,
    marks: Mapping[str, Sequence[str]] | None = None,
    missing: Sequence[Span] = (),
    paint: Paint = lambda text, tone: text,
) -> str:
    """Draw a trace as a tree, a line for each span: name, service, kind, duration, and a bar for when it was.

    Between sending and processing a message a line tells how long it waited in its topic: "about" where only the gap
    between the two spans tells. Errors, and parents that the trace does not have, get lines of their own. No line is
    longer than `width`, which is 60 at least. Narrow drawings have no bars.

    `marks` has sentences by the id of a span, or of a gap: its line begins with >>> and they follow it. `missing` are
    spans that should be there: they are drawn in their places. `paint` may colour whole lines.
    """
    gutter = len(MARK) if marks else 0
    width = max(width, NARROWEST) - gutter
    bounds = _bounds(trace)
    lines = list(_lines(Trace(trace.id, (*trace.spans, *missing))))
    absent = {id(span) for span in missing}
    texts = _in_columns(lines, width, bounds, absent)
    head = [cut(line, width) for line in (f"trace {plain(trace.id)}", summary(trace))]
    drawn = [" " * gutter + line if line else "" for line in [*head, ""]]
    for line, text in zip(lines, texts, strict=True):
        said = (marks or {}).get(line.of, ()) if line.of else ()
        tone: Tone = "mark" if said else line.tone
        drawn.append(paint(((MARK if said else " " * gutter) + text).rstrip(), tone))
        for sentence in said:
            indent = " " * gutter + line.below
            wrapped = textwrap.wrap(plain(sentence), max(width - len(line.below) - 2, 30))
            drawn += [paint(f"{indent}{'✗ ' if not n else '  '}{part}", "mark") for n, part in enumerate(wrapped)]
    return "\n".join(drawn)


def summary(trace: Trace) -> str:
    """Count spans, services and errors of a trace, and say how long it took, if its clocks agree."""
    bounds = _bounds(trace)
    services = len({span.service for span in trace.spans if span.service})
    errors = sum(span.error is not None for span in trace.spans)
    counts = [
        count(len(trace.spans), "span"),
        count(services, "service"),
        *([count(errors, "error")] * bool(errors)),
    ]
    if bounds:
        doubt = ", by clocks that differ" if clocks_differ(trace) else ""
        counts.append(f"{lasting(bounds[1] - bounds[0])} in all{doubt}")
    if trace.left_out:
        counts.append(f"{len(trace.left_out)} more not understood")
    return ", ".join(counts)


def _in_columns(lines: Sequence[_Line], width: int, bounds: Period | None, absent: set[int]) -> Iterator[str]:
    services = min(16, max(len(plain(line.span.service)) for line in lines if line.span))
    columns = services + 23  # with kind, duration and the spaces before each
    longest = max(len(line.text) for line in lines if line.span)
    names = min(longest, width - columns)
    if names > width - columns - SHORTEST_BAR - 2 >= SHORTEST_NAMES:
        names = width - columns - SHORTEST_BAR - 2
    bars = min(LONGEST_BAR, width - columns - names - 2)
    for line in lines:
        period = line.period if bars >= SHORTEST_BAR else None
        text = cut(line.text, names if line.span else names + columns if period else width)
        if line.span:
            service, kind = cut(plain(line.span.service), services), cut(plain(line.span.kind.lower()), 8)
            took = "missing" if id(line.span) in absent else cut(lasting(line.span.duration), 9)
            text = f"{text:<{names}}  {service:<{services}}  {kind:<8}  {took:>9}"
        if period and bounds:
            text = f"{text:<{names + columns}}  {_bar(period, bounds, bars, line.ink)}"
        yield text.rstrip()


def _lines(trace: Trace) -> Iterator[_Line]:
    rails = [""]
    for node in trace.tree():
        rail = rails[node.depth]
        branch, onward = ("└─ ", "   ") if node.last else ("├─ ", "│  ")
        if node.depth == 0:
            branch, onward = "", ""
        rails[node.depth + 1 :] = [_shortened(rail + onward)]
        if node.span is None:
            yield _Line(_gap(node), of=node.id)
            continue
        if node.circle:
            yield _Line("the parents of the next span lead back to itself:")
        if wait := queue_wait(node):
            yield _Line(f"{rail}┊  {_waited(wait, node)}", period=_waiting(wait, node.span), ink="░", tone="wait")
        if fault := clock_fault(node):
            yield _Line(f"{rail}┊  {fault}", tone="wait")
        below = f"{rail}{onward}{'│  ' if node.children else ''}"
        tone: Tone = "error" if node.span.error else ""
        again = " (duplicate)" if node.span.tags.get(DUPLICATE_TAG) == "true" else ""
        name = rail + branch + (plain(node.span.name) or "(no name)") + again
        yield _Line(name, node.span, _running(node.span), tone=tone, of=node.id, below=below)
        if node.span.error:
            yield _Line(f"{below}✗ {plain(node.span.error)}", tone="error")


def _gap(node: Node) -> str:
    missing = plain(node.id)
    if all(span.kind == "SERVER" for span in node.children):
        return f"called by span {missing}, which is not in this trace"
    return f"gap: span {missing} is missing"


def _waited(wait: Wait, node: Node) -> str:
    topic = f"topic {plain(wait.topic)}" if wait.topic else "its topic"
    if wait.microseconds < 0:
        return f"processed {lasting(-wait.microseconds)} before it was sent to {topic}: the clocks differ"
    return f"waited {'' if wait.measured else 'about '}{lasting(wait.microseconds)} in {topic}"


def _waiting(wait: Wait, span: Span) -> Period | None:
    if span.start is None or wait.microseconds < 0:
        return None
    return (span.start - wait.microseconds, span.start)


def _running(span: Span) -> Period | None:
    return None if span.start is None or span.end is None else (span.start, max(span.start, span.end))


def _bounds(trace: Trace) -> Period | None:
    periods = [period for period in map(_running, trace.spans) if period]
    return (min(start for start, _ in periods), max(end for _, end in periods)) if periods else None


def _bar(period: Period, bounds: Period, width: int, ink: str) -> str:
    scale = width / max(bounds[1] - bounds[0], 1)
    start = min(max(int((period[0] - bounds[0]) * scale), 0), width - 1)
    end = min(max(math.ceil((period[1] - bounds[0]) * scale), start + 1), width)
    return " " * start + ink * (end - start)


def _shortened(rail: str) -> str:
    return rail if len(rail) <= DEEPEST else "⋯" + rail[1 - DEEPEST :]
