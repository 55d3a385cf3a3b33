"""What the doctor says of other people's messages: by the conventions, of Java's agent, of Brave, of RabbitMQ.

Zipkin and files must have the same verdict of the same trace, so each is judged twice.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from journey import Span, Trace
from journey.doctor import SECOND, Case, Cause, Diagnosis, Verdict, diagnose
from journey.source import Recorded

from libs.journey.tests.journeys import (
    BEGAN,
    as_zipkin_has,
    at_place,
    failing_with,
    links,
    message,
    span,
    traces,
)
from tests.order_journey import ORDER_JOURNEY

MUCH_LATER = BEGAN + 3600 * SECOND
FOUND_404 = {"http.status_code": "404", **failing_with("404")}
ROOT = span(1, 0, "shop", "SERVER", "POST /orders", at=0)
SENT = span(2, 1, "shop", "PRODUCER", "send T", at=0, tags=message("T", "send"))


def judged(*spans: Span, now: int = MUCH_LATER) -> list[Diagnosis]:
    """What the doctor says of each trace, in the order in which they are given; the same for files and for Zipkin."""
    return [_same(each, traces(*spans), now) for each in traces(*spans)]


def _same(trace: Trace, everything: Sequence[Trace], now: int) -> Diagnosis:
    of_files, of_zipkin = (
        diagnose(
            Case(as_had(trace), Recorded(each for other in everything for each in as_had(other).spans), now),
            usual=ORDER_JOURNEY,
        )
        for as_had in (lambda trace: trace, as_zipkin_has)
    )
    assert [each.cause for each in of_files.findings] == [each.cause for each in of_zipkin.findings]
    return of_files


def causes(*spans: Span) -> list[list[Cause]]:
    return [[finding.cause for finding in each.findings] for each in judged(*spans)]


def reader(id: int, group: str, *, at: int = 2, failed: str = "") -> Span:
    of_group = {"messaging.consumer.group.name": group, **(failing_with(failed) if failed else {})}
    return span(id, 2, "billing", "CONSUMER", "process T", at=at, tags=message("T", "process", **of_group))


def test_of_two_groups_one_may_have_failed() -> None:
    (said,) = judged(ROOT, SENT, reader(3, "g1"), reader(4, "g2", failed="boom"))

    (finding,) = said.findings
    assert (finding.cause, finding.at) == (Cause.FAILED, f"{4:016x}")
    assert "Group g2 has it in hand, or has passed it over." in finding.says


def test_of_two_services_one_may_have_failed_though_no_span_names_a_group() -> None:
    failed = span(4, 2, "audit", "CONSUMER", "process T", at=2, tags=message("T", "process", **failing_with("boom")))

    assert causes(ROOT, SENT, span(3, 2, "billing", "CONSUMER", "process T", at=2), failed) == [[Cause.FAILED]]


def test_a_group_that_failed_and_tried_again_is_done() -> None:
    assert causes(ROOT, SENT, reader(3, "g1", failed="boom"), reader(4, "g1", at=4)) == [[]]


def test_of_two_messages_one_may_not_have_been_sent() -> None:
    sent, refused = (
        span(id, 1, "shop", "PRODUCER", "send T", at=id, tags=message("T", "send", **tags))
        for id, tags in (
            (3, {"messaging.kafka.message.key": "b"}),
            (2, {"messaging.kafka.message.key": "a", **failing_with("away")}),
        )
    )
    read = span(4, 3, "billing", "CONSUMER", "process T", at=5, tags=message("T", "process"))

    assert causes(ROOT, sent, refused, read) == [[Cause.NOT_SENT]]


def sending(id: int, *, failed: str = "", **tags: str) -> Span:
    error = failing_with(failed) if failed else {}
    return span(id, 1, "shop", "PRODUCER", "send T", at=id, tags={**message("T", "send"), **error, **tags})


def test_of_two_messages_without_a_key_one_may_not_have_been_sent() -> None:
    refused, sent = sending(2, failed="away"), sending(3)
    read = span(4, 3, "billing", "CONSUMER", "process T", at=5, tags=message("T", "process"))

    assert causes(ROOT, sent, refused, read) == [[Cause.NOT_SENT]]
    assert causes(ROOT, *(replace(each, tags={**each.tags, **at_place(0, 7)}) for each in (sent, refused)), read) == [
        []
    ]
    named = {"messaging.message.id": "m-1"}
    assert causes(ROOT, *(replace(each, tags={**each.tags, **named}) for each in (sent, refused)), read) == [[]]


def taken(id: int, *, failed: str = "", kind: str = "CONSUMER", **tags: str) -> Span:
    """What handles a record below a poll with the id 3."""
    error = failing_with(failed) if failed else {}
    return span(id, 3, "billing", kind, "process T", at=id, tags={**message("T", "process"), **error, **tags})


@pytest.mark.parametrize("kind", ["CONSUMER", "INTERNAL"])
def test_of_the_records_of_a_poll_one_may_have_failed(kind: str) -> None:
    polled = span(3, 2, "billing", "CONSUMER", "receive T", at=1, tags=message("T", "receive"))

    assert causes(ROOT, SENT, polled, taken(4, kind=kind), taken(5, kind=kind, failed="boom")) == [[Cause.FAILED]]
    assert causes(ROOT, SENT, polled, taken(4, failed="boom", **at_place(0, 7)), taken(5, **at_place(0, 8))) == [
        [Cause.FAILED]
    ]
    assert causes(ROOT, SENT, polled, taken(4, failed="boom", **at_place(0, 7)), taken(5, **at_place(0, 7))) == [[]]


def test_of_readers_that_only_link_to_their_senders_one_may_have_failed() -> None:
    def linked(id: int, to: int, failed: str = "") -> Span:
        return replace(taken(id, failed=failed, **links(("a", to))), parent_id=ROOT.id)

    assert causes(ROOT, SENT, sending(3), linked(4, 2), linked(5, 3, "boom")) == [[Cause.FAILED]]
    assert causes(ROOT, SENT, sending(3), linked(4, 2), linked(5, 3, "boom"), linked(6, 3)) == [[]]


def test_a_message_that_was_handled_at_last_is_handled_though_its_tries_have_one_id() -> None:
    """Zipkin has each report of a span, and files have one."""
    stopped = reader(3, "g1", failed="Stopped")
    went_on = span(4, 3, "billing", "PRODUCER", "send errors", at=9, tags=message("errors", "send"))

    assert causes(ROOT, SENT, stopped, reader(3, "g1", at=8)) == [[]]
    assert causes(ROOT, SENT, stopped, reader(3, "g1", at=8), went_on) == [[Cause.NOBODY]]


@pytest.mark.parametrize("child", ["SERVER", "INTERNAL"])
def test_a_parent_that_is_missing_in_the_middle_is_a_gap(child: str) -> None:
    assert causes(ROOT, span(5, 4, "stock", child, "GET /stock", at=0)) == [[Cause.DROPPED]]


def test_callers_elsewhere_are_none_where_the_trace_has_no_other_beginning() -> None:
    first, second = (span(id, 9 + id, "shop", "SERVER", "POST /orders", at=id) for id in (1, 2))

    assert causes(first, second) == [[]]


def test_parents_in_a_circle_are_not_whole() -> None:
    assert causes(ROOT, span(2, 3, "a", "INTERNAL", "x", at=1), span(3, 2, "a", "INTERNAL", "y", at=1)) == [
        [Cause.MISPLACED]
    ]


def test_what_was_refused_to_a_caller_that_went_on_is_no_failure() -> None:
    asked = span(3, 1, "shop", "CLIENT", "GET", at=0, tags=FOUND_404)
    refused = span(4, 3, "cache", "SERVER", "GET /cache/{key}", at=0, tags=FOUND_404)

    assert causes(ROOT, asked, refused) == [[]]
    broken = span(4, 3, "cache", "SERVER", "GET /cache/{key}", at=0, tags={"http.status_code": "503", "error": "503"})
    assert causes(ROOT, asked, broken) == [[Cause.FAILED]]
    failed_too = span(1, 0, "shop", "SERVER", "POST /orders", at=0, tags=failing_with("no price"))
    assert causes(failed_too, asked, refused) == [[Cause.FAILED] * 2]


def test_a_reader_that_links_to_its_sender_in_the_same_trace_has_read_the_message() -> None:
    linked = span(3, 1, "billing", "CONSUMER", "process T", at=1, tags={**message("T", "process"), **links(("a", 2))})

    assert causes(ROOT, SENT, linked) == [[]]


def test_an_inner_span_of_the_same_sending_is_the_one_that_is_read() -> None:
    inner = span(3, 2, "shop", "PRODUCER", "T publish", at=0, tags=message("T", "publish"))
    read = span(4, 3, "billing", "CONSUMER", "process T", at=1, tags=message("T", "process"))

    assert causes(ROOT, SENT, inner, read) == [[]]
    # Nobody reads the inner one, while others of the topic are read.
    other = span(1, 0, "shop", "PRODUCER", "send T", at=1, trace="b", tags=message("T", "send"))
    other_read = span(2, 1, "billing", "CONSUMER", "process T", at=1, trace="b", tags=message("T", "process"))
    assert causes(ROOT, SENT, inner, other, other_read) == [[Cause.QUEUED], []]


def java_sent() -> Span:
    tags = {"messaging.destination.name": "T", "messaging.operation": "publish", "messaging.kafka.message.offset": "7"}
    return span(1, 0, "p", "PRODUCER", "T publish", at=0, tags={**tags, "messaging.destination.partition.id": "0"})


def java_received(**tags: str) -> Span:
    received = {"messaging.destination.name": "T", "messaging.operation": "receive"}
    counted = {"messaging.batch.message_count": "1"}
    return span(2, 0, "c", "CONSUMER", "T receive", at=2, trace="b", tags={**received, **counted, **tags})


def java_processed(**tags: str) -> Span:
    processed = {"messaging.destination.name": "T", "messaging.operation": "process"}
    return span(3, 2, "c", "CONSUMER", "T process", at=3, trace="b", tags={**processed, **tags})


def test_javas_receive_has_the_links_of_the_spans_below_it() -> None:
    sent, read = judged(java_sent(), java_received(), java_processed(**links(("a", 1))))

    assert [each.findings[0].cause for each in (sent, read)] == [Cause.LINKED] * 2
    assert (sent.findings[0].other_trace, read.findings[0].other_trace) == ("b" * 32, "a" * 32)
    begins = f"c CONSUMER `T receive` ({2:016x}) begins this trace, and c CONSUMER `T process` ({3:016x}) below it"
    assert read.findings[0].says == f"{begins} links to trace {'a' * 32}."


def test_the_record_below_a_poll_came_without_a_context_not_the_poll() -> None:
    (said,) = judged(java_received(), java_processed())

    assert [(each.cause, each.at) for each in said.findings] == [(Cause.NOT_INJECTED, f"{3:016x}")]


def test_a_poll_of_its_own_is_no_record_without_a_context() -> None:
    assert causes(java_received()) == [[]]
    elsewhere = span(3, 1, "c", "CONSUMER", "T process", at=3, tags=message("T", "process"))
    assert causes(java_sent(), elsewhere, java_received(**links(("a", 1)))) == [[], []]


def polls(*at: int) -> list[Span]:
    names = "bcdef0123456789"
    return [span(1, 0, "billing", "CLIENT", "SELECT outbox", at=t, trace=names[n]) for n, t in enumerate(at)]


def busy(took: int = 9) -> list[Span]:
    read = span(3, 2, "billing", "CONSUMER", "process T", at=1, took=took, tags=message("T", "process"))
    return [ROOT, SENT, read]


def test_what_a_poller_begins_is_not_taken_for_a_lost_handler() -> None:
    assert causes(*busy(), *polls(3, 6, 9, 12, 15)) == [[]] * 6


def test_what_is_begun_only_while_a_record_is_in_hand_is_lost() -> None:
    assert causes(*busy(), *polls(3)) == [[Cause.LOST], [Cause.LOST]]
    sends = [
        span(1, 0, "billing", "PRODUCER", "send U", at=t, trace=trace, tags=message("U", "send"))
        for trace, t in (("b", 3), ("c", 12), ("d", 15))
    ]
    assert [Cause.LOST in each for each in causes(*busy(), *sends)] == [True, True, False, False], (
        "nobody polls by sending"
    )


def created(id: int, trace: str) -> Span:
    return span(id, 0, "p", "PRODUCER", "create Q", at=0, trace=trace, tags=message("Q", "create"))


def poll(id: int, trace: str, *of: tuple[str, int], at: int = 5) -> Span:
    return span(id, 0, "c", "CLIENT", "poll Q", at=at, trace=trace, tags={**message("Q", "receive"), **links(*of)})


def test_messages_that_were_polled_together_are_read() -> None:
    said = judged(created(1, "a"), created(2, "b"), poll(3, "c", ("a", 1), ("b", 2)))

    assert [each.verdict for each in said] == [Verdict.WHOLE] * 3
    assert [[finding.cause for finding in each.findings] for each in said] == [[Cause.POLLED], [Cause.POLLED], []]
    assert said[0].findings[0].other_trace == "c" * 32


def test_a_message_that_somebody_should_handle_is_not_read_by_a_mere_poll() -> None:
    def polled(topic: str, sender: int, trace: str = "a") -> Span:
        return span(
            9, 0, "redrive", "CLIENT", f"poll {topic}", at=9, trace="f",
            tags={**message(topic, "receive"), **links((trace, sender))},
        )  # fmt: skip

    orders = span(2, 1, "orders", "PRODUCER", "send orders", at=0, tags=message("orders", "send", **at_place(0, 7)))
    posted = span(1, 0, "orders", "SERVER", "POST /orders", at=0)
    said = judged(posted, orders, polled("orders", 2))[0]

    assert (said.verdict, [each.cause for each in said.findings]) == (Verdict.BROKEN, [Cause.NOT_RUNNING])
    assert "redrive CLIENT `poll orders` (0000000000000009) took it in trace ffff" in said.findings[0].says
    handled = [
        span(1, 0, "shop", "PRODUCER", "send T", at=0, trace="b", tags=message("T", "send")),
        span(2, 1, "billing", "CONSUMER", "process T", at=0, trace="b", tags=message("T", "process")),
    ]
    assert causes(ROOT, SENT, polled("T", 2))[0] == [Cause.POLLED], "nothing tells that anything handles them"
    assert causes(ROOT, SENT, polled("T", 2), *handled)[0] == [Cause.NOT_RUNNING]
    retried = span(4, 3, "billing", "PRODUCER", "send b.retry", at=3, tags=message("b.retry", "send"))
    assert causes(ROOT, SENT, reader(3, "g1", failed="boom"), retried, polled("b.retry", 4))[0] == [Cause.NOT_RUNNING]


def test_a_record_that_was_polled_and_is_handled_in_another_trace_is_stripped() -> None:
    sent = span(2, 1, "shop", "PRODUCER", "send T", at=0, tags=message("T", "send", **at_place(0, 7)))
    tail = span(9, 0, "tail", "CLIENT", "poll T", at=9, trace="f", tags={**message("T", "receive"), **links(("a", 2))})
    read = span(1, 0, "c", "CONSUMER", "process T", at=3, trace="b", tags=message("T", "process", **at_place(0, 7)))

    assert causes(ROOT, sent, tail, read)[0] == [Cause.STRIPPED]


def test_messages_that_are_created_apart_from_their_sending_are_read_where_they_are_polled() -> None:
    send = span(
        3, 0, "p", "CLIENT", "send Q", at=1, trace="c", tags={**message("Q", "send"), **links(("a", 1), ("b", 2))}
    )
    said = judged(created(1, "a"), created(2, "b"), send, poll(4, "d", ("a", 1)), poll(5, "e", ("b", 2)))

    assert {each.verdict for each in said} == {Verdict.WHOLE}


def test_a_batch_whose_work_goes_on_elsewhere_is_linked_and_not_continued() -> None:
    work = span(4, 3, "c", "INTERNAL", "work", at=5, trace="c")
    stray = span(4, 0, "c", "PRODUCER", "send R", at=5, trace="d", tags=message("R", "send"))

    assert causes(created(1, "a"), poll(3, "c", ("a", 1)), work)[0] == [Cause.LINKED]
    assert causes(created(1, "a"), poll(3, "c", ("a", 1)), stray)[0] == [Cause.LINKED]
    committed = span(4, 3, "c", "CLIENT", "commit Q", at=5, trace="c", tags=message("Q", "settle"))
    assert causes(created(1, "a"), poll(3, "c", ("a", 1)), committed)[0] == [Cause.POLLED]


def test_sending_is_not_reading_though_it_is_a_clients() -> None:
    send = span(3, 0, "p", "CLIENT", "send Q", at=1, trace="c", tags={**message("Q", "send"), **links(("a", 1))})

    assert causes(created(1, "a"), send) == [[Cause.NOBODY], []]


def brave(*, error: bool = False) -> list[Span]:
    """An order as Brave has it: no message attribute of OpenTelemetry, a poll, and the listener below it."""
    failed = failing_with("boom") if error else {}
    return [
        span(1, 0, "shop", "SERVER", "post /orders", at=0),
        span(2, 1, "shop", "PRODUCER", "send", at=0, remote_service="kafka", tags={"kafka.topic": "orders"}),
        span(3, 2, "billing", "CONSUMER", "poll", at=1, remote_service="kafka", tags={"kafka.topic": "orders"}),
        span(4, 3, "billing", "INTERNAL", "on-message", at=1, tags=failed),
    ]


def test_braves_topics_are_known() -> None:
    invoices = span(5, 4, "billing", "PRODUCER", "send", at=1, tags={"kafka.topic": "invoices"})
    (said,) = judged(*brave(), invoices)

    assert said.verdict is Verdict.WHOLE
    assert [finding.says.partition(";")[0] for finding in said.findings] == ["nobody has read topic invoices yet"]
    other = [
        span(1, 0, "shop", "PRODUCER", "send", at=-5, trace="b", tags={"kafka.topic": "invoices"}),
        span(2, 1, "mail", "CONSUMER", "poll", at=-4, trace="b", tags={"kafka.topic": "invoices"}),
    ]
    assert causes(*brave(), invoices, *other) == [[Cause.NOT_RUNNING], []]


def test_braves_listener_may_fail_and_may_set_aside() -> None:
    letter = span(5, 4, "billing", "PRODUCER", "send", at=1, tags={"kafka.topic": "orders.DLT"})

    assert causes(*brave()) == [[]]
    assert causes(*brave(error=True)) == [[Cause.FAILED]]
    assert causes(*brave(error=True), letter) == [[Cause.DEAD]]


def test_rabbits_queues_have_other_names_for_readers_than_for_senders() -> None:
    def rabbit(trace: str, at: int) -> list[Span]:
        sent = {
            "messaging.system": "rabbitmq",
            "messaging.destination.name": "shop",
            "messaging.operation.type": "send",
        }
        read = {**sent, "messaging.destination.name": "billing-orders", "messaging.operation.type": "process"}
        return [
            span(1, 0, "shop", "PRODUCER", "publish shop", at=at, trace=trace, tags=sent),
            span(2, 1, "billing", "CONSUMER", "consume billing-orders", at=at + 1, trace=trace, tags=read),
        ]

    assert causes(*rabbit("a", 0), *rabbit("b", 5)[:1]) == [[], [Cause.NOT_RUNNING]]


def test_braves_exchange_and_routing_key_are_one_place() -> None:
    def sent(trace: str, key: str) -> Span:
        tags = {"rabbit.exchange": "shop", "rabbit.routing_key": key}
        return span(1, 0, "shop", "PRODUCER", "publish", at=0, trace=trace, tags=tags)

    read = span(
        2, 1, "billing", "CONSUMER", "next-message", at=1, tags={**sent("a", "orders").tags, "rabbit.queue": "q"}
    )

    assert causes(sent("a", "orders"), read, sent("b", "orders"), sent("c", "mails")) == [
        [],
        [Cause.QUEUED],
        [Cause.NOBODY],
    ]


@pytest.mark.parametrize(
    "topic",
    [
        *("OrdersDLQ", "orders/$deadletterqueue", "dlq-lcc-abc12", "orders.parking-lot", "orders.dlx", "orders_dlq"),
        *("orders-dlt-0", "orders.DLT", "orders-dlt", "orders-dead-letter", "DeadLetterQueue", "dlq_orders"),
        *("submit-order_error", "error", "orders-poison", "orders_skipped"),
    ],
)
def test_dead_letters_are_known_under_everybodys_names(topic: str) -> None:
    failed = reader(3, "g1", failed="boom")
    letter = span(4, 3, "billing", "PRODUCER", f"send {topic}", at=3, tags=message(topic, "send"))
    (said,) = judged(ROOT, SENT, failed, letter)

    (finding,) = said.findings
    assert finding.cause is Cause.DEAD
    assert f"set the message aside in {topic}: boom." in finding.says


def letter_of(topic: str) -> list[Span]:
    letter = span(4, 3, "billing", "PRODUCER", f"send {topic}", at=3, tags=message(topic, "send"))
    return [ROOT, SENT, reader(3, "g1", failed="boom"), letter]


@pytest.mark.parametrize("topic", ["T.dlq", "T_error"])
def test_a_dead_letter_that_somebody_looked_at_is_still_one(topic: str) -> None:
    looked = span(5, 4, "monitor", "CONSUMER", f"process {topic}", at=4, tags=message(topic, "process"))
    linked = replace(looked, parent_id=ROOT.id, tags={**looked.tags, **links(("a", 4))})
    shown = span(6, 5, "monitor", "CLIENT", "INSERT", at=4)
    inner = span(7, 4, "billing", "PRODUCER", f"{topic} publish", at=3, tags=message(topic, "publish"))

    for after in ([looked, shown], [linked, shown], [inner], [inner, replace(looked, parent_id=inner.id)]):
        assert causes(*letter_of(topic), *after) == [[Cause.DEAD]]


def test_a_dead_letter_that_its_reader_sent_back_is_one_no_more() -> None:
    looked = span(5, 4, "redrive", "CONSUMER", "process T.dlq", at=4, tags=message("T.dlq", "process"))
    linked = replace(looked, parent_id=ROOT.id, tags={**looked.tags, **links(("a", 4))})
    back = span(6, 5, "redrive", "PRODUCER", "send T", at=5, tags=message("T", "send"))
    read = span(7, 6, "billing", "CONSUMER", "process T", at=6, tags=message("T", "process"))

    assert causes(*letter_of("T.dlq"), looked, back, read) == causes(*letter_of("T.dlq"), linked, back, read) == [[]]


def test_what_a_failed_step_sent_before_does_not_set_the_message_aside() -> None:
    sent = span(4, 3, "billing", "PRODUCER", "send U", at=3, tags=message("U", "send"))
    read = span(5, 4, "mail", "CONSUMER", "process U", at=4, tags=message("U", "process"))

    assert causes(ROOT, SENT, reader(3, "g1", failed="boom"), sent, read) == [[Cause.FAILED]]
    aside = span(6, 3, "billing", "PRODUCER", "send b.retry", at=5, tags=message("b.retry", "send"))
    again = span(7, 6, "billing", "CONSUMER", "process b.retry", at=6, tags=message("b.retry", "process"))
    assert causes(ROOT, SENT, reader(3, "g1", failed="boom"), sent, read, aside, again) == [[]]


def test_a_topic_called_error_is_an_ordinary_one_where_nothing_failed() -> None:
    event = span(4, 3, "billing", "PRODUCER", "send error", at=3, tags=message("error", "send"))

    assert causes(ROOT, SENT, reader(3, "g1"), event) == [[Cause.NOBODY]]


def test_the_place_of_the_last_record_read_is_known_by_its_offset() -> None:
    """Partition 0 stands still at offset 8 while partition 1 is read."""
    fine = [
        span(1, 0, "p", "PRODUCER", "send T", at=0, trace=trace, tags=message("T", "send", **place))
        for trace, place in (("b", at_place(0, 7)), ("c", at_place(1, 3)))
    ]
    readings = [
        span(2, 1, "c", "CONSUMER", "process T", at=at, trace=trace, tags=message("T", "process", **group, **place))
        for trace, at, place in (("b", 1, at_place(0, 7)), ("c", 30, at_place(1, 3)))
        if (group := {"messaging.consumer.group.name": "g"})
    ]
    held = span(1, 0, "p", "PRODUCER", "send T", at=10, tags=message("T", "send", **at_place(0, 8)))
    (said, *_) = judged(held, *fine, *readings)

    (finding,) = said.findings
    assert (finding.cause, said.verdict) == (Cause.IN_HAND, Verdict.BROKEN)
    assert "c (group g) has read what is before it in the partition: it has this message in hand" in finding.says
    assert judged(held, *fine, *readings, now=BEGAN + 15 * SECOND)[0].verdict is Verdict.WAITING
    assert judged(held, *fine, readings[0])[0].findings[0].cause is Cause.NOT_RUNNING, (
        "nothing tells that it still works"
    )
