"""Records that brought no context along."""

from collections.abc import Iterable, Iterator

from journey.chain import named
from journey.doctor.case import Case
from journey.doctor.cause import Cause
from journey.doctor.finding import Finding
from journey.doctor.records import senders_of
from journey.messaging import is_poll_of_many, linked_from, only_receives, place_of, topic_of
from journey.trace import Span


def begun_without_context(case: Case) -> Iterator[Finding]:
    """Find CONSUMER spans that begin the trace: the record came without a context, or with one that was no good."""
    begun = (span for span in case.trace.spans if span.kind == "CONSUMER" and case.begins(span))
    for span in {span.identity: span for span in begun}.values():
        handled = [each for each in case.trace.children(span) if each.kind == "CONSUMER"]
        # A poll that has the work on each record below it leaves the links to them.
        linking = (span, *(handled if only_receives(span) else ()))
        links = [(each, link) for each in linking for link in linked_from(each)]
        if links:
            yield from _linked(case, span, links)
        elif handled or not is_poll_of_many(span):
            yield _alone(case, handled[0] if handled and is_poll_of_many(span) else span)


def _linked(case: Case, span: Span, links: Iterable[tuple[Span, tuple[str, str]]]) -> Iterator[Finding]:
    """A poll is not part of a journey that goes on below its sender."""
    apart = ((linking, link) for linking, link in links if link[0] != case.trace.id)
    for linking, (other, sent) in apart:
        if only_receives(span) and case.asked_for_a_link(other) and _is_handled(case, other, sent):
            continue
        which = "" if linking is span else f" {named(linking)} below it"
        says = f"{named(span)} begins this trace, and{which} links to trace {other}."
        yield Finding(Cause.LINKED, says, span.id, other, about=topic_of(span))
        return


def _is_handled(case: Case, trace_id: str, sent: str) -> bool:
    trace = case.traces(trace_id)
    if trace is None:
        return False
    below = (each for sender in trace.spans if sender.id == sent for each in trace.children(sender))
    return any(each.kind == "CONSUMER" for each in below)


def _alone(case: Case, span: Span) -> Finding:
    record = f"the record that {named(span)} read"
    place, topic = place_of(span), topic_of(span)
    record += f" ({place})" if place else ""
    if senders := [each for each in senders_of(case, span) if each.trace_id != case.trace.id]:
        sender = senders[0]
        says = f"{record} was sent by {named(sender)} in trace {sender.trace_id}, and came without a context."
        return Finding(Cause.STRIPPED, says, span.id, sender.trace_id, about=topic)
    says = f"{record} came without a context, and no span tells who sent it."
    return Finding(Cause.NOT_INJECTED, says, span.id, about=topic)
