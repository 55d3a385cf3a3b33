"""A mailer, a mail server for it, and an invoice."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from services.notifier.tests.post_office import MailServer, PostOffice

from notifier.events import InvoiceIssued
from notifier.mailer import Mailer

SENDER = "billing@shop.example"


@pytest.fixture
def office() -> PostOffice:
    return PostOffice()


@pytest.fixture
def server(office: PostOffice) -> Iterator[MailServer]:
    server = MailServer(office)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mailer(server: MailServer) -> Iterator[Mailer]:
    with Mailer(host="127.0.0.1", port=server.port, sender=SENDER) as mailer:
        yield mailer


@pytest.fixture
def invoice() -> InvoiceIssued:
    return InvoiceIssued.model_validate(
        {
            "invoice_number": "INV-00000042",
            "order_id": "5f0d6c9e-7c55-4c8e-9d1a-0c2b6f7a1e11",
            "issued_at": datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC),
            "customer": {"email": "ada@reader.example"},
            "currency": "EUR",
            "lines": [
                {"sku": "BOOK-1", "quantity": 2, "unit_price": "19.90", "amount": "39.80"},
                {"sku": "PEN-7", "quantity": 10, "unit_price": "1.05", "amount": "10.50"},
            ],
            "total": "50.30",
        }
    )
