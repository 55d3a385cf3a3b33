"""What this service reads."""

from datetime import datetime
from typing import Annotated, ClassVar

from eventbus import Event, Money
from pydantic import BaseModel, Field


class Customer(BaseModel, frozen=True):
    """Who gets the invoice."""

    # No quotes, comments or brackets: on some of those Python's own parser of addresses fails.
    email: Annotated[str, Field(pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$", max_length=254)]


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

    # Both become part of mail headers.
    invoice_number: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
    order_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
    issued_at: datetime
    customer: Customer
    currency: str
    lines: tuple[Line, ...]
    total: Money
