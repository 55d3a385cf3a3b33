"""Who else has to do with a record: its sender or its readers, in whatever trace they are."""

from collections.abc import Collection

from journey.doctor.case import Case
from journey.messaging import KEY, OFFSET, PARTITION, TOPIC, place_of, topic_of
from journey.trace import Span


def holders_of(case: Case, span: Span, kinds: Collection[str]) -> list[Span]:
    """Return the spans of these kinds that are about the record of `span`.

    By its place in Kafka; where that is not known of a message that was sent, by its key, if a trace begins with it.
    """
    place = place_of(span)
    if place is None:
        return _by_key(case, span, kinds)
    exactly = {TOPIC: place.topic, PARTITION: place.partition, OFFSET: place.offset}
    traces = case.source.having(exactly)
    known = [*case.trace.spans, *(each for trace in traces for each in trace.spans), *case.readers(place.topic)]
    return [each for each in known if each.kind in kinds and each is not span and place_of(each) == place]


def _by_key(case: Case, span: Span, kinds: Collection[str]) -> list[Span]:
    if (key := span.tags.get(KEY)) is None or span.start is None:
        return []
    return [
        each
        for trace in case.source.having({KEY: key})
        for each in trace.spans
        if each.kind in kinds and each.parent_id is None and each.tags.get(KEY) == key
        if topic_of(each) == topic_of(span) and (each.start or 0) >= span.start
    ]
