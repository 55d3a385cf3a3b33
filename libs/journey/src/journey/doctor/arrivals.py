"""Records that brought no context along, and consumers that did not pass theirs on."""

from collections.abc import Iterator
from typing import Final

from journey.chain import named
from journey.doctor.case import SECOND, Case
from journey.doctor.finding import Cause, Finding
from journey.doctor.records import holders_of
from journey.messaging import KEY, linked_from, only_receives, place_of, topic_of
from journey.trace import Span, Trace
from journey.words import lasting

# What a handler begins, it begins soon after its record was handed over.
SOON: Final = 2 * SECOND
# How long before a stray beginning the journey is looked for that it belongs to.
BEFORE: Final = 60 * SECOND
_BEGINNINGS: Final = ("PRODUCER", "CLIENT", "INTERNAL")


def begun_without_context(case: Case) -> Iterator[Finding]:
    """Find CONSUMER spans that begin the trace: the record came without a context, or with one that was no good."""
    for span in {
        span.id: span for span in case.trace.spans if span.kind == "CONSUMER" and span.parent_id is None
    }.values():
        record = f"the record that {named(span)} read"
        place = place_of(span)
        record += f" ({place})" if place else ""
        if links := list(linked_from(span)):
            says = f"{named(span)} begins this trace, and links to trace {links[0][0]}."
            yield Finding(Cause.LINKED, says, span.id, links[0][0])
        elif senders := [each for each in holders_of(case, span, ("PRODUCER",)) if each.trace_id != case.trace.id]:
            sender = senders[0]
            says = f"{record} was sent by {named(sender)} in trace {sender.trace_id}, and came without a context."
            yield Finding(Cause.STRIPPED, says, span.id, sender.trace_id)
        else:
            yield Finding(
                Cause.NOT_INJECTED, f"{record} came without a context, and no span tells who sent it.", span.id
            )


def lost_after(case: Case) -> Iterator[Finding]:
    """Find CONSUMER spans with nothing below, whose service began another trace right then."""
    for span in case.trace.spans:
        if span.kind != "CONSUMER" or span.start is None or case.children.get(span.id):
            continue
        others = case.source.begun(span.service, span.start, (span.end or 0) + SOON)
        strays = [each for trace in others if trace.id != case.trace.id for each in _beginnings(trace, span.service)]
        for stray in sorted(strays, key=lambda each: each.start or 0):
            if _may_be_of(stray, span):
                says = f"nothing is under {named(span)}, and {_later(span, stray)} {named(stray)} began a trace"
                says += f" of its own, {stray.trace_id}."
                yield Finding(Cause.LOST, says, span.id, stray.trace_id)
                break


def lost_before(case: Case) -> Iterator[Finding]:
    """Find traces that a consumer began right after it had taken a record of another trace."""
    for stray in _beginnings(case.trace, None):
        if stray.start is None:
            continue
        others = case.source.begun(stray.service, stray.start - BEFORE, stray.start)
        taken = [
            span
            for trace in others
            if trace.id != case.trace.id
            for span in trace.spans
            if span.kind == "CONSUMER" and span.service == stray.service and _may_be_of(stray, span)
            if not any(each.parent_id == span.id for each in trace.spans)
        ]
        if taken:
            span = max(taken, key=lambda each: each.start or 0)
            says = f"{named(stray)} begins this trace, {_later(span, stray)} {named(span)} took a record"
            says += f" in trace {span.trace_id}."
            yield Finding(Cause.LOST, says, stray.id, span.trace_id)


def _beginnings(trace: Trace, service: str | None) -> Iterator[Span]:
    for span in trace.spans:
        if span.parent_id is None and span.kind in _BEGINNINGS and service in (None, span.service):
            yield span


def _may_be_of(stray: Span, taken: Span) -> bool:
    # A span that lasts as long as its handler has what the handler does within it.
    until = (taken.end or 0) + (SOON if only_receives(taken) else 0)
    if stray.start is None or taken.start is None or not taken.start <= stray.start <= until:
        return False
    keys = stray.tags.get(KEY), taken.tags.get(KEY)
    if all(keys):
        return keys[0] == keys[1]
    return topic_of(stray) != topic_of(taken)


def _later(taken: Span, stray: Span) -> str:
    return f"{lasting((stray.start or 0) - (taken.start or 0))} after"
