"""Spans of messages, as today's conventions, older ones and stock instrumentations have them."""

import pytest
from journey import Span
from journey.messaging import group_of, is_dead_letters, is_retry, linked_from, only_receives, place_of, topic_of


def span(name: str = "", remote: str | None = None, **tags: str) -> Span:
    return Span("t", "1", None, name, "s", "CONSUMER", remote_service=remote, tags=tags)


def tagged(tags: dict[str, str], name: str = "") -> Span:
    return span(name, **tags)


@pytest.mark.parametrize(
    "told",
    [
        tagged({"messaging.destination.name": "orders"}, "whatever"),
        tagged({"messaging.destination": "orders"}),
        tagged({"messaging.source.name": "orders"}),
        span("process 7", "kafka/orders"),
        span("send orders"),
        span("orders send"),
        span("orders receive"),
        span("Process orders"),
    ],
)
def test_the_topic_is_known_by_attribute_or_name(told: Span) -> None:
    assert topic_of(told) == "orders"


@pytest.mark.parametrize("told", [span(), span("post /orders"), span("orders"), span("x", "kafka")])
def test_where_nothing_tells_there_is_no_topic(told: Span) -> None:
    assert topic_of(told) == ""


@pytest.mark.parametrize(
    "tags",
    [
        {
            "messaging.destination.name": "orders",
            "messaging.destination.partition.id": "1",
            "messaging.kafka.offset": "17",
        },
        {
            "messaging.destination": "orders",
            "messaging.kafka.partition": "1",
            "messaging.kafka.message.offset": "17",
        },
        {"messaging.destination": "orders", "messaging.message_id": "orders.1.17"},
        {"messaging.destination.name": "orders", "messaging.message.id": "orders.1.17"},
    ],
)
def test_the_place_of_a_record_is_known_by_attributes(tags: dict[str, str]) -> None:
    assert place_of(tagged(tags)) == ("orders", "1", "17")


def test_a_place_that_is_not_whole_is_none() -> None:
    assert place_of(tagged({"messaging.destination.name": "orders", "messaging.kafka.offset": "17"})) is None
    assert place_of(tagged({"messaging.destination.name": "orders", "messaging.message.id": "a.b.17"})) is None


def test_taking_a_record_is_told_from_handling_it() -> None:
    assert only_receives(tagged({"messaging.operation.type": "receive"}))
    assert only_receives(tagged({"messaging.operation": "receive"}))
    assert only_receives(span("orders receive"))
    assert not only_receives(tagged({"messaging.operation.type": "process"}, "receive"))
    assert not only_receives(span("process receivers"))


def test_the_group_and_the_links_are_known() -> None:
    assert group_of(tagged({"messaging.consumer.group.name": "billing"})) == "billing"
    assert group_of(span()) is None
    assert list(linked_from(tagged({"otlp.link.0": "t1|s1||{}|0", "otlp.link.1": "nonsense"}))) == [("t1", "s1")]


def test_topics_of_retries_and_dead_letters_are_known_by_their_names() -> None:
    assert all(map(is_retry, ["billing.retry", "orders-retry-0", "retry", "orders_retry_5000"]))
    assert not any(map(is_retry, ["orders", "retryable-orders", "billing.dlq"]))
    assert all(map(is_dead_letters, ["billing.dlq", "orders-dlt", "DLQ", "dead-letters", "orders.dead-letter-topic"]))
    assert not any(map(is_dead_letters, ["orders", "mydlq", "dlqs", "billing.retry"]))
