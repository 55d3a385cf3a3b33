import asyncio
import gzip
import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from aiokafka.errors import OutOfOrderSequenceNumber
from eventbus import Poison, Transient
from eventbus import kafka as bus_kafka
from eventbus.errors import error_type
from eventbus.own_attributes import HEADERS
from eventbus.process.patience import Stopped
from eventbus.worker.dead_letters import MAX_BYTES, TOPIC_SETTINGS, DeadLetters, topic_of
from eventbus.worker.origin import Origin

from libs.eventbus.tests.support import Kafka, header, make_patience, unique


def record(*headers: tuple[str, bytes | None], value: bytes | None = b"value", key: bytes | None = b"key") -> Any:
    return ConsumerRecord("orders", 2, 17, 1_700_000_000_000, 0, key, value, None, 0, 0, headers)  # type: ignore[arg-type]


async def keep(
    kafka: Kafka, group: str, *records: Any, error: Exception | None = None
) -> list[ConsumerRecord[bytes, bytes]]:
    """Keep records as a service does; return the letters."""
    await kafka.create(topic_of(group), **TOPIC_SETTINGS)
    producer = bus_kafka.producer(kafka.broker, "letters", max_bytes=MAX_BYTES, compression="gzip")
    async with bus_kafka.running(producer, kafka.patience):
        letters = DeadLetters(producer, group=group, patience=kafka.patience)
        for each in records:
            await letters.keep(each, Origin.of(each), error or Poison("wrong"))
    return await kafka.records(topic_of(group))


async def test_a_letter_is_the_record_and_says_where_it_came_from_and_what_was_wrong(kafka: Kafka) -> None:
    group = unique("billing")
    (letter,) = await keep(kafka, group, record(("ce_id", b"e-1")), error=Poison("ce_type 'x' is not known here"))
    about = {name: value.decode() for name, value in letter.headers if name.startswith("dlq.")}
    failed_at = datetime.fromisoformat(about.pop("dlq.first-failed-at"))

    assert (letter.topic, letter.key, letter.value) == (f"{group}.dlq", b"key", b"value")
    assert header(letter, "ce_id") == "e-1"
    assert about == {
        "dlq.original-topic": "orders",
        "dlq.original-partition": "2",
        "dlq.original-offset": "17",
        "dlq.original-timestamp": "1700000000000",
        "dlq.consumer-group": group,
        "dlq.attempts": "1",
        "dlq.error-type": "eventbus.errors.Poison",
        "dlq.error-message": "ce_type 'x' is not known here",
    }
    assert abs((datetime.now(UTC) - failed_at).total_seconds()) < 60


async def test_headers_stay_as_they_were_but_those_of_the_trace_which_get_another_name(kafka: Kafka) -> None:
    original = record(
        ("traceparent", b"00-x"), ("a", b"1"), ("a", b"2"), ("a", None), ("tracestate", b"\xff"), ("baggage", b"b=1")
    )
    (letter,) = await keep(kafka, unique("billing"), original)

    assert list(letter.headers)[:6] == [
        ("dlq.original-traceparent", b"00-x"),
        ("a", b"1"),
        ("a", b"2"),
        ("a", None),
        ("dlq.original-tracestate", b"\xff"),
        ("dlq.original-baggage", b"b=1"),
    ]
    assert [name for name, _ in letter.headers if name in ("traceparent", "tracestate", "baggage")] == []


@pytest.mark.parametrize(
    ("key", "value", "kept_key"), [(b"key", None, b"key"), (None, b"value", None), (None, None, b""), (b"", b"", b"")]
)
async def test_records_without_key_or_value_are_kept(
    kafka: Kafka, key: bytes | None, value: bytes | None, kept_key: bytes | None
) -> None:
    (letter,) = await keep(kafka, unique("billing"), record(key=key, value=value))

    assert (letter.key, letter.value) == (kept_key, value)


async def test_a_record_is_kept_whole_however_large_it_was_allowed_to_be(kafka: Kafka) -> None:
    # The largest record that a broker takes, and one that was as large before it was compressed as none may be.
    largest, bomb = os.urandom(1024 * 1024 - 200), bytes(20 * 1024 * 1024)
    letters = await keep(kafka, unique("billing"), record(value=largest), record(value=bomb))

    assert sorted(len(letter.value or b"") for letter in letters) == [len(largest), len(bomb)]
    assert len(gzip.compress(bomb)) < 100_000


