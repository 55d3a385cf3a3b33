"""What this service reads and what it announces."""

from datetime import datetime
from typing import Annotated, ClassVar

from eventbus import Event, Money
from pydantic import BaseModel, Field


class Customer(BaseModel, frozen=True):
    """Who gets the invoice."""

    email: str


class Item(BaseModel, frozen=True):
    """One line of an order."""

    sku: str
    quantity: Annotated[int, Field(ge=1)]
    unit_price: Money


class OrderPlaced(Event):
    """A customer has placed an order, and it will be billed."""

    topic: ClassVar[str] = "orders"
    type: ClassVar[str] = "order.placed.v1"
    key_field: ClassVar[str] = "order_id"

    order_id: str
    customer: Customer
    currency: str
    items: tuple[Item, ...]


class Line(BaseModel, frozen=True):
    """One line of an invoice: *amount* is quantity times unit price."""

    sku: str
    quantity: int
    unit_price: Money
    amount: Money


class InvoiceIssued(Event):
    """An order has been billed, and its invoice will be mailed."""

    topic: ClassVar[str] = "invoices"
    type: ClassVar[str] = "invoice.issued.v1"
    key_field: ClassVar[str] = "order_id"

    invoice_number: str
    order_id: str
    issued_at: datetime
    customer: Customer
    currency: str
    lines: tuple[Line, ...]
    total: Money
