"""Whole, not whole yet, or broken: what waits is not broken, and what nobody was ever meant to read is a remark."""

from dataclasses import replace

import pytest
from journey import Span
from journey.doctor import SECOND, Case, Cause, Diagnosis, Verdict, diagnose
from journey.source import MANY, Recorded

from libs.journey.tests.journeys import BEGAN, at_place, failing_with, message, more, order, span, traces, without
from tests.order_journey import ORDER_JOURNEY

LATER = BEGAN + 60 * SECOND
ORDER = order()
SHIPPED = more(ORDER, 5, "notifier", "PRODUCER", "send shipments")


def judged(*spans: Span, now: int = LATER, end_topics: tuple[str, ...] = (), chain: bool = False) -> Diagnosis:
    """What the doctor says of the first span's trace."""
    case = Case(traces(*spans)[0], Recorded(spans), now, end_topics=end_topics)
    return diagnose(case, ORDER_JOURNEY if chain else (), usual=ORDER_JOURNEY)


def greetings(trace: str = "a", at: int = 0) -> list[Span]:
    """The example of aiokafka-otel's README: nobody reads the replies."""
    return [
        span(1, 0, "replier", "PRODUCER", "send greetings", at=at, trace=trace, tags=message("greetings", "send")),
        span(
            2, 1, "replier", "CONSUMER", "process greetings", at=at, trace=trace, tags=message("greetings", "process")
        ),
        span(3, 2, "replier", "PRODUCER", "send replies", at=at, trace=trace, tags=message("replies", "send")),
    ]


@pytest.mark.parametrize("spans", [greetings(), [*SHIPPED.spans, *order(1).spans]])
@pytest.mark.parametrize("chain", [False, True])
def test_a_last_topic_that_nobody_ever_read_is_a_remark(spans: list[Span], chain: bool) -> None:
    said = judged(*spans, now=BEGAN + 3600 * SECOND, chain=chain and spans[0].service == "orders")

    (finding,) = said.findings
    assert (said.verdict, said.whole, finding.cause) == (Verdict.WHOLE, True, Cause.NOBODY)
    assert finding.says.startswith(
        f"nobody has read topic {spans[2].name[5:] if len(spans) == 3 else 'shipments'} yet; "
    )
    assert "--end TOPIC" in finding.check


@pytest.mark.parametrize("topic", ["replies", "shipments"])
def test_of_a_topic_where_the_journey_is_said_to_end_nothing_is_said(topic: str) -> None:
    spans = greetings() if topic == "replies" else SHIPPED.spans

    assert judged(*spans, end_topics=("elsewhere", topic)).findings == ()


def test_a_topic_that_was_read_once_is_one_that_somebody_reads() -> None:
    read = span(4, 3, "greeter", "CONSUMER", "process replies", at=1, trace="b", tags=message("replies", "process"))
    said = judged(*greetings(at=9), *greetings("b"), read)

    assert (said.verdict, said.findings[0].cause) == (Verdict.BROKEN, Cause.NOT_RUNNING)


def test_a_topic_that_is_read_in_the_trace_itself_is_one_that_somebody_reads() -> None:
    again = span(4, 2, "replier", "PRODUCER", "send replies", at=1, tags=message("replies", "send"))
    read = span(5, 4, "greeter", "CONSUMER", "process replies", at=1, tags=message("replies", "process"))

    assert judged(*greetings(), again, read).verdict is Verdict.BROKEN


@pytest.mark.parametrize("rows", [(3, 4, 5, 6), (5, 6)])
@pytest.mark.parametrize("chain", [False, True])
def test_the_messages_of_the_orders_have_readers_though_none_was_ever_seen(rows: tuple[int, ...], chain: bool) -> None:
    said = judged(*without(ORDER, *rows).spans, chain=chain)

    assert (said.verdict, said.findings[0].cause) == (Verdict.BROKEN, Cause.NOT_RUNNING)


def test_what_a_failed_step_sent_is_not_where_a_journey_ends() -> None:
    said = judged(*(each if each.id[-1] != "2" else failed(each) for each in greetings()))

    assert said.verdict is Verdict.BROKEN


def failed(step: Span) -> Span:
    return span(2, 1, step.service, step.kind, step.name, at=0, tags={**step.tags, **failing_with("boom")})


def reply(n: int) -> Span:
    tags = message("replies", "send", **at_place(0, n))
    return Span(f"{n + 1:032x}", "1", None, "send replies", "r", "PRODUCER", BEGAN + n, 1, tags=tags)


