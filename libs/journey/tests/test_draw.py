import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journey import Span, Trace, differences, draw

from tests.order_journey import ORDER_JOURNEY

RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> Trace:
    return Trace.from_zipkin(json.loads((RECORDED / f"{name}.json").read_text()))


ORDER = recorded("order")


def without(*numbers: int) -> Trace:
    return Trace(ORDER.id, tuple(span for index, span in enumerate(ORDER.spans) if index not in numbers))


def test_an_order_is_drawn() -> None:
    assert (
        "\n" + draw(ORDER)
        == """
trace 0af7651916cd43dd8448eb211c80319d
6 spans, 3 services, 93.8 ms in all

called by span b7ad6b7169203331, which is not in this trace
└─ post /orders                  orders    server       7.3 ms  ███
   └─ send orders                orders    producer    11.6 ms      ██████
      ┊  waited 31.0 ms in topic orders                              ░░░░░░░░░░░░
      └─ process orders          billing   consumer     3.8 ms                  ███
         └─ send invoices        billing   producer     4.7 ms                        ███
            ┊  waited 22.0 ms in topic invoices                                        ░░░░░░░░░
            └─ process invoices  notifier  consumer    11.2 ms                                 █████
               └─ send email     notifier  client       5.3 ms                                   ███"""
    )


def test_an_error_is_drawn_below_its_span() -> None:
    lines = draw(recorded("refused_email"), width=60).splitlines()

    assert lines[1].startswith("7 spans, 3 services, 2 errors, ")
    assert lines[9:] == [
        "         └─ process invoices   notifier  consumer    16.3 ms",
        "            │  ✗ Poison: the mail server refuses the e-mail…",
        "            ├─ send email      notifier  client       3.6 ms",
        "            │  ✗ smtplib.SMTPDataError",
        "            └─ send notifier…  notifier  producer     4.6 ms",
    ]


def test_a_missing_parent_is_drawn_and_named() -> None:
    drawn = draw(without(0, 3)).splitlines()

    assert f"gap: span {ORDER.spans[0].id} is missing" in drawn
    assert f"gap: span {ORDER.spans[3].id} is missing" in drawn
    assert sum("gap" in line for line in drawn) == 2


def test_a_caller_outside_the_trace_is_no_gap() -> None:
    assert "called by span b7ad6b7169203331, which is not in this trace" in draw(ORDER).splitlines()
    assert "called by" not in draw(recorded("order_without_caller"))


def test_where_nobody_measured_the_wait_it_is_about_the_gap_between_the_spans() -> None:
    spans = (*ORDER.spans[:2], replace(ORDER.spans[2], tags={}))
    _, sent, processed = spans
    assert sent.end and processed.start

    assert f"waited about {(processed.start - sent.end) / 1000:.1f} ms in topic orders" in draw(Trace(ORDER.id, spans))


def test_a_wait_longer_than_the_trace_is_drawn_within_the_width() -> None:
    patient = replace(ORDER.spans[2], tags={"journey.queue.wait_ms": "3600000"})

    drawn = draw(Trace(ORDER.id, (*ORDER.spans[:2], patient)))

    assert "waited 60 min 0 s in topic orders" in drawn
    assert max(map(len, drawn.splitlines())) <= 100


def test_clocks_that_differ_are_said_so() -> None:
    early = replace(ORDER.spans[2], tags={}, start=(ORDER.spans[1].start or 0) - 3000)

    drawn = draw(Trace(ORDER.id, (*ORDER.spans[:2], early)))

    assert "processed 3.0 ms before it was sent to topic orders: the clocks differ" in drawn


def test_a_circle_is_drawn_and_named() -> None:
    drawn = draw(Trace("t", (replace(ORDER.spans[0], parent_id=ORDER.spans[0].id),)))

    assert "the parents of the next span lead back to itself:" in drawn.splitlines()


def test_a_name_cannot_command_the_terminal_or_break_the_line() -> None:
    drawn = draw(Trace("t", (replace(ORDER.spans[0], name="\x1b[31mred\nnext line", parent_id=None),)))

    assert "\x1b" not in drawn
    assert len(drawn.splitlines()) == 4


def test_many_levels_stay_readable() -> None:
    deep = [
        Span("t", str(number), str(number - 1) if number else None, "step", "s", "INTERNAL") for number in range(50)
    ]

    last = draw(Trace("t", tuple(deep)), width=80).splitlines()[-1]

    assert last.startswith("⋯")
    assert "└─ step" in last


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [(None, "?"), (0, "0 µs"), (870, "870 µs"), (4_100, "4.1 ms"), (2_030_000, "2.03 s"), (184_000_000, "3 min 4 s")],
)
def test_durations_have_a_fitting_unit(microseconds: int | None, text: str) -> None:
    drawn = draw(Trace("t", (Span("t", "1", None, "step", "s", "INTERNAL", None, microseconds),)))

    assert drawn.splitlines()[-1].endswith(f"internal  {text:>9}")


