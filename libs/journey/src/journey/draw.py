"""A trace as a tree in plain text."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from journey.queues import Wait, queue_wait
from journey.trace import Node, Span, Trace

NARROWEST: Final = 60
SHORTEST_NAMES: Final = 28
SHORTEST_BAR: Final = 16
LONGEST_BAR: Final = 60
DEEPEST: Final = 24  # characters of connecting lines

Period = tuple[float, float]  # from and to, in microseconds


@dataclass(frozen=True)
class _Line:
    text: str
    span: Span | None = None  # fills the columns service, kind and duration
    period: Period | None = None
    ink: str = "█"


def draw(trace: Trace, width: int = 100) -> str:
    """Draw a trace as a tree, a line for each span: name, service, kind, duration, and a bar for when it was.

    Between sending and processing a message a line tells how long it waited in its topic: "about" where only the gap
    between the two spans tells. Errors, and parents that the trace does not have, get lines of their own. No line is
    longer than `width`, which is 60 at least. Narrow drawings have no bars.
    """
    width = max(width, NARROWEST)
    lines = list(_lines(trace))
    bounds = _bounds(trace)
    services = min(16, max(len(_plain(span.service)) for span in trace.spans))
    columns = services + 23  # with kind, duration and the spaces before each
    longest = max(len(line.text) for line in lines if line.span)
    names = min(longest, width - columns)
    if names > width - columns - SHORTEST_BAR - 2 >= SHORTEST_NAMES:
        names = width - columns - SHORTEST_BAR - 2
    bars = min(LONGEST_BAR, width - columns - names - 2)
    drawn = []
    for line in lines:
        period = line.period if bars >= SHORTEST_BAR else None
        text = _cut(line.text, names if line.span else names + columns if period else width)
        if line.span:
            service, kind = _cut(_plain(line.span.service), services), _cut(_plain(line.span.kind.lower()), 8)
            text = f"{text:<{names}}  {service:<{services}}  {kind:<8}  {_cut(_time(line.span.duration), 9):>9}"
        if period and bounds:
            text = f"{text:<{names + columns}}  {_bar(period, bounds, bars, line.ink)}"
        drawn.append(text.rstrip())
    head = [f"trace {_plain(trace.id)}", _summary(trace, bounds)]
    return "\n".join([*(_cut(line, width) for line in head), "", *drawn])


def _lines(trace: Trace) -> Iterator[_Line]:
    rails = [""]
    for node in trace.tree():
        rail = rails[node.depth]
        branch, onward = ("└─ ", "   ") if node.last else ("├─ ", "│  ")
        if node.depth == 0:
            branch, onward = "", ""
        rails[node.depth + 1 :] = [_shortened(rail + onward)]
        if node.span is None:
            yield _Line(_gap(node))
            continue
        if node.circle:
            yield _Line("the parents of the next span lead back to itself:")
        if wait := queue_wait(node):
            yield _Line(f"{rail}┊  {_waited(wait, node)}", period=_waiting(wait, node.span), ink="░")
        yield _Line(rail + branch + (_plain(node.span.name) or "(no name)"), node.span, _running(node.span))
        if node.span.error:
            yield _Line(f"{rail}{onward}{'│  ' if node.children else ''}✗ {_plain(node.span.error)}")


def _gap(node: Node) -> str:
    missing = _plain(node.id)
    if all(span.kind == "SERVER" for span in node.children):
        return f"called by span {missing}, which is not in this trace"
    return f"gap: span {missing} is missing"


def _waited(wait: Wait, node: Node) -> str:
    topic = f"topic {_plain(wait.topic)}" if wait.topic else "its topic"
    if wait.microseconds < 0:
        return f"processed {_time(-wait.microseconds)} before it was sent to {topic}: the clocks differ"
    return f"waited {'' if wait.measured else 'about '}{_time(wait.microseconds)} in {topic}"


def _waiting(wait: Wait, span: Span) -> Period | None:
    if span.start is None or wait.microseconds < 0:
        return None
    return (span.start - wait.microseconds, span.start)


def _running(span: Span) -> Period | None:
    return None if span.start is None or span.end is None else (span.start, span.end)


def _bounds(trace: Trace) -> Period | None:
    periods = [period for period in map(_running, trace.spans) if period]
    return (min(start for start, _ in periods), max(end for _, end in periods)) if periods else None


def _summary(trace: Trace, bounds: Period | None) -> str:
    services = len({span.service for span in trace.spans if span.service})
    errors = sum(span.error is not None for span in trace.spans)
    counts = [
        _count(len(trace.spans), "span"),
        _count(services, "service"),
        *([_count(errors, "error")] * bool(errors)),
    ]
    return ", ".join(counts) + (f", {_time(bounds[1] - bounds[0])} in all" if bounds else "")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _bar(period: Period, bounds: Period, width: int, ink: str) -> str:
    scale = width / max(bounds[1] - bounds[0], 1)
    start = min(max(int((period[0] - bounds[0]) * scale), 0), width - 1)
    end = min(max(math.ceil((period[1] - bounds[0]) * scale), start + 1), width)
    return " " * start + ink * (end - start)


def _time(microseconds: float | None) -> str:
    if microseconds is None:
        return "?"
    if microseconds < 1_000:
        return f"{microseconds:.0f} µs"
    if microseconds < 1_000_000:
        return f"{microseconds / 1_000:.1f} ms"
    if microseconds < 60_000_000:
        return f"{microseconds / 1_000_000:.2f} s"
    return f"{microseconds // 60_000_000:.0f} min {microseconds // 1_000_000 % 60:.0f} s"


def _shortened(rail: str) -> str:
    return rail if len(rail) <= DEEPEST else "⋯" + rail[1 - DEEPEST :]


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _plain(text: str) -> str:
    # A name comes from outside: no line breaks, no terminal commands.
    return "".join(character if character.isprintable() else "�" for character in text)
