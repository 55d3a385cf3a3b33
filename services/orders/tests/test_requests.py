"""When two requests mean the same order. What is refused is in test_problems.py."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orders.requests import PlaceOrder

PRICES = st.decimals(min_value=0, max_value=Decimal("999999.99"), places=2)


def fingerprint(order: dict[str, Any]) -> str:
    return PlaceOrder.model_validate_json(json.dumps(order)).fingerprint()


def an_order(*, price: str) -> dict[str, Any]:
    return {
        "customer": {"email": "ada@example.com"},
        "currency": "EUR",
        "items": [{"sku": "A", "quantity": 1, "unit_price": price}],
    }


@given(price=PRICES, zeros=st.integers(min_value=0, max_value=7))
def test_an_amount_has_one_fingerprint_in_all_its_spellings(price: Decimal, zeros: int) -> None:
    plain = str(price)
    short = plain.rstrip("0").rstrip(".")

    assert fingerprint(an_order(price=short)) == fingerprint(an_order(price="0" * zeros + plain))


@given(one=PRICES, other=PRICES)
def test_amounts_have_the_same_fingerprint_only_if_they_are_equal(one: Decimal, other: Decimal) -> None:
    same = fingerprint(an_order(price=str(one))) == fingerprint(an_order(price=str(other)))

    assert same == (one == other)


@pytest.mark.parametrize("spelling", ["ada@EXAMPLE.com", "ada@example.COM"])
def test_a_domain_is_the_same_in_capitals(order: dict[str, Any], spelling: str) -> None:
    respelled = {**order, "customer": {"email": spelling}}

    assert fingerprint(respelled) == fingerprint(order)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("customer", {"email": "Ada@example.com"}),  # a mail server may tell capitals before the @ apart
        ("currency", "EUE"),
        ("items", []),
    ],
)
def test_other_orders_have_other_fingerprints(order: dict[str, Any], member: str, value: Any) -> None:
    other = {**order, member: value or list(reversed(order["items"]))}

    assert fingerprint(other) != fingerprint(order)


def test_an_international_domain_is_kept_as_mail_servers_spell_it(order: dict[str, Any]) -> None:
    wanted = PlaceOrder.model_validate({**order, "customer": {"email": "ada@bücher.example"}})

    assert wanted.customer.email == "ada@xn--bcher-kva.example"


def test_an_order_of_100_items_is_an_order(order: dict[str, Any]) -> None:
    order["items"] *= 50

    assert len(PlaceOrder.model_validate(order).items) == 100
