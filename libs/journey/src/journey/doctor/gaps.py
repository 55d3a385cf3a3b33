"""Spans whose parent is not there, and traces that begin more than once or in a circle."""

from collections.abc import Iterator

from journey.chain import named
from journey.doctor.case import Case
from journey.doctor.cause import Cause
from journey.doctor.finding import Finding
from journey.doctor.records import senders_of
from journey.formatting import moment
from journey.messaging import place_of, reads, topic_of
from journey.queues import queue_wait
from journey.trace import Node, Span


def missing_parents(case: Case) -> Iterator[Finding]:
    """Find spans that name a parent which the trace does not have.

    A caller of a SERVER may well be elsewhere, where the trace has no other beginning.
    """
    begun = any(map(case.begins, case.trace.spans))
    for node in case.nodes:
        if node.span is None and (begun or any(child.kind != "SERVER" for child in node.children)):
            yield _missing(case, node)


def not_understood(case: Case) -> Iterator[Finding]:
    """Find spans that are there and could not be read: nobody knows what they say."""
    for says in case.trace.left_out:
        yield Finding(Cause.NOT_UNDERSTOOD, f"{says}.", about=case.trace.id)


def several_starts(case: Case) -> Iterator[Finding]:
    """Find traces in which several spans have no parent at all, or whose parents lead back to themselves."""
    starts = [node.span for node in case.nodes if node.span and case.begins(node.span)]
    # A message that is handled again has its span id again.
    for span in {span.id: span for span in starts[1:] if span.id != starts[0].id}.values():
        says = f"{named(span)} begins the trace, and so does {named(starts[0])}."
        yield Finding(Cause.TWO_STARTS, says, span.id, about=f"{span.service} {span.name}")
    for node in case.nodes:
        if node.span and node.circle:
            yield Finding(Cause.MISPLACED, f"the parents of {named(node.span)} lead back to it.", node.id)


def _missing(case: Case, node: Node) -> Finding:
    child = next((span for span in node.children if span.kind != "SERVER"), node.children[0])
    topic, about = topic_of(child), f"{child.service} {child.name}"
    hop = f"{named(child)} names the parent {node.id}, which is not there"
    hop += f": the span that sent to {topic}" if reads(child) and topic else ""
    if others := [each for each in _senders(case, child) if each.id != node.id]:
        says = f"{hop}. The record was sent by {named(others[0])} in trace {others[0].trace_id}."
        return Finding(Cause.REPLACED, says, node.id, others[0].trace_id, about=about)
    if case.young:
        says = f"{hop}. A parent may end, and arrive, after its children: then {child.service} has it in hand."
        says = f"{hop}. A parent may end, and arrive, after its children." if reads(child) else says
        return Finding(Cause.UNDER_WAY, says, node.id, about=about)
    began, oldest = _began_at_the_latest(child), case.oldest
    if began and oldest and began < oldest:
        says = f"It began before {moment(began)}, and the first trace in {case.source.name} is of {moment(oldest)}."
        return Finding(Cause.EVICTED, f"{hop}. {says}", node.id, about=about)
    if reads(child) and case.topic(topic).readers and not _has_sender(case, topic):
        says = f"{hop}. Messages of that topic are read, and no span of anybody who sends one is there."
        return Finding(Cause.NOT_SAMPLED, says, node.id, about=about)
    says = f"{hop}. The work went on, so it happened; its span was lost."
    return Finding(Cause.DROPPED, says, node.id, about=about)


def _senders(case: Case, child: Span) -> list[Span]:
    return senders_of(case, child) if child.kind == "CONSUMER" and place_of(child) else []


def _has_sender(case: Case, topic: str) -> bool:
    here = any(span.kind == "PRODUCER" and topic_of(span) == topic for span in case.trace.spans)
    return here or bool(case.topic(topic).senders)


def _began_at_the_latest(child: Span) -> float | None:
    """Return when the parent of a span had begun: a message was sent before it waited."""
    if child.start is None:
        return None
    wait = queue_wait(Node(child.id, child))
    return child.start - (wait.microseconds if wait else 0)
