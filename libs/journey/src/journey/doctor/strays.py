"""Traces that a service began while it had a record in hand: its handler was left without a context."""

from collections.abc import Iterable, Iterator
from typing import Final

from journey.chain import named
from journey.doctor.case import SECOND, Case
from journey.doctor.cause import Cause
from journey.doctor.finding import Finding
from journey.formatting import lasting
from journey.messaging import key_of, only_receives, topic_of
from journey.trace import Span, Trace

# What a handler begins, it begins soon after its record was handed over.
SOON: Final = 2 * SECOND
# How long before a stray beginning the journey is looked for that it belongs to.
BEFORE: Final = 60 * SECOND
# What begins so often while no record is in hand is a poller's own.
OFTEN: Final = 2
_BEGINNINGS: Final = ("PRODUCER", "CLIENT", "INTERNAL")
_POLLERS: Final = ("CLIENT", "INTERNAL")


def lost_after(case: Case) -> Iterator[Finding]:
    """Find CONSUMER spans with nothing below, whose service began another trace right then."""
    taken: dict[str, list[Span]] = {}
    for span in case.trace.spans:
        if span.kind == "CONSUMER" and span.start is not None and not case.trace.children(span):
            taken.setdefault(span.service, []).append(span)
    pollers: dict[tuple[str, str, str], bool] = {}
    for service, spans in taken.items():
        strays = sorted(_strays(case, service, spans), key=_start)
        for span in spans:
            stray = next((each for each in strays if _may_be_of(each, span)), None)
            if stray is None:
                continue
            if _step(stray) not in pollers:
                pollers[_step(stray)] = _is_pollers(case, stray, span)
            if not pollers[_step(stray)]:
                says = f"nothing is under {named(span)}, and {_later(span, stray)} {named(stray)} began a trace"
                says += f" of its own, {stray.trace_id}."
                about = f"under {service} {topic_of(span)}"
                yield Finding(Cause.LOST, says, span.id, stray.trace_id, about=about)


def lost_before(case: Case) -> Iterator[Finding]:
    """Find traces that a consumer began right after it had taken a record of another trace."""
    begun = {(stray.service, stray.kind, stray.name): stray for stray in reversed(list(_beginnings([case.trace])))}
    for stray in begun.values():
        if stray.start is None:
            continue
        others = case.source.begun(stray.service, stray.start - BEFORE, stray.start)
        taken = [span for span in _taken(others, case, stray.service, childless=True) if _may_be_of(stray, span)]
        if taken and not _is_pollers(case, stray, span := max(taken, key=_start)):
            says = f"{named(stray)} begins this trace, {_later(span, stray)} {named(span)} took a record"
            says += f" in trace {span.trace_id}."
            yield Finding(Cause.LOST, says, stray.id, span.trace_id)


def began_after(case: Case, taken: Span) -> bool:
    """Tell whether a service began a trace of its own right after it took a record, and no poller's."""
    strays = (each for each in _strays(case, taken.service, [taken]) if _may_be_of(each, taken))
    return any(not _is_pollers(case, each, taken) for each in strays)


def _strays(case: Case, service: str, taken: Iterable[Span]) -> Iterator[Span]:
    """Go through what a service began within the time of its records; times that overlap are looked at together."""
    until = -1
    periods: list[tuple[int, int]] = []
    for span in sorted(taken, key=_start):
        start, end = _start(span), (span.end or 0) + SOON
        if start <= until:
            start = periods.pop()[0]
        until = max(until, end)
        periods.append((start, until))
    for start, end in periods:
        others = [trace for trace in case.source.begun(service, start, end) if trace.id != case.trace.id]
        yield from (each for each in _beginnings(others) if each.service == service)


def _beginnings(traces: Iterable[Trace]) -> Iterator[Span]:
    for trace in traces:
        yield from (span for span in trace.spans if span.parent_id is None and span.kind in _BEGINNINGS)


def _taken(traces: Iterable[Trace], case: Case, service: str, *, childless: bool) -> Iterator[Span]:
    """Go through the records that a service took, in other traces."""
    for trace in traces:
        if trace.id != case.trace.id:
            for span in trace.spans:
                if span.kind == "CONSUMER" and span.service == service and not (childless and trace.children(span)):
                    yield span


def _may_be_of(stray: Span, taken: Span) -> bool:
    # A span that lasts as long as its handler has what the handler does within it.
    until = (taken.end or 0) + (SOON if only_receives(taken) else 0)
    if stray.start is None or taken.start is None or not taken.start <= stray.start <= until:
        return False
    keys = key_of(stray), key_of(taken)
    if all(keys):
        return keys[0] == keys[1]
    return topic_of(stray) != topic_of(taken)


def _is_pollers(case: Case, stray: Span, taken: Span) -> bool:
    """Tell whether a service begins the same again and again, while it has no record in hand too."""
    if stray.kind not in _POLLERS or stray.start is None or key_of(stray):
        return False
    around = case.source.begun(stray.service, stray.start - BEFORE, stray.start + BEFORE)
    in_hand = [taken, *case.trace.spans, *case.topic(topic_of(taken)).readers]
    in_hand = [span for span in in_hand if span.kind == "CONSUMER" and span.service == stray.service]
    in_hand += _taken(around, case, stray.service, childless=False)
    alike = [each for each in _beginnings(around) if _step(each) == _step(stray)]
    alone = [each for each in alike if not any(_may_be_of(each, span) for span in in_hand)]
    return len(alone) >= OFTEN


def _step(span: Span) -> tuple[str, str, str]:
    return span.service, span.kind, span.name


def _start(span: Span) -> int:
    return span.start or 0


def _later(taken: Span, stray: Span) -> str:
    return f"{lasting((stray.start or 0) - (taken.start or 0))} after"
