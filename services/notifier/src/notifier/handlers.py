"""What this service does."""

from notifier.events import InvoiceIssued
from notifier.mailer import Mailer, SentMail


def mail_invoice(invoice: InvoiceIssued, mailer: Mailer) -> SentMail:
    """Send an invoice to its customer."""
    return mailer.send(invoice)
