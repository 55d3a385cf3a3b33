from itertools import repeat

from journey import Trace
from journey.watching import Watching

from libs.journey.tests.journeys import more, order, without


def given(watching: Watching, traces: list[Trace], *times: float) -> list[tuple[float, str, int, bool]]:
    """What is given at which time, each with its number of spans and whether it was given before."""
    return [
        (now, trace.id, len(trace.spans), again)
        for now, seen in zip(times, repeat(traces), strict=False)
        for trace, again in watching.look(seen, now)
    ]


ORDER = order()


def test_a_trace_is_given_once_when_nothing_has_come_for_two_seconds() -> None:
    watching = Watching()
    assert given(watching, [], 0) == []

    assert given(watching, [without(ORDER, 6)], 1, 2, 2.9) == []
    assert given(watching, [ORDER], 3, 4, 4.9, 5, 6, 60) == [(5, ORDER.id, 6, False)]


def test_a_trace_that_grows_later_is_given_again() -> None:
    watching = Watching()
    given(watching, [], 0)
    given(watching, [ORDER], 1, 3)
    grown = more(ORDER, 5, "notifier", "CONSUMER", "process notifier.retry")

    assert given(watching, [grown], 20, 21, 22, 23) == [(22, ORDER.id, 7, True)]


def test_what_was_there_before_is_given_only_when_it_grows() -> None:
    watching = Watching()

    assert given(watching, [without(ORDER, 6)], 0, 2, 4) == []
    assert given(watching, [ORDER], 5, 7) == [(7, ORDER.id, 6, True)]


def test_a_trace_that_is_gone_is_forgotten() -> None:
    watching = Watching()
    given(watching, [], 0)
    given(watching, [ORDER], 1, 3)
    given(watching, [order(1)], 4)

    assert watching._seen is not None and list(watching._seen) == [order(1).id]
