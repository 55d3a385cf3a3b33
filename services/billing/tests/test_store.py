"""The ledger by itself."""

from collections.abc import Callable

import pytest
from eventbus import Database
from sqlalchemy.exc import IntegrityError

from billing.events import OrderPlaced
from billing.handlers import issue_invoice
from billing.store import Ledger

PlaceOrder = Callable[..., OrderPlaced]


def test_a_ledger_knows_whom_it_has_billed(database: Database, an_order: PlaceOrder) -> None:
    with database.write() as connection:
        issue_invoice(an_order(order_id="billed"), Ledger(connection))
    with database.read() as connection:
        ledger = Ledger(connection)

        assert ledger.has_invoice_for("billed")
        assert not ledger.has_invoice_for("BILLED")


def test_a_ledger_refuses_a_second_invoice_for_an_order(database: Database, an_order: PlaceOrder) -> None:
    with pytest.raises(IntegrityError), database.write() as connection:
        ledger = Ledger(connection)
        invoice = issue_invoice(an_order(), ledger)
        assert invoice
        ledger.add(invoice.model_copy(update={"invoice_number": ledger.next_number()}))


def test_a_ledger_refuses_a_number_twice(database: Database, an_order: PlaceOrder) -> None:
    with pytest.raises(IntegrityError), database.write() as connection:
        ledger = Ledger(connection)
        invoice = issue_invoice(an_order(), ledger)
        assert invoice
        ledger.add(invoice.model_copy(update={"order_id": "another"}))
