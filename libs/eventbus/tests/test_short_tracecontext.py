"""How much of a caller's tracestate goes along."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from short_tracecontext import ShortTraceContext

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
FIT = [f"m{number}={'x' * 46}" for number in range(10)]  # 10 of 49 or 50, and 9 commas: 499
LARGE = f"large={'y' * 200}"


def passed_on(tracestate: str, traceparent: str = CALLER) -> dict[str, str]:
    """Return the headers that come out where these came in."""
    propagator = ShortTraceContext()
    carrier: dict[str, str] = {}
    propagator.inject(carrier, propagator.extract({"traceparent": traceparent, "tracestate": tracestate}, Context()))
    return carrier


@pytest.mark.parametrize(
    ("members", "kept"),
    [
        (["a=1", "b=2"], ["a=1", "b=2"]),
        (FIT, FIT),
        ([LARGE, "a=1"], [LARGE, "a=1"]),
        ([*FIT, "k=12345678901"], [*FIT, "k=12345678901"][:10]),  # 513
        ([*FIT, "k=1234567890"], [*FIT, "k=1234567890"]),  # 512
        ([*FIT, *[f"n{number}=1" for number in range(5)]], [*FIT, "n0=1", "n1=1"]),
        ([LARGE, *FIT], FIT),
        ([LARGE, LARGE.replace("large", "second"), *FIT[:4]], [LARGE, *FIT[:4]]),
        ([f"m{number}={'z' * 250}" for number in range(30)], ["m0=" + "z" * 250, "m1=" + "z" * 250]),
    ],
)
def test_tracestate_is_shortened_by_whole_members_the_large_ones_first(members: list[str], kept: list[str]) -> None:
    assert passed_on(",".join(members)) == {"traceparent": CALLER, "tracestate": ",".join(kept)}


@pytest.mark.parametrize("traceparent", ["", "nonsense", CALLER.replace("00-", "ff-")])
def test_without_a_caller_nothing_is_passed_on(traceparent: str) -> None:
    assert passed_on("a=1", traceparent) == {}


def test_a_span_that_is_current_already_is_left_alone() -> None:
    state = trace.TraceState([(f"m{number}", "x" * 200) for number in range(5)])
    own = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False, trace_state=state))
    context = trace.set_span_in_context(own, Context())

    assert ShortTraceContext().extract({}, context) is context


@given(tracestate=st.text(st.characters(codec="ascii"), max_size=9000))
def test_whatever_a_header_holds_the_caller_is_read_and_at_most_512_characters_go_along(tracestate: str) -> None:
    carrier = passed_on(tracestate)

    assert carrier["traceparent"] == CALLER
    assert len(carrier.get("tracestate", "")) <= 512
