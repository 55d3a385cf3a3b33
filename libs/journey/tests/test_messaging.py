"""Spans of messages, as today's conventions, older ones and stock instrumentations have them."""

from dataclasses import replace

import pytest
from journey import Span
from journey.messaging import (
    group_of,
    is_dead_letters,
    is_retry,
    linked_from,
    only_receives,
    place_of,
    reads,
    searches_for,
    topic_of,
)


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
        tagged({"kafka.topic": "orders"}, "poll"),
        tagged({"jms.queue": "orders"}, "receive"),
        tagged({"rabbit.queue": "orders"}, "next-message"),
        tagged({"rabbit.exchange": "", "rabbit.routing_key": "orders", "rabbit.queue": "q"}, "publish"),
    ],
)
def test_the_topic_is_known_by_attributes(told: Span) -> None:
    assert topic_of(told) == "orders"


@pytest.mark.parametrize(
    "told", [span(), span("post /orders"), span("orders"), span("x", "kafka"), span("send email"), span("orders send")]
)
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


def test_an_exchange_and_a_routing_key_are_one_place_that_is_looked_for_by_both() -> None:
    tags = {"rabbit.exchange": "shop", "rabbit.routing_key": "orders"}

    assert topic_of(tagged({**tags, "rabbit.queue": "q"})) == "shop:orders"
    assert tags in searches_for("shop:orders")
    assert {"kafka.topic": "orders"} in searches_for("orders")


def test_a_clients_span_reads_only_if_it_polls_a_topic() -> None:
    def client(tags: dict[str, str], name: str = "poll") -> Span:
        return replace(tagged(tags, name), kind="CLIENT")

    topic = {"messaging.destination.name": "orders"}
    assert reads(tagged({}))
    assert reads(client({**topic, "messaging.operation.type": "receive"}))
    assert not reads(client({**topic, "messaging.operation.type": "send"}))
    assert not reads(client({}))


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
    assert all(map(is_retry, ["OrdersRetry", "billing.retry", "orders-retry-0", "retry", "orders_retry_5000"]))
    assert not any(map(is_retry, ["orders", "retryable-orders", "billing.dlq"]))
    assert all(map(is_dead_letters, ["billing.dlq", "orders-dlt", "DLQ", "dead-letters", "orders.dead-letter-topic"]))
    assert not any(map(is_dead_letters, ["orders", "mydlq", "dlqs", "billing.retry"]))


def test_error_is_a_dead_letters_name_after_a_failure_only() -> None:
    assert is_dead_letters("submit-order_error", after_failure=True)
    assert not is_dead_letters("submit-order_error")
    assert not is_dead_letters("errors.by-hour", after_failure=True)
