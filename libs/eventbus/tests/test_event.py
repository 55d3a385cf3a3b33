import json
from decimal import Decimal
from typing import Any, ClassVar

import pytest
from eventbus import Event, Money
from pydantic import ValidationError

from libs.eventbus.tests.support import OrderPlaced


class Priced(Event):
    topic: ClassVar[str] = "priced"
    type: ClassVar[str] = "priced.v1"
    key_field: ClassVar[str] = "number"

    number: int
    price: Money


class Seen(Event):
    topic: ClassVar[str] = "seen"
    type: ClassVar[str] = "page.seen.v1"
    key_field: ClassVar[str] = "customer"

    customer: str | None = None


def test_money_is_a_string_on_the_wire() -> None:
    event = Priced(number=1, price=Decimal("19.90"))

    assert json.loads(event.model_dump_json())["price"] == "19.90"


@pytest.mark.parametrize("price", ['"19.90"', '"0.1"', '"-5"', '"99999999999999.99"'])
def test_money_arrives_as_the_decimal_that_was_written(price: str) -> None:
    event = Priced.model_validate_json(f'{{"number": 1, "price": {price}}}')

    assert str(event.price) == json.loads(price)


NUMBERS = ["19.90", "19", "null", "true", "NaN", "Infinity"]
TEXTS = ["NaN", "Infinity", "1e3", "1.999", " 1", "1\n", "\u0661", "1_0", "", "100000000000000.00"]


@pytest.mark.parametrize("price", [*NUMBERS, *map(json.dumps, TEXTS)])
def test_what_is_not_a_decimal_in_a_string_is_no_money(price: str) -> None:
    with pytest.raises(ValidationError):
        Priced.model_validate_json(f'{{"number": 1, "price": {price}}}')


@pytest.mark.parametrize("price", [19.90, 19, float("nan")])
def test_a_service_cannot_make_money_of_a_float(price: Any) -> None:
    with pytest.raises(ValidationError):
        Priced(number=1, price=price)


def test_the_key_is_the_text_of_the_field_that_the_event_declares() -> None:
    assert Priced(number=7, price=Decimal(1)).key == "7"
    assert OrderPlaced(order_id="o-1").key == "o-1"


def test_an_event_whose_key_field_is_none_has_no_key_and_one_whose_field_is_empty_has_an_empty_one() -> None:
    assert Seen().key is None
    assert Seen(customer="None").key == "None"
    assert Seen(customer="").key == ""


def test_a_reader_ignores_fields_that_it_does_not_declare() -> None:
    event = OrderPlaced.model_validate_json('{"order_id": "o-1", "coupon": {"code": "X"}}')

    assert event == OrderPlaced(order_id="o-1")


def test_an_event_cannot_be_changed() -> None:
    event = OrderPlaced(order_id="o-1")

    with pytest.raises(ValidationError):
        event.order_id = "o-2"  # type: ignore[misc]


def test_the_text_of_a_validation_error_does_not_quote_the_event() -> None:
    with pytest.raises(ValidationError) as caught:
        Priced.model_validate_json('{"number": "ada@example.com", "price": "secret"}')

    assert "ada" not in str(caught.value)
    assert "secret" not in str(caught.value)