def test_where_more_is_known_of_a_topic_than_is_given_at_once_its_first_records_tell_whether_it_was_read() -> None:
    many = [reply(n) for n in range(2 * MANY)]
    first = many[0]
    read = Span(first.trace_id, "2", "1", "process replies", "g", "CONSUMER", BEGAN, 1, tags=first.tags)

    assert judged(many[-1], *many[:-1]).findings[0].cause is Cause.NOBODY
    assert judged(many[-1], *many[:-1], read).verdict is Verdict.BROKEN
    assert judged(many[-1], *many[MANY + 1 : -1]).verdict is Verdict.WHOLE, "all that there is was looked at"
    placeless = [replace(each, tags=message("replies", "send")) for each in many]
    assert judged(placeless[-1], *placeless[:-1]).verdict is Verdict.BROKEN, "nobody knows whether it was read"


def test_a_message_that_waits_in_the_queue_is_not_broken() -> None:
    young = judged(*without(ORDER, 5, 6).spans, now=BEGAN + SECOND)
    nobody = judged(*greetings(), now=BEGAN + SECOND)

    assert (young.verdict, young.findings[0].cause) == (Verdict.WAITING, Cause.QUEUED)
    assert (nobody.verdict, nobody.findings[0].cause) == (Verdict.WAITING, Cause.QUEUED)
    assert "nobody has read topic replies yet" in nobody.findings[0].says


def test_a_message_that_waits_longer_than_others_did_is_stuck() -> None:
    waited = {**message("orders", "process"), "journey.queue.wait_ms": "40000"}
    other = [
        span(1, 0, "orders", "PRODUCER", "send orders", at=20, trace="b", tags=message("orders", "send")),
        span(2, 1, "billing", "CONSUMER", "process orders", at=60, trace="b", tags=waited),
    ]
    waiting, stuck = (judged(*without(ORDER, 3, 4, 5, 6).spans, *other, now=BEGAN + age * SECOND) for age in (79, 90))

    assert (waiting.verdict, waiting.findings[0].cause) == (Verdict.WAITING, Cause.QUEUED)
    assert (stuck.verdict, stuck.findings[0].cause) == (Verdict.BROKEN, Cause.QUEUED)


def test_a_message_in_retry_is_not_broken_until_it_is_overdue() -> None:
    noted = {**ORDER.spans[2].tags, **failing_with("boom"), "journey.retry.due": "2027-01-15T08:00:30.000+00:00"}
    spans = [each if n != 2 else redone(each, noted) for n, each in enumerate(without(ORDER, 4, 5, 6).spans)]
    aside = more(traces(*spans)[0], 3, "billing", "PRODUCER", "send billing.retry")

    assert judged(*aside.spans, now=BEGAN + 20 * SECOND).verdict is Verdict.WAITING
    assert judged(*aside.spans, now=BEGAN + 39 * SECOND).verdict is Verdict.WAITING
    assert judged(*aside.spans, now=BEGAN + 41 * SECOND).verdict is Verdict.BROKEN


def redone(each: Span, tags: dict[str, str]) -> Span:
    return Span(
        each.trace_id, each.id, each.parent_id, each.name, each.service, each.kind, each.start, 5_000, tags=tags
    )


def test_what_is_under_way_is_not_broken_and_one_gap_makes_all_so() -> None:
    assert judged(*without(ORDER, 6).spans, now=BEGAN + SECOND, chain=True).verdict is Verdict.WAITING
    both = more(without(ORDER, 5, 6), 3, "billing", "SERVER", "GET /x")
    begun_twice = Span(ORDER.id, "5" * 16, None, "post /orders", "orders", "SERVER", BEGAN, 5)

    assert judged(*both.spans, now=BEGAN + SECOND).verdict is Verdict.WAITING
    assert judged(*both.spans, begun_twice, now=BEGAN + SECOND).verdict is Verdict.BROKEN


def test_a_service_that_works_below_a_span_still_open_has_the_message_in_hand() -> None:
    working = more(without(ORDER, 4, 5, 6), 3, "billing", "CLIENT", "SELECT ledger")
    (finding,) = judged(*without(working, 3).spans, now=BEGAN + SECOND).findings

    assert finding.cause is Cause.UNDER_WAY
    assert "then billing has it in hand" in finding.says
