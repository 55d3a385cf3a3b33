"""Takes an order through the three services: what one writes, the next reads."""

from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import billing.events
import notifier.events
from eventbus import Database
from eventbus.testing import LocalWorker
from flask.testing import FlaskClient

from services.notifier.tests.post_office import PostOffice
from tests.contracts.wire import Wire, in_outbox


@dataclass(frozen=True)
class Chain:
    """The services, and the outboxes in place of the topics between them."""

    web: FlaskClient
    orders: Database
    billing: LocalWorker
    notifier: LocalWorker
    office: PostOffice

    def order(self, request: dict[str, Any]) -> Wire | None:
        """Place an order; return what it announces, or None where it is refused."""
        answer = self.web.post("/orders", json=request)
        assert answer.status_code in (202, 422)
        return in_outbox(self.orders)[-1] if answer.status_code == 202 else None

    def invoice(self, order: Wire) -> Wire:
        """Bill an order; return what that announces."""
        message = order.read_as(billing.events.OrderPlaced)
        self.billing.deliver(message.event, event_id=message.id)
        return in_outbox(self.billing.database)[-1]

    def mail(self, invoice: Wire) -> EmailMessage:
        """Mail an invoice; return the e-mail as the mail server took it."""
        message = invoice.read_as(notifier.events.InvoiceIssued)
        self.notifier.deliver(message.event, event_id=message.id)
        return self.office.mails[-1]
