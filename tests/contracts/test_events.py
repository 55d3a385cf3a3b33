"""What one service writes the next can read, and neither changes without a change of the examples."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from decimal import Decimal
from typing import Any

import pytest
from eventbus import Event, Poison
from hypothesis import given, settings
from hypothesis import strategies as st
from stack.catalogue import services

from tests.contracts.chain import Chain
from tests.contracts.declared import event_of, events_of, service_of
from tests.contracts.wire import EXAMPLES, Wire, example

WRITTEN = {type: event_of(service.name, type) for service in services() for type in service.writes}
# Who writes, who reads.
LINKS: list[tuple[type[Event], type[Event]]] = [
    (WRITTEN[type], event_of(service.name, type)) for service in services() for type in service.reads
]
NAMES = [f"{writer.type}-{service_of(reader)}" for writer, reader in LINKS]
MONEY = {"unit_price", "amount", "total"}

each_link = pytest.mark.parametrize(("writer", "reader"), LINKS, ids=NAMES)


def request_of(order: Wire) -> dict[str, Any]:
    """What a caller sent who got *order*."""
    return {name: order.content[name] for name in ("customer", "currency", "items")}


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object in *value*."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from objects(inner)


def has_money(event: type[Event]) -> bool:
    schema = json.dumps(event.model_json_schema())
    return any(f'"{name}"' in schema for name in MONEY)


def common(written: Any, read: Any) -> Any:
    """The part of *written* that has a counterpart in *read*."""
    if isinstance(read, dict):
        return {name: common(written[name], inner) for name, inner in read.items()}
    if isinstance(read, tuple):
        return tuple(common(*pair) for pair in zip(written, read, strict=True))
    return written


def test_there_is_an_example_for_each_event() -> None:
    assert sorted(file.stem for file in EXAMPLES.iterdir()) == sorted(WRITTEN)


def test_each_service_declares_the_events_that_it_reads_and_writes() -> None:
    for service in services():
        assert sorted(events_of(service.name)) == sorted([*service.reads, *service.writes])


def test_orders_writes_what_the_example_shows(chain: Chain) -> None:
    shown = example("order.placed.v1")
    written = chain.order(request_of(shown))

    assert written
    assert written.form == shown.form
    assert written.key == written.content["order_id"]


def test_billing_makes_of_one_example_what_the_other_shows(chain: Chain) -> None:
    order, shown = example("order.placed.v1"), example("invoice.issued.v1")
    written = chain.invoice(order)

    assert written.form == shown.form
    assert (written.key, written.content["order_id"]) == (order.key, order.key)


@each_link
def test_both_sides_name_the_event_alike(writer: type[Event], reader: type[Event]) -> None:
    assert (writer.topic, writer.type, writer.key_field) == (reader.topic, reader.type, reader.key_field)


@each_link
def test_what_is_read_is_what_was_written(writer: type[Event], reader: type[Event]) -> None:
    wire = example(writer.type)
    written, read = wire.read_as(writer), wire.read_as(reader)

    assert read.event.model_dump() == common(written.event.model_dump(), read.event.model_dump())
    assert read.event.key == written.event.key == wire.key
    assert read.id == dict(wire.headers)["ce_id"].decode()


@each_link
def test_fields_that_a_reader_does_not_know_are_ignored(writer: type[Event], reader: type[Event]) -> None:
    wire = example(writer.type)
    extended = wire.content
    for each in list(objects(extended)):
        each["new_in_v1"] = {"since": "tomorrow", "rate": "0.5"}

    assert wire.with_content(extended).read_as(reader) == wire.read_as(reader)


@each_link
def test_a_field_that_a_reader_needs_is_missed_and_one_with_a_default_is_not(
    writer: type[Event], reader: type[Event]
) -> None:
    wire = example(writer.type)
    for name, field in reader.model_fields.items():
        lacking = wire.with_content({other: value for other, value in wire.content.items() if other != name})

        with pytest.raises(Poison, match=f"{name}: Field required") if field.is_required() else nullcontext():
            lacking.read_as(reader)


@each_link
def test_money_is_a_string_on_the_wire_and_nothing_else_is_read_as_money(
    writer: type[Event], reader: type[Event]
) -> None:
    wire = example(writer.type)
    amounts = [(each, name) for each in objects(wire.content) for name in MONEY & each.keys()]

    assert bool(amounts) == has_money(writer)
    for each, name in amounts:
        assert isinstance(each[name], str) and Decimal(each[name]).as_tuple().exponent == -2
    for number in (19.9, 1990, None, "19.901", "1e3", "NaN", "19,90") if has_money(reader) else ():
        content = wire.content
        for each in objects(content):
            each.update({name: number for name in MONEY & each.keys()})
        with pytest.raises(Poison):
            wire.with_content(content).read_as(reader)


@each_link
def test_an_event_is_a_cloudevent_in_binary_mode(writer: type[Event], reader: type[Event]) -> None:
    headers = {name: value.decode() for name, value in example(writer.type).headers}

    assert headers.keys() == {"ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"}
    assert (headers["ce_specversion"], headers["content-type"]) == ("1.0", "application/json")
    assert (headers["ce_type"], headers["ce_source"]) == (writer.type, f"/{service_of(writer)}")


@each_link
@pytest.mark.parametrize("header", ["ce_specversion", "ce_id", "ce_source", "ce_type"])
def test_an_event_without_one_of_its_attributes_is_not_read(
    writer: type[Event], reader: type[Event], header: str
) -> None:
    wire = example(writer.type)
    bare = Wire(wire.topic, wire.key, [each for each in wire.headers if each[0] != header], wire.value)

    with pytest.raises(Poison, match=header):
        bare.read_as(reader)


PRICES = st.integers(0, 99_999_999).map(lambda cents: f"{cents // 100}.{cents % 100:02d}")
REQUESTS = st.fixed_dictionaries(
    {
        "customer": st.fixed_dictionaries({"email": st.emails()}),
        "currency": st.from_regex(r"[A-Z]{3}", fullmatch=True),
        "items": st.lists(
            st.fixed_dictionaries(
                {
                    "sku": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True),
                    "quantity": st.integers(1, 10_000),
                    "unit_price": PRICES,
                }
            ),
            min_size=1,
            max_size=20,
        ),
    }
)


@settings(deadline=None, max_examples=30)
@given(request=REQUESTS)
def test_whatever_order_is_accepted_is_billed_and_mailed(chain: Chain, request: dict[str, Any]) -> None:
    order = chain.order(request)
    if order is None:  # an address that cannot be delivered to
        return
    mail = chain.mail(chain.invoice(order))

    total = sum(item["quantity"] * Decimal(item["unit_price"]) for item in request["items"])
    body = mail.get_body(("plain",))
    assert body
    assert f"Total {total} {request['currency']}" in body.get_content()
    assert chain.office.accepted[-1].rcpt_tos == [order.content["customer"]["email"]]
    assert mail["Message-ID"] == f"<{order.key}.invoice@shop.example>"
