"""What this service announces."""

from datetime import datetime
from typing import ClassVar

from eventbus import Event, Money
from pydantic import BaseModel


class Customer(BaseModel, frozen=True):
    """Who gets the invoice."""

    email: str


class Item(BaseModel, frozen=True):
    """One line of an order."""

    sku: str
    quantity: int
    unit_price: Money


class OrderPlaced(Event):
    """A customer has placed an order, and it will be billed."""

    topic: ClassVar[str] = "orders"
    type: ClassVar[str] = "order.placed.v1"
    key_field: ClassVar[str] = "order_id"

    order_id: str
    placed_at: datetime
    customer: Customer
    currency: str
    items: tuple[Item, ...]
