"""A fan-out of a thousand messages: one finding for a topic, few questions, and no loop within a loop."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from journey import Span, Trace
from journey.doctor import SECOND, Case, Cause, Diagnosis, Remembered, diagnose
from journey.doctor.case import ASKED_AT_MOST
from journey.source import Recorded

from libs.journey.tests.journeys import BEGAN, at_place, failing_with, links, message, span

LATER = BEGAN + 3600 * SECOND


class Counting(Recorded):
    """Counts what it is asked."""

    asked = 0

    def trace(self, trace_id: str) -> Trace | None:
        self.asked += 1
        return super().trace(trace_id)

    def having(self, tags: Mapping[str, str]) -> list[Trace]:
        self.asked += 1
        return super().having(tags)

    def begun(self, service: str, start: int, end: int) -> list[Trace]:
        self.asked += 1
        return super().begun(service, start, end)

    def oldest(self) -> int | None:
        self.asked += 1
        return super().oldest()


class Spans(tuple[Span, ...]):
    """Counts how often somebody begins to go through all of them."""

    passes = 0

    def __iter__(self) -> Iterator[Span]:
        type(self).passes += 1
        return super().__iter__()


def judged(spans: list[Span], *others: Span) -> tuple[Diagnosis, int, int]:
    """What the doctor says of a trace, how often it asked for others, and how often it went through all spans."""
    source = Counting((*spans, *others))
    Spans.passes = 0
    said = diagnose(Case(Trace("a" * 32, Spans(spans)), source, LATER))
    return said, source.asked, Spans.passes


ROOT = span(1, 0, "web", "SERVER", "POST /", at=0)
UNREAD = [
    span(1, 0, "web", "PRODUCER", "send T", at=1, trace="b", tags=message("T", "send", **at_place(1, 1))),
    span(2, 1, "c", "CONSUMER", "process T", at=1, trace="b", tags=message("T", "process", **at_place(1, 1))),
]


def sent(n: int, **tags: str) -> Span:
    place = {**at_place(0, n), "messaging.kafka.message.key": f"k{n}"}
    return span(2 + 2 * n, 1, "web", "PRODUCER", "send T", at=2, tags=message("T", "send", **place, **tags))


def read(n: int, below: int | None = None, tags: Mapping[str, str] | None = None) -> Span:
    place = message("T", "process", **at_place(0, n), **(tags or {}))
    parent = 2 + 2 * n if below is None else below
    return span(3 + 2 * n, parent, "c", "CONSUMER", "process T", at=3, tags=place)


def fan_out(kind: str, n: int) -> tuple[list[Span], list[Span]]:
    """So many messages of which the same is wrong, and what is in other traces."""
    every = range(n)
    if kind == "read":
        return [ROOT, *map(sent, every), *map(read, every)], []
    if kind == "unread":
        return [ROOT, *map(sent, every)], UNREAD
    if kind == "failed":
        return [ROOT, *map(sent, every), *(read(each, tags=failing_with(f"order {each} is bad")) for each in every)], []
    if kind == "refused":
        return [ROOT, *(sent(each, **failing_with("too large")) for each in every)], []
    if kind == "gaps":
        return [ROOT, *(read(each, below=9_000_000 + each) for each in every)], []
    if kind == "starts":
        return [ROOT, *(span(2 + each, 0, "web", "SERVER", "POST /", at=1) for each in every)], []
    if kind == "lost":
        strays = (span(1, 0, "c", "CLIENT", "GET /", at=3) for each in every)
        return [ROOT, *map(sent, every), *map(read, every)], [
            replace(stray, trace_id=f"{each + 1:032x}") for each, stray in enumerate(strays)
        ]
    if kind == "linked":
        return [ROOT, *map(sent, every)], [
            replace(read(each, 0, links(("a", 2 + 2 * each))), trace_id=f"{each + 1:032x}") for each in every
        ]
    letters = [
        span(9_000_000 + each, 3 + 2 * each, "c", "PRODUCER", "send T.dlq", at=4, tags=message("T.dlq", "send"))
        for each in every
    ]
    return [ROOT, *map(sent, every), *map(read, every), *letters], []


CAUSES = {
    "read": [],
    "unread": [Cause.NOT_RUNNING],
    "failed": [Cause.FAILED],
    "refused": [Cause.NOT_SENT],
    "gaps": [Cause.DROPPED],
    "starts": [Cause.TWO_STARTS],
    "lost": [Cause.LOST],
    "linked": [Cause.LINKED],
    "letters": [Cause.DEAD],
}


@pytest.mark.parametrize("kind", CAUSES)
def test_a_thousand_messages_take_no_more_questions_and_no_more_findings_than_twenty(kind: str) -> None:
    (few, asked_few, passes_few), (many, asked_many, passes_many) = (judged(*fan(kind, n)) for n in (20, 1000))

    assert [each.cause for each in few.findings] == [each.cause for each in many.findings] == CAUSES[kind]
    assert asked_many <= asked_few + ASKED_AT_MOST < 60
    assert passes_many <= passes_few + ASKED_AT_MOST < 60
    for finding in many.findings:
        assert finding.says.endswith("The same is true of 999 more.")


def fan(kind: str, n: int) -> tuple[list[Span], *tuple[Span, ...]]:
    spans, others = fan_out(kind, n)
    return (spans, *others)


def test_what_was_asked_for_one_trace_is_not_asked_for_the_next() -> None:
    first, second = (
        replace(sent(n), trace_id=trace * 32, parent_id=None, tags=sent(0).tags) for n, trace in ((0, "c"), (1, "d"))
    )
    gaps = [replace(read(n, below=99), trace_id=trace * 32, tags={}) for n, trace in ((0, "e"), (1, "f"))]
    source = Counting((first, second, *UNREAD, *gaps))
    others, asked = Remembered(source), []
    for each in (first, second, *gaps):
        diagnose(Case(Trace(each.trace_id, (each,)), others, LATER))
        asked.append(source.asked)

    assert asked[0] > 2
    assert (asked[1] - asked[0], asked[3] - asked[2]) == (1, 1), "only what its service began then is another question"
