"""What of a trace is drawn, and where its journey is said to be."""

import json
from pathlib import Path

import pytest
from journey import Trace, queue_wait
from journey.web.drawing import drawing
from journey.web.look import Look

from libs.journey.tests.journeys import changed, failing_with, more, order, without
from tests.order_journey import ORDER_JOURNEY

LOOK = Look(chain=ORDER_JOURNEY, done="Sent.")
LANES = ["orders", "kafka/orders", "billing", "kafka/invoices", "notifier", "mail"]
RECORDED = Path(__file__).parent / "recorded"


@pytest.mark.parametrize("name", ["refused_email", "order"])
def test_spans_are_read_as_the_library_reads_them(name: str) -> None:
    trace = Trace.from_zipkin(json.loads((RECORDED / f"{name}.json").read_text()))
    waits = {node.id: queue_wait(node) for node in trace.tree()}
    drawn = drawing(trace, LOOK)["spans"]

    assert [(s["id"], s["name"], s["service"], s["error"], s["wait"]) for s in drawn] == [
        (s.id, s.name, s.service, s.error, wait.microseconds if (wait := waits[s.id]) else None) for s in trace.spans
    ]


def test_the_declared_lanes_are_there_from_the_first_span() -> None:
    drawn = drawing(without(order(), 2, 3, 4, 5, 6), LOOK)

    assert [lane["name"] for lane in drawn["lanes"]] == LANES
    assert (drawn["state"], drawn["says"]) == ("under-way", "Its spans are arriving.")


def test_a_journey_to_the_last_row_is_done() -> None:
    drawn = drawing(order(), LOOK)

    assert (drawn["state"], drawn["says"]) == ("done", "Sent.")
    assert [item["kind"] for lane in drawn["lanes"] for item in lane["items"]].count("wait") == 2


@pytest.mark.parametrize(("topic", "state"), [("billing.retry", "retry"), ("billing.dlq", "dead")])
def test_a_message_set_aside_has_a_lane_behind_its_service(topic: str, state: str) -> None:
    failed = changed(without(order(), 4, 5, 6), 3, tags={**order().spans[2].tags, **failing_with("no")})
    drawn = drawing(more(failed, 3, "billing", "PRODUCER", f"send {topic}"), LOOK)

    names = [lane["name"] for lane in drawn["lanes"]]
    assert names[names.index("billing") + 1] == f"kafka/{topic}"
    assert drawn["state"] == state
    assert drawn["says"].startswith(f"1 try failed. It {'waits' if state == 'retry' else 'is kept'} in {topic}")


def test_without_a_chain_a_journey_is_done_if_every_message_was_read() -> None:
    assert drawing(order(), Look())["state"] == "done"
    assert drawing(without(order(), 5, 6), Look())["state"] == "under-way"


def test_a_parent_that_is_missing_is_remarked() -> None:
    drawn = drawing(without(order(), 4), LOOK)

    assert [span["remarks"] for span in drawn["spans"] if "is missing" in span["remarks"]] == [
        f"its parent, span {order().spans[3].id}, is missing"
    ]
