"""A run counts only if every accepted order has its end once, and exactly its traces."""

from dataclasses import replace

import pytest
from journey import Span

from bench.candidates import ALL, Candidate
from bench.candidates.candidate import Chain
from bench.judging import Ends, Traces, objections
from bench.load import Posted

ORDERS = [Posted(f"o-{n}", f"{n + 1:032x}"[::-1], due=0, took=1, status=202) for n in range(3)]
ENDS = {order.id: [2] for order in ORDERS}


def spans_of(trace_id: str, chain: Chain, caller: str | None = None) -> list[Span]:
    """Return the spans that a chain wants."""
    ids = {row.number: f"{trace_id[:8]}{row.number:08x}" for row in chain}
    return [
        Span(trace_id, ids[row.number], ids.get(row.parent or 0, caller), row.name, row.service, row.kind)
        for row in chain
    ]


def traces_of(candidate: Candidate) -> dict[str, list[Span]]:
    """Return the traces that a candidate's orders are to leave."""
    if not candidate.traces:
        return {}
    first, *following = candidate.traces
    traces = {order.trace_id: spans_of(order.trace_id, first, order.caller) for order in ORDERS}
    own = [(order.trace_id[::-1], chain) for order in ORDERS for chain in following]
    return traces | {trace_id: spans_of(trace_id, chain) for trace_id, chain in own}


def judge(candidate: Candidate, traces: Traces, posted: list[Posted] = ORDERS, ends: Ends = ENDS) -> list[str]:
    return objections(posted, ends, traces, candidate)


@pytest.mark.parametrize("candidate", ALL.values(), ids=lambda each: each.name)
def test_a_whole_run_counts(candidate: Candidate) -> None:
    assert judge(candidate, traces_of(candidate)) == []


@pytest.mark.parametrize(
    ("ends", "objection"),
    [
        ({**ENDS, "o-1": []}, "1 of 3 accepted orders have no e-mail"),
        ({**ENDS, "o-1": [2, 3]}, "1 of 3 accepted orders have more than one e-mail"),
        ({**ENDS, "o-9": [2]}, "1 orders that nobody accepted have an e-mail, like o-9"),
    ],
)
def test_an_order_without_exactly_one_end_is_an_objection(ends: Ends, objection: str) -> None:
    assert judge(ALL["ours"], traces_of(ALL["ours"]), ends=ends) == [objection]


def test_an_order_that_was_refused_is_an_objection() -> None:
    refused = [*ORDERS, replace(ORDERS[0], id="o-9", trace_id="9" * 32, status=503)]

    assert judge(ALL["ours"], traces_of(ALL["ours"]), posted=refused) == ["1 of 4 orders were answered with 503"]


@pytest.mark.parametrize("candidate", [each for each in ALL.values() if each.traces], ids=lambda each: each.name)
def test_any_span_that_is_missing_is_an_objection(candidate: Candidate) -> None:
    for trace_id, spans in traces_of(candidate).items():
        for lost in spans:
            traces = {**traces_of(candidate), trace_id: [span for span in spans if span != lost]}

            assert judge(candidate, traces), f"{lost} is missing"


@pytest.mark.parametrize("candidate", [each for each in ALL.values() if each.traces], ids=lambda each: each.name)
def test_a_trace_that_is_not_there_is_an_objection(candidate: Candidate) -> None:
    for lost in traces_of(candidate):
        traces = {trace_id: spans for trace_id, spans in traces_of(candidate).items() if trace_id != lost}

        assert judge(candidate, traces), f"{lost} is missing"


@pytest.mark.parametrize("candidate", [each for each in ALL.values() if each.traces], ids=lambda each: each.name)
def test_a_wrong_parent_is_an_objection(candidate: Candidate) -> None:
    for trace_id, spans in traces_of(candidate).items():
        for number in range(len(spans)):
            wrong = [replace(span, parent_id="e" * 16) if n == number else span for n, span in enumerate(spans)]

            assert judge(candidate, {**traces_of(candidate), trace_id: wrong}), f"{wrong[number]}"


def test_a_span_in_a_trace_of_its_own_is_an_objection() -> None:
    torn = spans_of("9" * 32, ALL["ours"].traces[0])[4:5]
    found = judge(ALL["ours"], {**traces_of(ALL["ours"]), "9" * 32: torn})

    assert found == [f"1 traces have spans of orders and belong to none that was accepted, like {'9' * 32}"]


def test_what_is_told_of_a_connection_is_none() -> None:
    connecting = [Span("9" * 32, "9" * 16, None, "tcp.connect", "orders", "INTERNAL")]

    assert judge(ALL["kafkajs"], {**traces_of(ALL["kafkajs"]), "9" * 32: connecting}) == []


def test_a_frameworks_internal_spans_are_looked_through() -> None:
    trace_id, caller = ORDERS[0].trace_id, ORDERS[0].caller
    first, second, *rest = spans_of(trace_id, ALL["ours"].traces[0], caller)
    inner = Span(trace_id, "d" * 16, first.id, "middleware", "orders", "INTERNAL")
    spans = [first, inner, replace(second, parent_id=inner.id), *rest]

    assert judge(ALL["ours"], {**traces_of(ALL["ours"]), trace_id: spans}) == []


def test_a_trace_of_what_is_not_traced_is_an_objection() -> None:
    found = judge(ALL["ours-untraced"], traces_of(ALL["ours"]))

    assert found == ["there are 3 traces, and nothing is to be traced"]
