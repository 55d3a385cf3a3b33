"""What placing an order makes of a request."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from orders.handlers import place_order
from orders.requests import PlaceOrder


def test_an_order_placed_says_what_was_asked_for(order: dict[str, Any]) -> None:
    placed = place_order(PlaceOrder.model_validate_json(json.dumps(order)))

    assert placed.model_dump(mode="json", exclude={"order_id", "placed_at"}) == order
    assert placed.items[0].unit_price == Decimal("19.90")
    assert placed.key == placed.order_id


def test_each_order_has_an_id_and_a_time_of_its_own(order: dict[str, Any]) -> None:
    wanted = PlaceOrder.model_validate_json(json.dumps(order))
    first, second = place_order(wanted), place_order(wanted)

    assert first.order_id != second.order_id
    assert first.placed_at.tzinfo is UTC
    assert timedelta(0) <= datetime.now(UTC) - first.placed_at < timedelta(minutes=1)
