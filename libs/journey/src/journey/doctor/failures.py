"""Steps that failed, and after which nothing went on."""

import re
from collections.abc import Iterator, Mapping

from journey.chain import named
from journey.doctor.case import Case
from journey.doctor.cause import Cause
from journey.doctor.finding import Finding
from journey.messaging import (
    group_of,
    is_dead_letters,
    is_of_many,
    is_retry,
    key_of,
    linked_from,
    message_of,
    only_receives,
    reads,
    topic_of,
)
from journey.trace import Span

_STATUS = ("http.response.status_code", "http.status_code")
_REFUSED = re.compile(r"4\d\d")
Step = tuple[object, ...]


def failed(case: Case) -> Iterator[Finding]:
    """Find errors that ended the journey: not set aside, not tried again, and not the caller's to deal with."""
    done = _done(case)
    for span in {span.identity: span for span in case.trace.spans if span.error}.values():
        # A message that was handled once is handled; another request, or another sending, may be another one.
        if done.get(_step(case, span), -1) >= (0 if span.kind == "CONSUMER" else span.start or 0):
            continue
        about = f"{span.service} {span.kind} {span.name} {group_of(span)}"
        if span.kind == "PRODUCER":
            yield Finding(Cause.NOT_SENT, f"{named(span)} could not send: {span.error}.", span.id, about=about)
        elif _handles(case, span) and not _sets_aside(case, span):
            says = f"{named(span)} failed and did not set the message aside: {span.error}."
            says += f" Group {group} has it in hand, or has passed it over." if (group := group_of(span)) else ""
            yield Finding(Cause.FAILED, says, span.id, about=about)
        elif span.kind == "SERVER" and not _sends(case, span) and not _dealt_with(case, span):
            yield Finding(Cause.FAILED, f"{named(span)} failed: {span.error}.", span.id, about=about)


def _done(case: Case) -> Mapping[Step, int]:
    """Return when each step began for the last time that ended without an error: a second try, a redelivery."""
    found: dict[Step, int] = {}
    for span in case.trace.spans:
        if span.error is None:
            step = _step(case, span)
            found[step] = max(found.get(step, 0), span.start or 0)
    return found


def _step(case: Case, span: Span) -> Step:
    """Tell steps apart: each service and each group has its own, and so has each message."""
    return span.kind, span.name, span.service, group_of(span), *_message(case, span)


def _message(case: Case, span: Span) -> Step:
    """Tell the messages that steps are about apart. One of which nothing tells the message is about its own."""
    parent = case.trace.parent(span)
    if span.kind == "PRODUCER":
        return span.parent_id, key_of(span) or message_of(span) or span.identity
    if span.kind not in ("CONSUMER", "INTERNAL") or (parent is None and span.parent_id):
        return (span.parent_id,)
    if parent and parent.kind == "PRODUCER" and not is_of_many(parent):
        return (span.parent_id,)  # the message of its sender
    return (message_of(span) or tuple(linked_from(span)) or span.identity,)


def _handles(case: Case, span: Span) -> bool:
    """Tell whether a span handles a message: it is a CONSUMER's, or below one that only took it."""
    parent = case.trace.parent(span)
    below_a_poll = parent is not None and reads(parent) and only_receives(parent)
    return span.kind == "CONSUMER" or (span.kind == "INTERNAL" and below_a_poll)


def _sends(case: Case, span: Span) -> bool:
    return any(each.kind == "PRODUCER" for each in case.within(span))


def _sets_aside(case: Case, span: Span) -> bool:
    """Tell whether a step that failed sent its message on to be tried again, or to the dead letters."""
    topics = (topic_of(each) for each in case.within(span) if each.kind == "PRODUCER")
    return any(is_retry(topic) or is_dead_letters(topic, after_failure=True) for topic in topics)


def _dealt_with(case: Case, refused: Span) -> bool:
    """Tell whether a caller in the trace was refused something, as a 404 does, and went on without an error."""
    codes = [refused.tags.get(name, "") for name in _STATUS]
    if not any(map(_REFUSED.fullmatch, codes if any(codes) else [refused.error or ""])):
        return False
    caller = next((each for each in case.ancestors(refused) if each.kind == "SERVER" or reads(each)), None)
    return caller is not None and caller.error is None
