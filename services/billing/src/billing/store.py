"""The ledger's tables."""

from pathlib import Path

from eventbus import Schema
from sqlalchemy import Column, Connection, DateTime, Integer, MetaData, String, Table, bindparam, insert, select, text

from billing.events import InvoiceIssued

metadata = MetaData()
SCHEMA = Schema(metadata, Path(__file__).with_name("migrations"))

# A ledger: nothing is ever removed from it, so no rule of housekeeping names it.
_invoices = Table(
    "invoices",
    metadata,
    Column("number", String(32), primary_key=True),
    Column("order_id", String(64), nullable=False, unique=True),
    Column("issued_at", DateTime(timezone=True), nullable=False),
    Column("currency", String(3), nullable=False),
    Column("total", String(20), nullable=False),  # a decimal as text: SQLite would make it a float
)
_counters = Table(
    "counters",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("last", Integer, nullable=False),
)

# Statements that are built anew for each invoice cost three times as much.
_OF_ORDER = select(_invoices.c.number).where(_invoices.c.order_id == bindparam("order_id"))
_ENTER = insert(_invoices)
# As text, since SQLAlchemy has this statement for each database only, not for all.
_NEXT = text(
    "INSERT INTO counters (name, last) VALUES ('invoice', 1)"
    " ON CONFLICT (name) DO UPDATE SET last = counters.last + 1 RETURNING last"
)


class Ledger:
    """The invoices, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def has_invoice_for(self, order_id: str) -> bool:
        """Tell whether the order has been billed."""
        return self._connection.execute(_OF_ORDER, {"order_id": order_id}).first() is not None

    def next_number(self) -> str:
        """Return the next invoice number.

        Numbers have no gap and no repeat: the counter moves in the invoice's own transaction or not at all, and other
        transactions wait for its end.
        """
        return f"INV-{self._connection.execute(_NEXT).scalar_one():08d}"

    def add(self, invoice: InvoiceIssued) -> None:
        """Enter an invoice; an order has at most one."""
        self._connection.execute(
            _ENTER,
            {
                "number": invoice.invoice_number,
                "order_id": invoice.order_id,
                "issued_at": invoice.issued_at,
                "currency": invoice.currency,
                "total": str(invoice.total),
            },
        )
