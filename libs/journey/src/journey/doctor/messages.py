"""Messages that were sent and that nothing in the trace has read."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from journey.chain import named
from journey.doctor.case import Case
from journey.doctor.cause import Cause
from journey.doctor.finding import Finding
from journey.doctor.queue import is_expected, waiting
from journey.doctor.records import readers_of
from journey.doctor.strays import began_after
from journey.formatting import moment
from journey.messaging import DUE, is_dead_letters, is_retry, linked_from, place_of, reads, settles, topic_of
from journey.queues import noted_wait
from journey.trace import Span


def unread(case: Case) -> Iterator[Finding]:
    """Find messages that nothing in the trace has read."""
    elsewhere: dict[str, Finding] = {}
    sent = {span.identity: span for span in case.trace.spans if span.kind == "PRODUCER" and span.error is None}
    for span in sent.values():
        topic = topic_of(span)
        if _may_end(case, span):
            continue
        if is_dead_letters(topic, after_failure=case.after_failure(span)):
            if not _sent_back(case, span):
                yield _dead(case, span)
        elif _is_read(case, span):
            continue
        elif found := _elsewhere(case, span) or _like_others(case, span, elsewhere):
            elsewhere.setdefault(topic, found)
            yield replace(found, at=found.at if found.cause is Cause.MISPLACED else span.id)
        else:
            yield _in_retry(case, span) or waiting(case, span)


def _may_end(case: Case, sent: Span) -> bool:
    """Tell whether nothing is expected of a message, or of this span of it."""
    below, topic = case.trace.children(sent), topic_of(sent)
    return (
        sent.id in case.ends
        or topic in case.end_topics
        # One instrumentation above another: the inner span is the one that is read.
        or any(each.kind == "PRODUCER" and topic_of(each) == topic for each in below)
        or (sent.start or 0) <= case.bridged
    )


def _is_read(case: Case, sent: Span) -> bool:
    return sent.id in case.linked or any(map(reads, case.trace.children(sent)))


def _sent_back(case: Case, letter: Span) -> bool:
    """Tell whether something was sent below a dead letter, or below what links to it. Who reads it may only look."""
    this = (case.trace.id, letter.id)
    linking = (span for span in case.trace.spans if this in linked_from(span)) if letter.id in case.linked else ()
    stack, met = [letter, *linking], set()
    while stack:
        span = stack.pop()
        if span.identity in met:
            continue
        met.add(span.identity)
        if span.kind == "PRODUCER" and topic_of(span) != topic_of(letter):
            return True
        stack += case.trace.children(span)
    return False


def _dead(case: Case, span: Span) -> Finding:
    why = next((each.error for each in case.ancestors(span) if each.error), None)
    says = f"{named(span)} set the message aside in {topic_of(span)}" + (f": {why}." if why else ".")
    return Finding(Cause.DEAD, says, span.id, about=topic_of(span))


def _elsewhere(case: Case, sent: Span) -> Finding | None:
    """Look for who read the record in another trace, or in this one and not below its sender."""
    topic, this = topic_of(sent), (case.trace.id, sent.id)
    linked = case.topic(topic).by_link.get(this)
    if linked and ((found := _linked(case, sent, linked)).cause is not Cause.POLLED or _may_be_polled(case, sent)):
        return found
    for reader in readers_of(case, sent):
        if this in linked_from(reader):
            return _linked(case, sent, reader)
        if reader.trace_id == case.trace.id:
            says = f"{named(reader)} has read what {named(sent)} sent, and is not under it."
            return Finding(Cause.MISPLACED, says, reader.id, about=topic)
        says = f"{named(reader)} has read what {named(sent)} sent ({place_of(reader)}), in trace {reader.trace_id}"
        if reader.parent_id is None:
            return Finding(Cause.STRIPPED, f"{says}, which it begins.", sent.id, reader.trace_id, about=topic)
        says = f"{says}, under span {reader.parent_id}."
        return Finding(Cause.REPLACED, says, sent.id, reader.trace_id, about=topic)
    return None


def _like_others(case: Case, sent: Span, found: Mapping[str, Finding]) -> Finding | None:
    """Return what was found of others of its topic, if too many were asked about."""
    topic = topic_of(sent)
    other = found.get(topic) if case.asked_enough(topic) else None
    return None if other and other.cause is Cause.POLLED and not _may_be_polled(case, sent) else other


def _may_be_polled(case: Case, sent: Span) -> bool:
    """Tell whether a mere poll is all that may be known of a message that is read."""
    return not is_expected(case, sent) and not case.is_consumed(topic_of(sent))


def _linked(case: Case, sent: Span, reader: Span) -> Finding:
    topic = topic_of(sent)
    if reader.kind == "CLIENT" and not _goes_on(case, reader):
        says = f"{named(reader)} took what {named(sent)} sent, in trace {reader.trace_id}, and nothing came of it."
        return Finding(Cause.POLLED, says, sent.id, reader.trace_id, about=topic)
    says = f"{named(reader)} links to {named(sent)}, and is in trace {reader.trace_id}."
    return Finding(Cause.LINKED, says, sent.id, reader.trace_id, about=topic)


def _goes_on(case: Case, poll: Span) -> bool:
    """Tell whether a poll of several messages has the work on them below it; where it cannot be told, it has."""
    trace = case.traces(poll.trace_id)
    below = trace.children(poll) if trace else ()
    return trace is None or any(not settles(each) for each in below) or began_after(case, poll)


def _in_retry(case: Case, sent: Span) -> Finding | None:
    topic = topic_of(sent)
    if not is_retry(topic) or sent.end is None:
        return None
    noted, waited = _due(case.trace.parent(sent)), min(map(noted_wait, case.topic(topic).readers), default=0)
    due = noted or (sent.end + waited if waited else None)
    aside = f"{named(sent)} set the message aside in {topic}"
    if due is None and case.young:
        return Finding(Cause.RETRY, f"{aside}, until it is due.", sent.id, about=topic)
    if due is None or due + case.patience < case.now:
        return None
    says = f"{aside} until {'' if noted else 'about '}{moment(due)}."
    return Finding(Cause.RETRY, says, sent.id, due=due, about=topic)


def _due(failed: Span | None) -> int | None:
    try:
        return int(datetime.fromisoformat(failed.tags[DUE]).timestamp() * 1e6) if failed else None
    except (KeyError, ValueError, OverflowError):
        return None