ids = st.sampled_from("abcdefgh")
times = st.none() | st.integers(0, 2**63 - 1) | st.integers(-(2**40), -1)
waits = st.sampled_from(["3.2", "0", "-1", "nan", "inf", "1e308", "1e400", "", "three"]) | st.text(max_size=5)
any_span = st.builds(
    Span,
    trace_id=st.sampled_from(["t", "u"]),
    id=ids,
    parent_id=st.none() | ids,
    name=st.text(max_size=60) | st.sampled_from([row.name for row in ORDER_JOURNEY]),
    service=st.text(max_size=30) | st.sampled_from(["orders", "billing", "notifier"]),
    kind=st.sampled_from(["SERVER", "CLIENT", "PRODUCER", "CONSUMER", "INTERNAL"]) | st.text(max_size=20),
    start=times,
    duration=times,
    remote_service=st.none() | st.text(max_size=30),
    tags=st.fixed_dictionaries(
        {}, optional={"journey.queue.wait_ms": waits, "error": st.text(), "error.type": st.text()}
    ),
)
any_trace = st.builds(Trace, st.just("t"), st.lists(any_span, min_size=1, max_size=12).map(tuple))


@given(any_trace, st.integers(-5, 200))
@settings(max_examples=200, deadline=None)
def test_any_spans_can_be_drawn_within_the_width(trace: Trace, width: int) -> None:
    drawn = draw(trace, width)

    assert all(len(line) <= max(width, 60) for line in drawn.split("\n"))
    assert all(character.isprintable() or character == "\n" for character in drawn)


@given(any_trace)
@settings(max_examples=200, deadline=None)
def test_any_spans_have_a_tree_with_each_of_them_once(trace: Trace) -> None:
    nodes = list(trace.tree())

    assert sorted(id(node.span) for node in nodes if node.span) == sorted(map(id, trace.spans))
    for node in nodes:
        if node.parent and node.span:
            assert node.parent.id in (node.span.parent_id, node.span.id), "the halves of a shared span have one id"
            assert node.depth == node.parent.depth + 1


@given(any_trace)
@settings(max_examples=200, deadline=None)
def test_any_spans_can_be_compared(trace: Trace) -> None:
    assert len(trace.spans) == len(ORDER_JOURNEY) or differences(trace, ORDER_JOURNEY, None)


def test_a_repeat_is_called_a_duplicate() -> None:
    repeat = replace(ORDER.spans[2], tags={"journey.duplicate": "true"})

    assert "process orders (duplicate)" in draw(Trace(ORDER.id, (repeat,)))


def drawn_with(*spans: Span) -> list[str]:
    return draw(Trace("t", spans)).splitlines()


def test_a_server_that_began_before_it_was_called_has_another_clock() -> None:
    client = Span("t", "1", None, "get", "web", "CLIENT", 63_000, 10_000)
    server = Span("t", "2", "1", "get", "shop", "SERVER", 0, 8_000)
    drawn = drawn_with(client, server)

    assert drawn[1] == "2 spans, 2 services, 73.0 ms in all, by clocks that differ"
    assert drawn[4] == "┊  began 63.0 ms before it was called: the clocks differ"
    assert drawn_with(client, replace(server, start=64_000))[1] == "2 spans, 2 services, 10.0 ms in all"


def test_a_span_that_ended_before_it_began_is_named() -> None:
    drawn = drawn_with(Span("t", "1", None, "get", "web", "SERVER", 10_000, -5_000))

    assert drawn[1] == "1 span, 1 service, 0 µs in all, by clocks that differ"
    assert drawn[3] == "┊  ended 5.0 ms before it began: its clock was set back"
    assert "-5.0 ms" in drawn[4]


def test_a_message_that_was_handled_before_it_was_sent_makes_the_whole_duration_doubtful() -> None:
    sent = Span("t", "1", None, "send plays", "web", "PRODUCER", 50_000, 1_000)
    drawn = drawn_with(sent, Span("t", "2", "1", "process plays", "counter", "CONSUMER", 0, 1_000))

    assert drawn[1].endswith("51.0 ms in all, by clocks that differ")


def test_spans_that_are_not_understood_are_counted() -> None:
    trace = Trace("t", (Span("t", "1", None, "get", "web", "SERVER", 0, 5),), ("line 1 has a span that is none",))

    assert draw(trace).splitlines()[1] == "1 span, 1 service, 5 µs in all, 1 more not understood"
