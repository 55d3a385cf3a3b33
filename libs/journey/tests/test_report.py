"""Where a trace differs from its chain is seen in its tree."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from journey import Trace, differences, draw, report
from journey.testing import assert_journey

from libs.journey.tests.journeys import changed, more, order, without
from libs.journey.tests.test_draw import any_trace
from tests.order_journey import ORDER_JOURNEY

ORDER = order()


def marked(text: str) -> list[str]:
    """The lines of a drawing that are marked, without their columns."""
    return [line.removeprefix(">>>").split("  ")[0].strip(" └─├│") for line in names(text) if line.startswith(">>>")]


def names(text: str) -> list[str]:
    return [line[:4] + line[4:].strip(" └─├│") for line in text.splitlines()]


def test_a_missing_row_is_drawn_where_it_should_be() -> None:
    text = report(without(ORDER, 4), ORDER_JOURNEY)

    assert (
        "\n" + text
        == """
- Row 4 is missing: billing PRODUCER `send invoices`.

    trace 0000000000000000000000000000000a
    5 spans, 3 services, 55.0 ms in all

    post /orders                  orders    server       5.0 ms  ████
    └─ send orders                orders    producer     5.0 ms        ████
       ┊  waited about 5.0 ms in topic orders                             ░░░░
       └─ process orders          billing   consumer     5.0 ms              ████
>>>       └─ send invoices        billing   producer    missing
             │  ✗ Row 4 is missing: billing PRODUCER `send invoices`.
             └─ process invoices  notifier  consumer     5.0 ms                           ████
                └─ send email     notifier  client       5.0 ms                                 ████"""
    )


def test_all_missing_rows_are_drawn_below_each_other() -> None:
    text = report(without(ORDER, 1, 5, 6), ORDER_JOURNEY, "ca11e5ca11e5ca11")

    assert marked(text) == ["POST /orders", "process invoices", "send email"]
    depths = [line.index("└─") for line in text.splitlines() if line.startswith(">>>")]
    assert depths[0] < depths[1] == depths[2] - 3, "each below the one before it"
    assert "called by span ca11e5ca11e5ca11, which is not in this trace" in text


def test_a_span_too_many_and_a_wrong_parent_are_marked() -> None:
    too_many = report(more(ORDER, 5, "notifier", "PRODUCER", "send notifier.dlq"), ORDER_JOURNEY)
    wrong = report(changed(ORDER, 6, parent_id=ORDER.spans[0].id), ORDER_JOURNEY)

    assert marked(too_many) == ["send notifier.dlq"]
    assert marked(wrong) == ["send email"]
    assert "✗ The parent of row 6, notifier CLIENT `send email`" in wrong


def test_where_nothing_differs_there_is_nothing_to_report() -> None:
    assert report(ORDER, ORDER_JOURNEY) == ""
    assert_journey(ORDER, ORDER_JOURNEY)


@given(any_trace)
@settings(max_examples=100, deadline=None)
def test_any_difference_is_listed_and_marked_within_the_width(trace: Trace) -> None:
    text = report(trace, ORDER_JOURNEY)
    found = differences(trace, ORDER_JOURNEY, None)

    assert bool(text) is bool(found)
    listed, _, drawing = text.partition("\n\n")
    assert listed == "\n".join(f"- {each}" for each in found)
    assert all(len(line) <= 100 for line in drawing.split("\n"))
    assert not found or ">>> " in drawing


def test_colours_are_whole_lines_and_change_no_width() -> None:
    failed = changed(ORDER, 6, tags={"error": "true"})
    tones: list[str] = []

    def paint(text: str, tone: str) -> str:
        tones.append(tone)
        return text

    assert draw(failed, paint=paint) == draw(failed)
    assert tones == ["", "", "wait", "", "", "wait", "", "error", "error"]
    tones.clear()
    draw(ORDER, paint=paint, marks={ORDER.spans[0].id: ["wrong"]})
    assert tones == ["mark", "mark", "", "wait", "", "", "wait", "", ""]


TEST = """
import pytest
from libs.journey.tests.journeys import order, without
from tests.order_journey import ORDER_JOURNEY

def test_whole(assert_journey):
    assert_journey(order(), ORDER_JOURNEY)

def test_broken(assert_journey):
    assert_journey(without(order(), 4), ORDER_JOURNEY)
"""


def test_pytest_has_the_assertion_as_a_fixture_and_shows_the_marked_tree(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TEST)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", tmp_path, tmp_path],
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
    )

    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    assert "E       >>>       └─ send invoices" in done.stdout
    assert "testing.py" not in done.stdout, "the test's own line is what is shown"


@pytest.mark.parametrize("row", range(1, 7))
def test_each_row_dropped_fails_the_assertion_and_is_marked(row: int) -> None:
    with pytest.raises(AssertionError) as raised:
        assert_journey(without(ORDER, row), ORDER_JOURNEY)

    assert marked(str(raised.value)) == [ORDER_JOURNEY[row - 1].name]
