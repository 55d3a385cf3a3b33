"""Who else has to do with a record: its sender or its readers, in whatever trace they are."""

from collections.abc import Callable

from journey.doctor.case import Case
from journey.messaging import OFFSET, PARTITION, TOPIC, Place, key_of, place_of, topic_of
from journey.trace import Span


def readers_of(case: Case, sent: Span) -> list[Span]:
    """Return the spans that read the record of *sent*, those in its own trace first.

    By its place in Kafka; where that is not known, by its key, if a trace begins with it.
    """
    place = place_of(sent)
    return _with_its_key(case, sent) if place is None else _at(case, place, _handles)


def senders_of(case: Case, read: Span) -> list[Span]:
    """Return the spans that sent the record which *read* is about, as far as its place in Kafka is known."""
    place = place_of(read)
    return [] if place is None else _at(case, place, _sends)


def _handles(span: Span) -> bool:
    return span.kind == "CONSUMER"


def _sends(span: Span) -> bool:
    return span.kind == "PRODUCER"


def _at(case: Case, place: Place, wanted: Callable[[Span], bool]) -> list[Span]:
    known = [each for each in (*case.at.get(place, ()), *case.topic(place.topic).at.get(place, ())) if wanted(each)]
    if known or not case.may_ask(place.topic):
        return known
    found = case.source.having({TOPIC: place.topic, PARTITION: place.partition, OFFSET: place.offset})
    return [each for trace in found for each in trace.spans if wanted(each) and place_of(each) == place]


def _with_its_key(case: Case, sent: Span) -> list[Span]:
    topic, key = topic_of(sent), key_of(sent)
    if key is None or sent.start is None or not case.may_ask(topic):
        return []
    return [
        each
        for trace in case.source.having(dict([key]))
        for each in trace.spans
        if _handles(each) and each.parent_id is None and key_of(each) == key and topic_of(each) == topic
        if (each.start or 0) >= sent.start
    ]
