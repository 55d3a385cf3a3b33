import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from eventbus import Poison
from eventbus.cloudevents import MAX_IDENTITY_LENGTH, Headers, Message, decode, headers_of

from libs.eventbus.tests.support import OrderPlaced, encoded

TYPES = {OrderPlaced.type: OrderPlaced}
ORDER = OrderPlaced(order_id="o-1")
SECRET = "ada@example.com"


@dataclass
class Record:
    value: bytes | None
    headers: "Headers | list[tuple[str, bytes | None]]"


def record(value: bytes | None = None, **changes: bytes | None) -> Record:
    _, encoded_value, headers = encoded(ORDER, **changes)
    return Record(encoded_value if value is None else value, headers)


def test_an_event_arrives_as_it_was_sent() -> None:
    message = decode(record(event_id="e-1"), TYPES)  # type: ignore[arg-type]

    assert (message.source, message.id, message.event) == ("/test", "e-1", ORDER)


def test_the_headers_are_the_attributes_of_cloudevents_in_binary_mode() -> None:
    before = datetime.now(UTC)
    headers = dict(headers_of(ORDER, event_id="e-1", source="shop"))
    time = datetime.fromisoformat(headers.pop("ce_time").decode())

    assert headers == {
        "ce_specversion": b"1.0",
        "ce_id": b"e-1",
        "ce_source": b"/shop",
        "ce_type": b"order.placed.v1",
        "content-type": b"application/json",
    }
    assert before <= time <= datetime.now(UTC)


def test_unknown_fields_and_headers_are_ignored() -> None:
    arrived = record(json.dumps({"order_id": "o-1", "new": [1]}).encode(), ce_subject=b"x", other=b"\xff")

    assert decode(arrived, TYPES).event == ORDER


def test_a_field_that_the_reader_needs_and_the_writer_has_in_another_order_is_found() -> None:
    arrived = record(b'{"total": "1.00", "order_id": "o-1"}')

    assert decode(arrived, TYPES).event.key == "o-1"


def test_of_a_header_that_is_there_twice_the_last_counts() -> None:
    arrived = record(event_id="e-1")  # type: ignore[arg-type]
    arrived.headers = [*arrived.headers, ("ce_id", b"e-2")]

    assert decode(arrived, TYPES).id == "e-2"


PAIRS = [
    ("/shop", "100"),
    ("/lms", "100"),
    ("/shop", "100 "),
    ("/shop 100", "100"),
    ("/shop", "100 100"),
    ("/shop%20100", "100"),
    ("/shop", ""),
    ("/shop", "1" * 248),
    ("/shop", "1" * 249),
    ("/shop", "1" * 250),
    ("/shop1", "1" * 249),
    ("/" + "s" * 1000, "100"),
    ("/" + "s" * 1001, "100"),
    ("/shop", "1\00"),
    ("/shop\0", "1"),
    ("/shöp", "ö" * 300),
]


def test_messages_are_the_same_if_source_and_id_are_whatever_they_hold() -> None:
    identities = {Message(source, event_id, ORDER).identity for source, event_id in PAIRS}

    assert len(identities) == len(PAIRS)
    assert Message("/shop", "100", OrderPlaced(order_id="o-2")).identity in identities


def test_an_identity_fits_into_a_column_of_any_database() -> None:
    for source, event_id in PAIRS:
        identity = Message(source, event_id, ORDER).identity

        assert len(identity) <= MAX_IDENTITY_LENGTH
        assert "\0" not in identity


POISON = {
    **{
        f"{name} missing": (record(**{name: None}), name)
        for name in ("ce_specversion", "ce_id", "ce_type", "ce_source")
    },
    **{f"{name} empty": (record(**{name: b""}), name) for name in ("ce_specversion", "ce_id", "ce_type", "ce_source")},
    **{
        f"{name} not UTF-8": (record(**{name: b"\xff\xfe"}), f"{name} is not UTF-8")
        for name in ("ce_specversion", "ce_id", "ce_type", "ce_source")
    },
    "another version": (record(ce_specversion=b"0.3"), "ce_specversion is '0.3'"),
    "unknown type": (record(ce_type=b"order.lost.v9"), "'order.lost.v9' is not known"),
    "no headers": (Record(b"{}", []), "ce_specversion is missing"),
    "header without value": (Record(b"{}", [("ce_specversion", None)]), "ce_specversion is missing"),
    "tombstone": (Record(None, record().headers), "no value"),
    "empty value": (record(b""), "Invalid JSON"),
    "bytes": (record(SECRET.encode()), "Invalid JSON"),
    "not UTF-8": (record(b'{"order_id": "\xff"}'), "Invalid JSON"),
    "cut off": (record(b'{"order_id": "ada@exam'), "Invalid JSON"),
    "deep": (record(b'{"order_id": ' + b"[" * 100_000), "not a valid order.placed.v1"),
    "list": (record(json.dumps([SECRET]).encode()), "value: Input should be an object"),
    "wrong shape": (
        record(json.dumps({"order_id": {"email": SECRET}}).encode()),
        "order_id: Input should be a valid str",
    ),
    "field missing": (record(json.dumps({"email": SECRET}).encode()), "order_id: Field required"),
    "money as a number": (record(b'{"order_id": "o-1", "total": 19.9}'), "total: Value error"),
    "money as text": (record(json.dumps({"order_id": "o", "total": SECRET}).encode()), "total: Value error"),
}


@pytest.mark.parametrize("case", POISON)
def test_what_can_never_be_read_is_poison_and_says_why_without_quoting_it(case: str) -> None:
    arrived, reason = POISON[case]

    with pytest.raises(Poison) as caught:
        decode(arrived, TYPES)
    assert reason in str(caught.value)
    assert "ada" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_text_of_poison_is_short_whatever_the_headers_hold() -> None:
    long = uuid.uuid4().hex.encode() * 1000

    for arrived in (record(ce_type=long), record(ce_specversion=long)):
        with pytest.raises(Poison) as caught:
            decode(arrived, TYPES)
        assert len(str(caught.value)) < 200
