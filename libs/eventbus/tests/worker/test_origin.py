"""Headers come from anybody: what makes no sense counts as absent."""

from typing import Any

import pytest
from aiokafka import ConsumerRecord
from eventbus.worker.origin import Origin, due_of, retry_headers


def record(*headers: tuple[str, bytes | None], timestamp: int | None = 1_700_000_000_000) -> Any:
    return ConsumerRecord("again", 2, 17, timestamp, 0, b"k", b"v", None, 0, 0, headers)  # type: ignore[arg-type]


FIRST = Origin("orders", 1, 5, 1_600_000_000_000)
HEADERS = retry_headers(FIRST, tries=3, due=1_700_000_000.5)


def test_an_origin_comes_back_from_its_headers() -> None:
    origin = Origin.of(record(*HEADERS))

    assert (origin.topic, origin.partition, origin.offset, origin.timestamp) == ("orders", 1, 5, 1_600_000_000_000)
    assert origin.tries == 3
    assert origin.first_failed_at is not None
    assert Origin.of(record(*retry_headers(origin, tries=3, due=0))) == origin
    assert due_of(record(*HEADERS)) == 1_700_000_000.5


NONSENSE = {
    "no value": None,
    "nothing": b"",
    "no number, no time": b"soon",
    "no UTF-8": b"\xff",
    "400 digits": b"9" * 400,
    "5,000 digits": b"9" * 5000,
    "negative": b"-7",
    "very negative": b"-" + b"9" * 400,
    "a fraction": b"1.5",
    "infinity": b"inf",
}
NUMBERS = ["retry.attempt", "retry.original-partition", "retry.original-offset", "retry.original-timestamp"]


@pytest.mark.parametrize("name", [*NUMBERS, "retry.first-failed-at"])
@pytest.mark.parametrize("value", NONSENSE.values(), ids=NONSENSE)
def test_an_origin_with_a_header_that_makes_no_sense_is_none(name: str, value: bytes | None) -> None:
    origin = Origin.of(record(*HEADERS, (name, value)))

    assert origin == Origin("again", 2, 17, 1_700_000_000_000)


@pytest.mark.parametrize("topic", [None, b"", b"\xff", b"t" * 250])
def test_an_origin_without_a_name_that_a_topic_may_have_is_none(topic: bytes | None) -> None:
    assert Origin.of(record(*HEADERS, ("retry.original-topic", topic))).topic == "again"


@pytest.mark.parametrize("value", NONSENSE.values(), ids=NONSENSE)
def test_a_due_time_that_makes_no_sense_is_now(value: bytes | None) -> None:
    assert due_of(record(("retry.due", value))) == 0


@pytest.mark.parametrize("timestamp", [None, -1])
def test_a_record_without_a_time_keeps_its_tries(timestamp: int | None) -> None:
    origin = Origin.of(record(timestamp=timestamp))
    again = Origin.of(record(*retry_headers(origin, tries=1, due=0)))

    assert (again.tries, again.topic, again.timestamp) == (1, "again", -1)
