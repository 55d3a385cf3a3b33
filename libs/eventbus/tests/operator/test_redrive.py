import os
from collections.abc import Iterator

import pytest
from aiokafka_otel.propagation import context_of
from eventbus import Poison, kafka, within_transaction
from eventbus.worker import dead_letters
from opentelemetry import propagate, trace
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.propagators.composite import CompositePropagator
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from sqlalchemy import Connection, insert

from libs.eventbus.tests.operating import Letter, Operator, letter
from libs.eventbus.tests.support import (
    OrderPlaced,
    Recorded,
    Service,
    effects,
    effects_of,
    encoded,
    eventually,
    header,
    traceparent,
)

OWN_TRACE, OWN_SPAN = "4b" * 16, "2b" * 8
OWN = ("traceparent", f"00-{OWN_TRACE}-{OWN_SPAN}-01".encode())


@pytest.fixture
def baggage_travels() -> Iterator[None]:
    before = propagate.get_global_textmap()
    propagate.set_global_textmap(CompositePropagator([TraceContextTextMapPropagator(), W3CBaggagePropagator()]))
    yield
    propagate.set_global_textmap(before)


def with_headers(letter: Letter, *headers: tuple[str, bytes]) -> Letter:
    key, value, own = letter
    return key, value, [*own, *headers]


def test_a_letter_goes_back_as_the_message_that_it_was(operator: Operator) -> None:
    topic = operator.topic()
    key, value, headers = encoded(OrderPlaced(order_id="o-1"), event_id="e-1", own=b"\xff\x00")
    about = letter("o-1", original=topic)[2]
    retried = [("retry.attempt", b"4"), ("retry.due", b"1"), ("baggage", b"demo.scenario=billing-poison")]
    operator.put(
        (key, value, [*headers, *retried, *(each for each in about if each[0].startswith("dlq.")), OWN]),
    )
    answer = operator.dlq("redrive", "--order", "o-1")
    (record,) = operator.records(topic)

    assert (answer.exit_code, answer.err) == (0, "")
    assert answer.out.splitlines() == ["to be redriven: 1 letter: 1 Poison", "redriven: 1 letter"]
    assert (record.key, record.value) == (key, value)
    assert list(record.headers) == [*headers, OWN]
    assert operator.listed() == []


def test_the_key_decides_on_the_partition_as_at_first_and_the_original_one_where_there_is_no_key(
    operator: Operator,
) -> None:
    topic, as_at_first = operator.topic(), operator.topic()

    async def relay() -> None:
        async with kafka.producer(operator.kafka.broker, "relay") as producer:
            for number in range(10):
                await producer.send_and_wait(as_at_first, b"", key=f"o-{number}".encode())

    operator.run(relay())
    operator.put(*(letter(f"o-{number}", original=topic) for number in range(10)))
    operator.put(letter("a", original=topic, key=None), letter("b", original=topic, key=None))
    operator.put(letter("c", original=topic, key=None, original_partition=b"0"))
    operator.dlq("redrive", "--all", "--yes")
    places = {record.key: record.partition for record in operator.records(topic) if record.key}
    keyless = [record.partition for record in operator.records(topic) if record.key is None]

    assert places == {record.key: record.partition for record in operator.records(as_at_first)}
    assert keyless == [0, 2, 2]


def test_letters_of_one_key_go_back_in_their_order(operator: Operator) -> None:
    topic = operator.topic()
    operator.put(*(with_headers(letter("o-1", original=topic), ("n", b"%d" % n)) for n in range(700)))
    operator.dlq("redrive", "--all", "--yes")

    assert [header(record, "n") for record in operator.records(topic)] == [str(number) for number in range(700)]


def test_each_letter_has_one_span_whose_parent_is_in_the_letter_and_nothing_else_has_any(
    operator: Operator, recorded: Recorded, baggage_travels: None
) -> None:
    topic = operator.topic()
    scenario = ("baggage", b"demo.scenario=billing-poison")
    operator.put(
        with_headers(letter("own", original=topic), OWN, ("tracestate", b"x=1"), scenario),
        letter("original", original=topic),
        letter("none", original=topic, without=("original-traceparent",)),
    )
    operator.dlq("list")
    operator.dlq("redrive", "--all", "--yes")
    sent = {record.key: record for record in operator.records(topic)}
    spans = {span.context.span_id: span for span in recorded.spans()}
    parents = {}
    for key, record in sent.items():
        context = trace.get_current_span(context_of(record.headers)).get_span_context()
        span = spans.pop(context.span_id)
        parents[key] = span.parent and (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}")
        assert (span.name, span.kind) == (f"send {topic}", SpanKind.PRODUCER)
        assert header(record, "traceparent") == traceparent(span)
        assert header(record, "baggage") is None

    assert parents == {b"own": (OWN_TRACE, OWN_SPAN), b"original": ("1" * 32, "1" * 16), b"none": None}
    assert header(sent[b"own"], "tracestate") == "x=1"
    assert spans == {}


def test_a_dry_run_shows_what_would_be_done_and_does_nothing(operator: Operator) -> None:
    topic = operator.topic()
    operator.put(letter("o-1", original=topic), letter("o-2", original="nowhere"), letter("o-3", original=topic))
    answer = operator.dlq("redrive", "--all", "--dry-run")
    well = operator.dlq("redrive", "--order", "o-1", "--dry-run")
    of_purge = operator.dlq("purge", "--all", "--dry-run")

    assert [line.split()[2] for line in answer.out.splitlines()[1:-1]] == ["o-1", "o-2", "o-3"]
    assert answer.out.splitlines()[-1] == "would be redriven: 3 letters: 3 Poison"
    assert answer.err == "would be left: its original topic nowhere does not exist\n"
    assert [answer.exit_code, well.exit_code, of_purge.exit_code] == [1, 0, 0]
    assert operator.records(topic) == []
    assert operator.listed() == ["o-1", "o-2", "o-3"]
    assert dead_letters.resolved_topic_of(operator.letters) not in operator.topics()