async def test_a_record_that_its_topic_does_not_take_is_kept_as_its_size_its_hash_and_its_place(kafka: Kafka) -> None:
    group = unique("billing")
    large = os.urandom(9 * 1024 * 1024)
    trace, forged = ("traceparent", b"00-x"), ("dlq.left-out", b"forged")
    letters = [
        await keep(kafka, group, record(("n", b"%d" % number), trace, forged, value=value))
        for number, value in enumerate((b"before", large, b"behind"))
    ][-1]
    short = letters[1]
    about = {name: value.decode() for name, value in short.headers if name.startswith("dlq.")}

    assert about.keys() <= HEADERS.keys()
    assert [header(each, "n") for each in letters] == ["0", "1", "2"]
    assert [each.key for each in letters] == [b"key"] * 3
    assert [each.value for each in letters] == [b"before", None, b"behind"]
    assert [header(each, "dlq.left-out") for each in letters] == [None, "value", None]
    assert about["dlq.value-bytes"] == str(len(large))
    assert about["dlq.value-sha256"] == hashlib.sha256(large).hexdigest()
    assert about["dlq.original-traceparent"] == "00-x"
    assert (about["dlq.original-topic"], about["dlq.original-partition"]) == ("orders", "2")
    assert (about["dlq.original-offset"], about["dlq.error-message"]) == ("17", "wrong")


LARGE = os.urandom(9 * 1024 * 1024)


@pytest.mark.parametrize(
    ("large", "left_out"),
    [
        (record(("small", b"1"), ("large", LARGE)), "value, 1 header"),
        (record(*((f"h{number}", os.urandom(1000)) for number in range(9000)), value=None), "8984 headers"),
        (record(key=LARGE, value=None), "key"),
        (record(key=LARGE, value=bytes(MAX_BYTES + 1)), "value, key"),
    ],
    ids=["a header", "many headers", "the key", "a value that no producer sends"],
)
async def test_whatever_is_too_large_is_left_out(kafka: Kafka, large: Any, left_out: str) -> None:
    (letter,) = await keep(kafka, unique("billing"), large)

    assert header(letter, "dlq.left-out") == left_out
    assert (letter.key, letter.value) == (b"key" if large.key == b"key" else b"", None)
    assert header(letter, "dlq.error-message") == "wrong"


class Unspeakable(Transient):
    """An error that has no text."""

    def __str__(self) -> str:
        raise RuntimeError


REASONS = {
    "half an emoji": (Poison("no product \ud83e-GIFT"), "no product \\ud83e-GIFT"),
    "100 kB": (Poison("x" * 100_000), "x" * 512),
    "100 kB of halves": (Poison("\ud83e" * 100_000), ("\\ud83e" * 512)[:512]),
    "a NUL and a line": (Poison("a\0b\nc"), "a\0b\nc"),
    "no text": (Unspeakable(), "<exception str() failed>"),
    "bytes": (Poison(b"\xff"), "b'\\xff'"),
    "nothing": (Poison(), ""),
    "a long class name": (type("X" * 100_000, (Poison,), {})("wrong"), "wrong"),
}


@pytest.mark.parametrize(("error", "reason"), REASONS.values(), ids=REASONS)
async def test_whatever_the_text_of_an_error_is_the_reason_is_short_and_readable(
    kafka: Kafka, error: Exception, reason: str
) -> None:
    (letter,) = await keep(kafka, unique("billing"), record(), error=error)

    assert header(letter, "dlq.error-message") == reason
    assert header(letter, "dlq.error-type") == error_type(error)


class FakeProducer:
    """Answer as the test says."""

    def __init__(self, answer: BaseException | None) -> None:
        self._answer = answer

    async def send(self, topic: str, value: bytes, *, key: bytes, headers: object) -> "asyncio.Future[None]":
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._answer:
            future.set_exception(self._answer)
        return future


async def test_a_letter_that_was_not_acknowledged_is_not_taken_for_kept(tmp_path: Path) -> None:
    patience = make_patience(tmp_path, grace=0.05)
    broken, silent = (
        DeadLetters(FakeProducer(answer), group="billing", patience=patience)  # type: ignore[arg-type]
        for answer in (OutOfOrderSequenceNumber(), None)
    )
    with pytest.raises(OutOfOrderSequenceNumber):
        await broken.keep(record(), Origin.of(record()), Poison("wrong"))
    asyncio.get_running_loop().call_later(0.01, patience.stop.set)
    with pytest.raises(Stopped):
        await silent.keep(record(), Origin.of(record()), Poison("wrong"))


async def test_the_log_line_of_a_letter_does_not_quote_the_record(
    kafka: Kafka, caplog: pytest.LogCaptureFixture
) -> None:
    await keep(kafka, unique("billing"), record(("x", b"ada@example.com"), value=b"ada@example.com"))
    (line,) = [each for each in caplog.records if each.message == "dead letter"]

    assert vars(line).items() >= {"topic": "orders", "partition": 2, "offset": 17, "reason": "wrong"}.items()
    assert "ada" not in json.dumps(vars(line), default=str)
