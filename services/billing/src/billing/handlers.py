"""What this service does."""

from datetime import UTC, datetime
from decimal import Decimal

from eventbus import Poison
from pydantic import ValidationError

from billing.events import InvoiceIssued, Line, OrderPlaced
from billing.store import Ledger


def issue_invoice(order: OrderPlaced, ledger: Ledger) -> InvoiceIssued | None:
    """Bill an order; None for one that has been billed already.

    Raises Poison if an amount is too large to be money: trying again would not make it smaller.
    """
    if ledger.has_invoice_for(order.order_id):
        return None
    try:
        invoice = _invoice(order, ledger.next_number())
    except ValidationError:
        raise Poison("an amount of the order is too large to bill") from None
    ledger.add(invoice)
    return invoice


def _invoice(order: OrderPlaced, number: str) -> InvoiceIssued:
    lines = tuple(
        Line(sku=i.sku, quantity=i.quantity, unit_price=i.unit_price, amount=i.quantity * i.unit_price)
        for i in order.items
    )
    return InvoiceIssued(
        invoice_number=number,
        order_id=order.order_id,
        issued_at=datetime.now(UTC),
        customer=order.customer,
        currency=order.currency,
        lines=lines,
        total=sum((line.amount for line in lines), Decimal("0.00")),
    )
