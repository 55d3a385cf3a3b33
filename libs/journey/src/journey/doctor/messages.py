"""Messages that were sent and that nothing in the trace has read."""

from collections.abc import Iterator
from datetime import datetime

from journey.chain import named
from journey.doctor.case import Case
from journey.doctor.finding import Cause, Finding
from journey.doctor.records import holders_of
from journey.messaging import DUE, is_dead_letters, is_retry, linked_from, partition_of, place_of, topic_of
from journey.queues import WAIT_TAG
from journey.trace import Span
from journey.words import moment


def unread(case: Case) -> Iterator[Finding]:
    """Find messages that no CONSUMER is below of, each once."""
    sent = {span.id: span for span in case.trace.spans if span.kind == "PRODUCER" and span.error is None}
    for span in sent.values():
        below = case.children.get(span.id, ())
        if span.id in case.ends or any(each.kind == "CONSUMER" for each in below) or _bridged(case, span):
            continue
        if is_dead_letters(topic_of(span)):
            if not below:  # what is sent back is sent below the letter
                yield _dead(case, span)
        else:
            yield _elsewhere(case, span) or _in_retry(case, span) or _waiting(case, span)


def _bridged(case: Case, sent: Span) -> bool:
    """Tell whether the work went on under a span that is missing: the gap is a finding of its own."""
    return any(
        child.kind not in ("SERVER", "CONSUMER") and (child.start or 0) >= (sent.start or 0)
        for node in case.nodes
        if node.span is None
        for child in node.children
    )


def _dead(case: Case, span: Span) -> Finding:
    why = next((each.error for each in case.ancestors(span) if each.error), None)
    says = f"{named(span)} set the message aside in {topic_of(span)}" + (f": {why}." if why else ".")
    return Finding(Cause.DEAD, says, span.id)


def _elsewhere(case: Case, sent: Span) -> Finding | None:
    """Look for who read the record in another trace."""
    topic = topic_of(sent)
    for reader in (*holders_of(case, sent, ("CONSUMER",)), *case.readers(topic)):
        if (case.trace.id, sent.id) in linked_from(reader):
            says = f"{named(reader)} links to {named(sent)}, and is in trace {reader.trace_id}."
            return Finding(Cause.LINKED, says, sent.id, reader.trace_id)
    for reader in holders_of(case, sent, ("CONSUMER",)):
        if reader.trace_id == case.trace.id:
            says = f"{named(reader)} has read what {named(sent)} sent, and is not under it."
            return Finding(Cause.MISPLACED, says, reader.id)
        says = f"{named(reader)} has read what {named(sent)} sent ({place_of(reader)}), in trace {reader.trace_id}"
        if reader.parent_id is None:
            return Finding(Cause.STRIPPED, f"{says}, which it begins.", sent.id, reader.trace_id)
        return Finding(Cause.REPLACED, f"{says}, under span {reader.parent_id}.", sent.id, reader.trace_id)
    return None


def _in_retry(case: Case, sent: Span) -> Finding | None:
    topic = topic_of(sent)
    if not is_retry(topic) or sent.end is None:
        return None
    noted, waited = _due(case.parent(sent)), min(map(_wait, case.readers(topic)), default=0)
    due = noted or (sent.end + waited if waited else None)
    if due is None and case.young:
        return Finding(Cause.RETRY, f"{named(sent)} set the message aside in {topic}, until it is due.", sent.id)
    if due is None or due + case.patience < case.now:
        return None
    says = f"{named(sent)} set the message aside in {topic} until {'' if noted else 'about '}{moment(due)}."
    return Finding(Cause.RETRY, says, sent.id, due=due)


def _waiting(case: Case, sent: Span) -> Finding:
    topic = topic_of(sent) or "its topic"
    since = [reader for reader in case.readers(topic) if (reader.start or 0) > (sent.start or 0)]
    place = place_of(sent)
    hop = f"nothing has read what {named(sent)} sent to {f'topic {place}' if place else topic}"
    if not case.young and place and any(_behind(reader, sent) for reader in since):
        says = f"{hop}, and what came after it in the partition was read: it was read too, or passed over."
        return Finding(Cause.DROPPED, says, sent.id)
    if case.young:
        return Finding(Cause.QUEUED, f"{hop}, yet.", sent.id)
    if since:
        return Finding(Cause.QUEUED, f"{hop}, while other messages of the topic are read.", sent.id)
    return Finding(Cause.NOT_RUNNING, f"{hop}, nor anything else of the topic since.", sent.id)


def _behind(reader: Span, sent: Span) -> bool:
    read, place = place_of(reader), place_of(sent)
    if not read or not place or partition_of(reader) != place.partition:
        return False
    return read.offset.isdecimal() and place.offset.isdecimal() and int(read.offset) > int(place.offset)


def _due(failed: Span | None) -> int | None:
    try:
        return int(datetime.fromisoformat(failed.tags[DUE]).timestamp() * 1e6) if failed else None
    except (KeyError, ValueError, OverflowError):
        return None


def _wait(reader: Span) -> int:
    text = reader.tags.get(WAIT_TAG, "")
    return int(text) * 1000 if text.isdecimal() else 0
