"""What this service does."""

from datetime import UTC, datetime
from decimal import Decimal

from billing.events import InvoiceIssued, Line, OrderPlaced
from billing.store import Ledger


def issue_invoice(order: OrderPlaced, ledger: Ledger) -> InvoiceIssued | None:
    """Bill an order; None for one that has been billed already."""
    if ledger.has_invoice_for(order.order_id):
        return None
    lines = tuple(
        Line(sku=i.sku, quantity=i.quantity, unit_price=i.unit_price, amount=i.quantity * i.unit_price)
        for i in order.items
    )
    invoice = InvoiceIssued(
        invoice_number=ledger.next_number(),
        order_id=order.order_id,
        issued_at=datetime.now(UTC),
        customer=order.customer,
        currency=order.currency,
        lines=lines,
        total=sum((line.amount for line in lines), Decimal("0.00")),
    )
    ledger.add(invoice)
    return invoice
