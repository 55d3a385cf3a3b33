"""What this service does."""

from datetime import UTC, datetime
from uuid import uuid4

from orders.events import Customer, Item, OrderPlaced
from orders.requests import PlaceOrder


def place_order(request: PlaceOrder) -> OrderPlaced:
    """Give the order its id and its time."""
    return OrderPlaced(
        order_id=str(uuid4()),
        placed_at=datetime.now(UTC),
        customer=Customer(email=request.customer.email),
        currency=request.currency,
        items=tuple(Item(sku=i.sku, quantity=i.quantity, unit_price=i.unit_price) for i in request.items),
    )
