"""What the doctor says of spans; tests/e2e/test_doctor.py has it look at a real system."""

from dataclasses import replace

import pytest
from journey import Span, Trace
from journey.doctor import SECOND, Case, Cause, Diagnosis, Finding, absent, diagnose
from journey.source import Recorded

from libs.journey.tests.journeys import BEGAN, changed, more, order, without
from tests.order_journey import ORDER_JOURNEY

MUCH_LATER = BEGAN + 3600 * SECOND
ORDER = order()


def examined(trace: Trace, *others: Trace, now: int = MUCH_LATER, chain: bool = False) -> Diagnosis:
    """What the doctor says of a trace, where there are these others too."""
    source = Recorded(span for each in (trace, *others) for span in each.spans)
    return diagnose(Case(trace, source, now), ORDER_JOURNEY if chain else (), usual=ORDER_JOURNEY)


def only(diagnosis: Diagnosis) -> Finding:
    (finding,) = diagnosis.findings
    return finding


def failing(trace: Trace, row: int) -> Trace:
    span = trace.spans[row - 1]
    return changed(trace, row, tags={**span.tags, "error": "true", "otel.status_description": "Poison: no price"})


@pytest.mark.parametrize("chain", [False, True])
def test_an_order_is_whole(chain: bool) -> None:
    assert examined(ORDER, order(1), chain=chain).whole
    assert examined(ORDER, now=ORDER.spans[-1].start or 0, chain=chain).whole


def test_the_caller_of_a_server_need_not_be_there() -> None:
    assert examined(changed(ORDER, 1, parent_id="ca11e5ca11e5ca11")).whole


def test_a_message_that_nobody_has_read_for_long_has_no_consumer() -> None:
    finding = only(examined(without(ORDER, 3, 4, 5, 6)))

    assert finding.cause is Cause.NOT_RUNNING
    assert "sent to topic orders, partition 0, offset 0, nor anything else of the topic since" in finding.says
    assert finding.at == ORDER.spans[1].id
    assert "eventbus lag" in finding.check


def test_a_consumer_that_read_before_and_not_since_does_not_run() -> None:
    assert only(examined(without(order(3), 3, 4, 5, 6), ORDER)).cause is Cause.NOT_RUNNING


def test_a_message_just_sent_is_still_in_the_queue() -> None:
    trace = without(ORDER, 5, 6)

    assert only(examined(trace, now=(trace.spans[-1].end or 0) + 9 * SECOND)).cause is Cause.QUEUED
    assert only(examined(trace, now=(trace.spans[-1].end or 0) + 11 * SECOND)).cause is Cause.NOT_RUNNING


def test_a_message_whose_topic_is_read_is_still_in_the_queue() -> None:
    other_partition = changed(order(1), 3, tags={"messaging.destination.name": "orders"})

    assert only(examined(without(ORDER, 3, 4, 5, 6), other_partition)).cause is Cause.QUEUED


def test_a_message_that_was_passed_over_lost_its_consumers_span() -> None:
    finding = only(examined(without(ORDER, 3, 4, 5, 6), order(1)))

    assert finding.cause is Cause.DROPPED
    assert "what came after it in the partition was read" in finding.says