def test_it_asks_before_it_touches_more_than_one(operator: Operator) -> None:
    topic = operator.topic()
    operator.put(*(letter(f"o-{number}", original=topic) for number in range(4)))
    refused = operator.dlq("redrive", "--all", answer="n\n")
    unanswered = operator.dlq("purge", "--all")

    for answer in (refused, unanswered):
        assert answer.exit_code == 1
        assert "Go on? (--yes does not ask) [y/N]" in answer.out
        assert "Aborted!" in answer.err
    assert operator.records(topic) == [] and len(operator.listed()) == 4

    assert "Go on?" not in operator.dlq("redrive", "--order", "o-0").out
    assert "Go on?" not in operator.dlq("redrive", "--order", "o-1", "--order", "o-2", "--yes").out
    assert operator.dlq("redrive", "--all").exit_code == 0  # one is left
    assert len(operator.records(topic)) == 4


def test_a_letter_that_has_no_way_back_is_reported_and_stays_and_the_others_go(operator: Operator) -> None:
    topic = operator.topic()
    hopeless = {
        "moved": (letter("moved", original="nowhere"), "its original topic nowhere does not exist"),
        "cut": (
            letter("cut", original="t", left_out=b"value"),
            "it was too large to be kept with its value; it was t 2:17",
        ),
        "bare": (letter("bare", original=topic, without=("original-topic",)), "dlq.original-topic is missing"),
        "torn": (letter("torn", original="x", original_topic=b"\xff"), "dlq.original-topic is missing or unreadable"),
        "keyless": (
            letter("keyless", original=topic, key=None, original_partition=b"7"),
            f"it has no key, and {topic} has no partition 7",
        ),
        "torn partition": (
            letter("torn partition", original=topic, key=None, original_partition=b"\xff"),
            "it has no key",
        ),
    }
    operator.put(*(each for each, _ in hopeless.values()), letter("well", original=topic))
    answer = operator.dlq("redrive", "--all", "--yes")

    assert answer.exit_code == 1
    assert answer.out.splitlines()[-1] == "redriven: 1 letter"
    for number, ((_, reason), line) in enumerate(zip(hopeless.values(), answer.err.splitlines(), strict=True)):
        assert line.startswith(f"left {operator.letters} 0:{number}: ") and reason in line
    assert [record.key for record in operator.records(topic)] == [b"well"]
    assert len(operator.listed()) == len(hopeless)


def test_a_letter_that_the_broker_refuses_is_reported_and_stays_and_the_others_go(operator: Operator) -> None:
    topic = operator.topic()
    small = operator.run(operator.kafka.topic(max_message_bytes="1000"))
    operator.put(letter("o-1", original=topic), letter("o-2", original=small), letter("o-3", original=topic))
    key, _, headers = letter("large", original=small)
    operator.put((key, os.urandom(2000), headers), letter("o-4", original=topic))
    answer = operator.dlq("redrive", "--all", "--yes")

    assert answer.exit_code == 1
    assert "the broker refused it: MessageSizeTooLargeError" in answer.err
    assert {record.key for record in operator.records(topic)} == {b"o-1", b"o-3", b"o-4"}
    operator.dlq("redrive", "--order", "o-2")  # it may have been refused in one batch with the other
    assert operator.listed() == ["large"]


def issue_nothing(order: OrderPlaced, connection: Connection) -> None:
    connection.execute(insert(effects).values(order_id=order.order_id))


def refuse(order: OrderPlaced, connection: Connection) -> None:
    raise Poison("no such product")


def test_a_redriven_message_is_handled_in_the_trace_in_which_it_failed(
    operator: Operator, service: Service, recorded: Recorded
) -> None:
    topic = operator.topic()
    group = Operator(operator.kafka, service.group, operator.runner).create_letters()
    own = encoded(OrderPlaced(order_id="o-1"), event_id="e-1", traceparent=OWN[1])
    operator.run(operator.kafka.put(topic, own))

    async def work(handler: object) -> None:
        subscription = within_transaction(OrderPlaced.on(topic), handler, lambda connection: connection)  # type: ignore[arg-type]
        before = len(recorded.spans(f"process {topic}"))
        async with service.working(subscription):
            await eventually("it is processed", lambda: len(recorded.spans(f"process {topic}")) > before)

    operator.run(work(refuse))
    assert effects_of(service.database) == []
    assert group.listed() == ["o-1"]
    assert group.dlq("redrive", "--order", "o-1").exit_code == 0
    operator.run(work(issue_nothing))
    failed, sent_letter, sent_back, handled = recorded.spans()
    chain = [failed, sent_letter, sent_back, handled]

    assert [span.name for span in chain] == [
        f"process {topic}",
        f"send {group.letters}",
        f"send {topic}",
        f"process {topic}",
    ]
    assert [f"{span.parent.span_id:016x}" for span in chain if span.parent] == [
        OWN_SPAN,
        *(f"{span.context.span_id:016x}" for span in chain[:-1]),
    ]
    assert {f"{span.context.trace_id:032x}" for span in chain} == {OWN_TRACE}
    assert effects_of(service.database) == ["o-1"]
