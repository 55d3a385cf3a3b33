"""Spans whose parent is not there, and traces that begin more than once."""

from collections.abc import Iterator

from journey.chain import named
from journey.doctor.case import Case
from journey.doctor.finding import Cause, Finding
from journey.doctor.records import holders_of
from journey.messaging import place_of, topic_of
from journey.queues import queue_wait
from journey.trace import Node, Span
from journey.words import moment


def missing_parents(case: Case) -> Iterator[Finding]:
    """Find spans that name a parent which the trace does not have. A caller of a SERVER may well be elsewhere."""
    for node in case.nodes:
        if node.span is None and any(child.kind != "SERVER" for child in node.children):
            yield _missing(case, node)


def several_starts(case: Case) -> Iterator[Finding]:
    """Find traces in which several spans have no parent at all."""
    starts = [node.span for node in case.nodes if node.span and node.span.parent_id is None]
    # A message that is handled again has its span id again.
    for span in {span.id: span for span in starts[1:] if span.id != starts[0].id}.values():
        yield Finding(Cause.TWO_STARTS, f"{named(span)} begins the trace, and so does {named(starts[0])}.", span.id)


def _missing(case: Case, node: Node) -> Finding:
    child = next(span for span in node.children if span.kind != "SERVER")
    hop = f"{named(child)} names the parent {node.id}, which is not there"
    hop += f": the span that sent to {topic_of(child)}" if child.kind == "CONSUMER" and topic_of(child) else ""
    if others := [each for each in _senders(case, child) if each.id != node.id]:
        says = f"{hop}. The record was sent by {named(others[0])} in trace {others[0].trace_id}."
        return Finding(Cause.REPLACED, says, node.id, others[0].trace_id)
    if case.young:
        return Finding(Cause.UNDER_WAY, f"{hop}. A parent may end, and arrive, after its children.", node.id)
    began, oldest = _began_at_the_latest(child), case.source.oldest()
    if began and oldest and began < oldest:
        says = f"It began before {moment(began)}, and the first trace in {case.source.name} is of {moment(oldest)}."
        return Finding(Cause.EVICTED, f"{hop}. {says}", node.id)
    topic = topic_of(child)
    if child.kind == "CONSUMER" and case.readers(topic) and not case.senders(topic):
        return Finding(
            Cause.NOT_SAMPLED,
            f"{hop}. Messages of that topic are read, and no span of anybody who sends one is there.",
            node.id,
        )
    return Finding(Cause.DROPPED, f"{hop}. The work went on, so it happened; its span was lost.", node.id)


def _senders(case: Case, child: Span) -> list[Span]:
    return holders_of(case, child, ("PRODUCER",)) if child.kind == "CONSUMER" and place_of(child) else []


def _began_at_the_latest(child: Span) -> float | None:
    """Return when the parent of a span had begun: a message was sent before it waited."""
    if child.start is None:
        return None
    wait = queue_wait(Node(child.id, child))
    return child.start - (wait.microseconds if wait else 0)
