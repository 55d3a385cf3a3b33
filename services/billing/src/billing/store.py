"""The ledger's tables."""

from sqlalchemy import Column, Connection, DateTime, Integer, MetaData, String, Table, insert, select, update

from billing.events import InvoiceIssued

metadata = MetaData()

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


class Ledger:
    """The invoices, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def has_invoice_for(self, order_id: str) -> bool:
        """Tell whether the order has been billed."""
        mine = select(_invoices.c.number).where(_invoices.c.order_id == order_id)
        return self._connection.execute(mine).first() is not None

    def next_number(self) -> str:
        """Return the next invoice number.

        Numbers have no gap and no repeat: the counter moves in the invoice's own transaction or not at all.
        """
        moved = self._connection.execute(
            update(_counters)
            .where(_counters.c.name == "invoice")
            .values(last=_counters.c.last + 1)
            .returning(_counters.c.last)
        ).scalar_one_or_none()
        if moved is None:
            self._connection.execute(insert(_counters).values(name="invoice", last=1))
            moved = 1
        return f"INV-{moved:08d}"

    def add(self, invoice: InvoiceIssued) -> None:
        """Enter an invoice; an order has at most one."""
        self._connection.execute(
            insert(_invoices).values(
                number=invoice.invoice_number,
                order_id=invoice.order_id,
                issued_at=invoice.issued_at,
                currency=invoice.currency,
                total=str(invoice.total),
            )
        )
