"""What is to be said of a message that nobody is known to have read."""

from collections.abc import Sequence

from journey.chain import named
from journey.doctor.case import Case
from journey.doctor.cause import Cause
from journey.doctor.finding import Finding
from journey.messaging import (
    OFFSET,
    PARTITION,
    TOPIC,
    Place,
    group_of,
    is_retry,
    linked_from,
    place_of,
    reads,
    topic_of,
)
from journey.queues import noted_wait
from journey.trace import Span


def waiting(case: Case, sent: Span) -> Finding:
    """Tell a message that waits from one that is lost, by what else is read of its topic."""
    topic, place, young = topic_of(sent), place_of(sent), case.young
    this = (case.trace.id, sent.id)
    since = [each for each in case.topic(topic).read_since(sent.start or 0) if this not in linked_from(each)]
    where = f"topic {place}" if place else topic or "its topic"
    hop = f"nothing has read what {named(sent)} sent to {where}"
    if polled := case.topic(topic).by_link.get(this):
        taken = f"{named(polled)} took it in trace {polled.trace_id}"
        hop = f"nothing has handled what {named(sent)} sent to {where} ({taken})"
    if _never_read(case, sent):
        nobody = f"nobody has read topic {topic} yet"
        if young:
            return Finding(Cause.QUEUED, f"{hop}, yet: {nobody}.", sent.id, about=topic)
        return Finding(Cause.NOBODY, f"{nobody}; {named(sent)} sent to it.", sent.id, about=topic)
    if place and (holder := _in_hand(case, sent, place, since)):
        says = f"{hop}. {holder} has read what is before it in the partition: it has this message in hand."
        return Finding(Cause.IN_HAND, says, sent.id, about=topic, overdue=not young)
    if young:
        return Finding(Cause.QUEUED, f"{hop}, yet.", sent.id, about=topic)
    if place and any(_behind(reader, place) for reader in since):
        says = f"{hop}, and what came after it in the partition was read: it was read too, or passed over."
        return Finding(Cause.DROPPED, says, sent.id, about=topic)
    if since:
        says = f"{hop}, while other messages of the topic are read."
        return Finding(Cause.QUEUED, says, sent.id, about=topic, overdue=_overdue(case, sent))
    says = f"nobody reads topic {topic}: {hop}, nor anything else of the topic since."
    return Finding(Cause.NOT_RUNNING, says, sent.id, about=topic)


def _never_read(case: Case, sent: Span) -> bool:
    """Tell whether nothing of a topic was ever read, as far back as the source goes."""
    topic, place = topic_of(sent), place_of(sent)
    known = case.topic(topic)
    if not topic or is_expected(case, sent) or topic in case.read_here or known.readers:
        return False
    return known.complete or (place is not None and case.may_ask(topic) and _unread_before(case, place))


def is_expected(case: Case, sent: Span) -> bool:
    """Tell whether somebody should handle a message whatever others do: a chain says so, or it is to be tried again."""
    return sent.id in case.awaited or is_retry(topic_of(sent)) or case.after_failure(sent)


def _unread_before(case: Case, place: Place) -> bool:
    """Tell whether nothing read what is half as far in the partition, a quarter as far, and so on to its first record.

    More traces have to do with the topic than the source gives at once. False if it has none of these records.
    """
    offset, found = int(place.offset) if place.offset.isdecimal() else 0, False
    while offset:
        offset //= 2
        traces = case.source.having({TOPIC: place.topic, PARTITION: place.partition, OFFSET: str(offset)})
        before = [each for trace in traces for each in trace.spans if topic_of(each) == place.topic]
        found = found or bool(before)
        if any(map(reads, before)):
            return False
    return found


def _in_hand(case: Case, sent: Span, place: Place, since: Sequence[Span]) -> str | None:
    """Name the group that has come as far as this record, and was seen to work after it was sent."""
    if not place.offset.isdecimal():
        return None
    before = place._replace(offset=str(int(place.offset) - 1))
    for reader in (
        each for each in case.topic(place.topic).at.get(before, ()) if each.kind == "CONSUMER" and not each.error
    ):
        group = (reader.service, group_of(reader))
        alive = any((each.service, group_of(each)) == group for each in since)
        if alive or (reader.end or 0) > (sent.end or 0) > 0:
            return f"{reader.service} (group {group[1]})" if group[1] else reader.service
    return None


def _behind(reader: Span, place: Place) -> bool:
    read = place_of(reader)
    if not read or read.partition != place.partition:
        return False
    return read.offset.isdecimal() and place.offset.isdecimal() and int(read.offset) > int(place.offset)


def _overdue(case: Case, sent: Span) -> bool:
    """Tell whether a message has waited for more than twice as long as any other of its topic."""
    longest = max(map(noted_wait, case.topic(topic_of(sent)).readers), default=0)
    return case.now - (sent.end or 0) > max(case.patience, 2 * longest)
