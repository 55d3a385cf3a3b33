from dataclasses import replace

import pytest
from journey import Node, Span, Wait, queue_wait


def span(kind: str, start: int | None, duration: int | None = None) -> Span:
    return Span("t", kind, None, "process orders", "s", kind, start, duration, "kafka/orders")


def wait(sent: Span | None, processed: Span) -> Wait | None:
    parent = Node("parent", sent) if sent else None
    return queue_wait(Node("processed", processed, parent=parent))


def noted(milliseconds: str) -> Span:
    tags = {"messaging.destination.name": "orders", "journey.queue.wait_ms": milliseconds}
    return Span("t", "2", None, "process", "s", "CONSUMER", 900, 50, tags=tags)


def test_what_the_consumer_noted_counts() -> None:
    assert wait(span("PRODUCER", 100, 300), noted("3.2")) == Wait("orders", 3200, measured=True)
    assert wait(None, noted("0")) == Wait("orders", 0, measured=True)


@pytest.mark.parametrize("nonsense", ["", "three", "nan", "inf", "-1", "1e308"])
def test_nonsense_is_not_what_the_consumer_noted(nonsense: str) -> None:
    assert wait(span("PRODUCER", 100, 300), noted(nonsense)) == Wait("orders", 500, measured=False)


def test_otherwise_it_is_the_gap_between_the_spans() -> None:
    assert wait(span("PRODUCER", 100, 300), span("CONSUMER", 900)) == Wait("orders", 500, measured=False)


def test_a_message_processed_before_its_acknowledgement_did_not_wait() -> None:
    assert wait(span("PRODUCER", 100, 300), span("CONSUMER", 200)) == Wait("orders", 0, measured=False)


def test_a_message_processed_before_it_was_sent_tells_of_clocks() -> None:
    assert wait(span("PRODUCER", 100, 300), span("CONSUMER", 70)) == Wait("orders", -30, measured=False)


@pytest.mark.parametrize(
    ("sent", "processed"),
    [
        (span("PRODUCER", 100), span("INTERNAL", 900)),
        (span("PRODUCER", 100), span("CLIENT", 900)),
        (span("SERVER", 100), span("CONSUMER", 900)),
        (span("PRODUCER", None), span("CONSUMER", 900)),
        (span("PRODUCER", 100), span("CONSUMER", None)),
        (None, span("CONSUMER", 900)),
    ],
)
def test_where_nothing_waited_or_nothing_tells_there_is_no_wait(sent: Span | None, processed: Span) -> None:
    assert wait(sent, processed) is None


def test_the_topic_is_what_the_consumer_says_it_read() -> None:
    tagged = replace(span("CONSUMER", 900), tags={"messaging.destination.name": "Orders.V1"})
    found = wait(span("PRODUCER", 100), tagged)

    assert found and found.topic == "Orders.V1"
