"""The three services on databases of their own, without a broker between them."""

from collections.abc import Callable, Iterator

import billing.store
import notifier.store
import orders.store
import pytest
from billing.events import OrderPlaced
from billing.handlers import issue_invoice
from eventbus import Database, outside_transaction, within_transaction
from eventbus.testing import LocalWorker
from notifier.events import InvoiceIssued
from notifier.handlers import mail_invoice
from notifier.mailer import Mailer
from orders.app import create_app

from services.notifier.tests.post_office import MailServer, PostOffice
from tests.contracts.chain import Chain


@pytest.fixture(scope="module")
def chain(new_database: Callable[[], str]) -> Iterator[Chain]:
    """One for all tests of a module: each looks at what it added."""
    databases = {name: Database(new_database()) for name in ("orders", "billing", "notifier")}
    databases["orders"].upgrade(orders.store.SCHEMA)
    databases["billing"].upgrade(billing.store.SCHEMA)
    databases["notifier"].upgrade(notifier.store.SCHEMA)
    office = PostOffice()
    server = MailServer(office)
    server.start()
    with Mailer(host="127.0.0.1", port=server.port, sender="billing@shop.example") as mailer:
        yield Chain(
            web=create_app(databases["orders"]).test_client(),
            orders=databases["orders"],
            billing=LocalWorker(
                "billing", databases["billing"], within_transaction(OrderPlaced, issue_invoice, billing.store.Ledger)
            ),
            notifier=LocalWorker(
                "notifier",
                databases["notifier"],
                outside_transaction(InvoiceIssued, mail_invoice, mailer, record=notifier.store.note_sent),
            ),
            office=office,
        )
    server.stop()
    for database in databases.values():
        database.close()