@pytest.mark.parametrize("row", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("chain", [False, True])
def test_a_span_without_which_the_work_went_on_was_dropped(row: int, chain: bool) -> None:
    finding = only(examined(without(order(1), row), ORDER, chain=chain))

    assert finding.cause is Cause.DROPPED
    assert finding.at == order(1).spans[row - 1].id


def test_a_parent_that_may_still_come_is_under_way() -> None:
    trace = without(order(1), 3)

    assert only(examined(trace, ORDER, now=(trace.spans[-1].end or 0) + SECOND)).cause is Cause.UNDER_WAY


def test_a_sender_whose_spans_are_never_there_is_not_sampled() -> None:
    finding = only(examined(without(ORDER, 1, 2), without(order(1), 1, 2)))

    assert finding.cause is Cause.NOT_SAMPLED
    assert only(examined(without(ORDER, 1, 2))).cause is Cause.DROPPED, "one alone tells nothing"


def test_a_parent_older_than_all_that_is_there_was_evicted() -> None:
    waited = {**order(1).spans[2].tags, "journey.queue.wait_ms": "120000"}
    finding = only(examined(changed(without(order(1), 1, 2), 1, tags=waited), ORDER))

    assert finding.cause is Cause.EVICTED


def test_a_trace_that_is_not_there_may_have_been_forgotten() -> None:
    finding = absent(Recorded(ORDER.spans))

    assert finding.cause is Cause.EVICTED
    assert "the first one there is of 2027-01-15 08:00:00 UTC" in finding.says
    assert "there is none at all" in absent(Recorded(())).says


def apart(number: int, row: int, parent: str | None) -> tuple[Trace, Trace]:
    """An order whose spans from a row on are in another trace."""
    whole, other = order(number), "f" * 32
    rest = [replace(span, trace_id=other) for span in whole.spans[row - 1 :]]
    rest[0] = replace(rest[0], parent_id=parent)
    return Trace(whole.id, whole.spans[: row - 1]), Trace(other, tuple(rest))


def test_a_record_that_came_without_its_context_was_stripped() -> None:
    first, rest = apart(0, 5, None)
    sent, read = only(examined(first, rest)), only(examined(rest, first))

    assert (sent.cause, sent.other_trace) == (Cause.STRIPPED, rest.id)
    assert (read.cause, read.other_trace) == (Cause.STRIPPED, first.id)


def test_a_record_of_which_nobody_knows_who_sent_it_got_no_context() -> None:
    _, rest = apart(0, 3, None)
    finding = only(examined(rest, order(1)))

    assert finding.cause is Cause.NOT_INJECTED
    assert "the record that billing CONSUMER" in finding.says
    assert "(orders, partition 0, offset 0) came without a context" in finding.says


def test_a_record_that_is_read_in_a_trace_of_others_has_another_header() -> None:
    first, rest = apart(0, 3, order(1).spans[1].id)
    finding = only(examined(first, rest))

    assert (finding.cause, finding.other_trace) == (Cause.REPLACED, rest.id)
    read = only(examined(rest, first))
    assert (read.cause, read.other_trace) == (Cause.REPLACED, first.id)


def test_a_reader_that_is_in_the_trace_and_not_below_its_sender_is_misplaced() -> None:
    finding = only(examined(changed(ORDER, 3, parent_id=ORDER.spans[0].id)))

    assert (finding.cause, finding.at) == (Cause.MISPLACED, ORDER.spans[2].id)


def test_a_record_whose_offset_is_not_known_is_found_by_its_key() -> None:
    first, rest = apart(0, 3, None)
    unknown = {name: value for name, value in first.spans[1].tags.items() if "offset" not in name}

    assert only(examined(changed(first, 2, tags=unknown), rest)).cause is Cause.STRIPPED


def test_a_consumer_that_only_links_is_named() -> None:
    first, rest = apart(0, 3, None)
    link = {**rest.spans[0].tags, "otlp.link.0": f"{first.id}|{first.spans[1].id}||{{}}|0"}
    rest = changed(rest, 1, tags=link)

    assert (only(examined(first, rest)).cause, only(examined(rest, first)).cause) == (Cause.LINKED, Cause.LINKED)


def received(trace: Trace, row: int) -> Trace:
    """As the stock instrumentation has it: a span for taking the record, which ends before it is handled."""
    return changed(
        trace, row, name="orders receive", tags={**trace.spans[row - 1].tags, "messaging.operation.type": "receive"}
    )


def test_a_handler_that_works_in_a_trace_of_its_own_lost_the_context() -> None:
    first, rest = apart(0, 4, None)
    first = received(first, 3)
    before, after = only(examined(first, rest)), only(examined(rest, first))

    assert (before.cause, before.other_trace, before.at) == (Cause.LOST, rest.id, ORDER.spans[2].id)
    assert (after.cause, after.other_trace, after.at) == (Cause.LOST, first.id, ORDER.spans[3].id)


def test_what_a_service_begins_for_another_order_is_not_taken_for_lost() -> None:
    first, rest = apart(0, 4, None)
    of_another = changed(rest, 1, tags={**rest.spans[0].tags, "messaging.kafka.message.key": "order-9"})

    assert examined(received(first, 3), of_another).whole
    assert examined(first, rest).whole, "it began after the end of a span that lasts as long as its handler"


def test_a_consumer_that_did_pass_its_context_on_has_lost_none() -> None:
    _, rest = apart(0, 4, None)
    source_of_both = received(ORDER, 3)

    assert examined(source_of_both, rest).whole
    assert examined(rest, source_of_both).whole


def test_a_message_set_aside_is_in_retry_until_it_is_due() -> None:
    failed = failing(without(ORDER, 4, 5, 6), 3)
    aside = more(failed, 3, "billing", "PRODUCER", "send billing.retry")
    due = {**aside.spans[2].tags, "journey.retry.due": "2027-01-15T08:30:00.000+00:00"}
    noted = changed(aside, 3, tags=due)
    finding = only(examined(noted, now=BEGAN + 60 * SECOND))

    assert (finding.cause, finding.due) == (Cause.RETRY, BEGAN + 1800 * SECOND)
    assert "in billing.retry until 2027-01-15 08:30:00 UTC" in finding.says
    assert only(examined(noted, now=BEGAN + 1900 * SECOND)).cause is Cause.NOT_RUNNING


def test_when_a_message_is_due_is_known_from_others_of_its_topic() -> None:
    aside = more(failing(without(ORDER, 4, 5, 6), 3), 3, "billing", "PRODUCER", "send billing.retry")
    other = more(order(1), 4, "billing", "CONSUMER", "process billing.retry")
    other = changed(other, 7, tags={**other.spans[6].tags, "journey.queue.wait_ms": "900000"})
    finding = only(examined(aside, other, now=BEGAN + 60 * SECOND))

    assert finding.cause is Cause.RETRY
    assert "until about 2027-01-15 08:15:00 UTC" in finding.says
    assert only(examined(aside, now=BEGAN + SECOND)).cause is Cause.RETRY
    assert only(examined(aside, now=BEGAN + 60 * SECOND)).cause is Cause.NOT_RUNNING


@pytest.mark.parametrize("topic", ["billing.dlq", "orders-dlt", "orders.DLQ", "dead-letter-topic"])
def test_a_dead_letter_is_named_with_its_error(topic: str) -> None:
    dead = more(failing(without(ORDER, 4, 5, 6), 3), 3, "billing", "PRODUCER", f"send {topic}")
    finding = only(examined(dead, chain=True))

    assert finding.cause is Cause.DEAD
    assert "Poison: no price" in finding.says


def test_a_dead_letter_that_was_sent_back_is_one_no_more() -> None:
    dead = more(failing(without(ORDER, 6), 5), 5, "notifier", "PRODUCER", "send notifier.dlq")
    back = more(dead, 6, "redrive", "PRODUCER", "send invoices")
    read = more(back, 7, "notifier", "CONSUMER", "process invoices")
    mailed = more(read, 8, "notifier", "CLIENT", "send email")

    assert only(examined(dead, chain=True)).cause is Cause.DEAD
    assert only(examined(back, chain=True)).cause is Cause.NOT_RUNNING
    assert examined(mailed, chain=True).whole


def test_an_error_that_was_overcome_does_not_break_the_journey() -> None:
    retried = more(failing(without(ORDER, 4, 5, 6), 3), 3, "billing", "PRODUCER", "send billing.retry")
    again = more(retried, 4, "billing", "CONSUMER", "process billing.retry")

    assert examined(again).whole
    redelivered = more(failing(without(ORDER, 4, 5, 6), 3), 2, "billing", "CONSUMER", "process orders")
    assert examined(redelivered).whole


def test_tries_may_lie_between_a_row_and_the_one_that_it_should_be_below() -> None:
    retried = more(failing(ORDER, 3), 3, "billing", "PRODUCER", "send billing.retry")
    again = more(retried, 7, "billing", "CONSUMER", "process billing.retry")

    assert examined(changed(again, 4, parent_id=again.spans[7].id), chain=True).whole


def test_an_error_after_which_nothing_went_on_is_named() -> None:
    consumer, server = (
        only(examined(failing(without(ORDER, 4, 5, 6), 3))),
        only(examined(failing(without(ORDER, 2, 3, 4, 5, 6), 1))),
    )

    assert (consumer.cause, server.cause) == (Cause.FAILED, Cause.FAILED)
    assert "Poison: no price" in consumer.says
    assert only(examined(failing(without(ORDER, 3, 4, 5, 6), 2))).cause is Cause.NOT_SENT


def test_two_starts_in_one_trace_are_named() -> None:
    other = Span(ORDER.id, "5" * 16, None, "post /orders", "orders", "SERVER", BEGAN, 5)

    assert only(examined(Trace(ORDER.id, (*ORDER.spans, other)))).cause is Cause.TWO_STARTS


def test_a_message_that_was_sent_and_handled_twice_is_whole() -> None:
    twice = Trace(ORDER.id, (*ORDER.spans, *(replace(span, start=(span.start or 0) + 7) for span in ORDER.spans[1:3])))

    assert examined(twice, chain=True).whole


@pytest.mark.parametrize("rows", [(2, 3, 4, 5, 6), (4, 5, 6), (6,)])
def test_only_a_chain_knows_what_should_have_come_of_a_step(rows: tuple[int, ...]) -> None:
    trace = without(ORDER, *rows)
    finding = only(examined(trace, chain=True))

    assert examined(trace).whole
    assert finding.cause is Cause.NOT_SENT
    assert f"Row {rows[0]} is missing" in finding.says
    assert [span.name.lower() for span in examined(trace, chain=True).missing] == [
        row.name.lower() for row in ORDER_JOURNEY if row.number in rows
    ]


def test_what_a_chain_expects_may_still_be_under_way() -> None:
    trace = without(ORDER, 6)

    assert only(examined(trace, now=(trace.spans[-1].end or 0), chain=True)).cause is Cause.UNDER_WAY


def test_a_consumer_that_a_chain_expects_beside_another_is_missed() -> None:
    other = changed(without(ORDER, 4, 5, 6), 3, service="audit")

    assert examined(other).whole
    assert only(examined(other, chain=True)).cause is Cause.NOT_RUNNING


def test_a_row_that_is_not_below_its_parent_is_named() -> None:
    assert examined(changed(ORDER, 6, parent_id=ORDER.spans[0].id), chain=False).whole
    assert only(examined(changed(ORDER, 6, parent_id=ORDER.spans[0].id), chain=True)).cause is Cause.MISPLACED


def test_a_message_after_which_a_chain_has_nothing_need_not_be_read() -> None:
    trace = without(ORDER, 5, 6)
    source = Recorded(trace.spans)

    assert diagnose(Case(trace, source, MUCH_LATER), ORDER_JOURNEY[:4]).whole
