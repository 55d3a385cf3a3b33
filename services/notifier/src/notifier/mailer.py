"""Writes the e-mail of an invoice and hands it to the mail server."""

import smtplib
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from types import TracebackType
from typing import Self

from eventbus import Poison, Transient, Unavailable
from jinja2 import Environment, PackageLoader, select_autoescape

from notifier.events import InvoiceIssued

# For each answer of the mail server. A stop may have to wait for one.
TIMEOUT_S = 8
# RFC 5321, 4.2.3: it will close the connection, whatever was asked of it.
_CLOSING = 421


@dataclass(frozen=True)
class SentMail:
    """An e-mail that the mail server took."""

    message_id: str
    order_id: str


class Mailer:
    """Hand e-mails to one mail server, over one connection that is kept until the end of the ``with``.

    Not for several threads at once.
    """

    def __init__(self, *, host: str, port: int, sender: str, timeout: float = TIMEOUT_S) -> None:
        self._host = host
        self._port = port
        self._sender = sender
        self._timeout = timeout
        self._connection: smtplib.SMTP | None = None
        templates = Environment(loader=PackageLoader("notifier"), autoescape=select_autoescape(), trim_blocks=True)
        self._text = templates.get_template("invoice.txt")
        self._html = templates.get_template("invoice.html")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._hang_up()

    def send(self, invoice: InvoiceIssued) -> SentMail:
        """Send the invoice to its customer; when this returns, the mail server has it.

        The Message-ID depends on the order alone, so a repeat can be recognised. Raises Poison where the mail server
        refuses for good, Transient where it may take this e-mail later, Unavailable where it takes none at present; no
        error names an address.
        """
        mail = self._write(invoice)
        try:
            self._connected().send_message(mail)
        except smtplib.SMTPRecipientsRefused as refusal:
            _refuse(max(code for code, _ in refusal.recipients.values()))
        except smtplib.SMTPSenderRefused as refusal:
            raise Unavailable(f"the mail server refuses the sender ({refusal.smtp_code})") from None
        except smtplib.SMTPDataError as refusal:
            _refuse(refusal.smtp_code)
        except (smtplib.SMTPException, OSError) as error:
            self._hang_up()
            raise Unavailable(f"no answer from the mail server ({type(error).__name__})") from None
        return SentMail(mail["Message-ID"], invoice.order_id)

    def _hang_up(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> smtplib.SMTP:
        """Return the connection; a new one where the mail server has closed the old one meanwhile."""
        if self._connection is not None:
            try:
                if self._connection.noop()[0] == 250:
                    return self._connection
            except (smtplib.SMTPException, OSError):
                pass
            self._hang_up()
        self._connection = smtplib.SMTP(self._host, self._port, timeout=self._timeout)
        return self._connection

    def _write(self, invoice: InvoiceIssued) -> EmailMessage:
        mail = EmailMessage()
        try:
            mail["To"] = Address(addr_spec=invoice.customer.email)
        except (MessageError, ValueError, IndexError):
            raise Poison("the customer's e-mail address is not valid") from None
        mail["From"] = Address(addr_spec=self._sender)
        mail["Subject"] = f"Invoice {invoice.invoice_number}"
        mail["Date"] = invoice.issued_at
        mail["Message-ID"] = f"<{invoice.order_id}.invoice@{self._sender.rpartition('@')[2]}>"
        mail.set_content(self._text.render(invoice=invoice))
        mail.add_alternative(self._html.render(invoice=invoice), subtype="html")
        return mail


def _refuse(code: int) -> None:
    if code >= 500:
        raise Poison(f"the mail server refuses the e-mail for good ({code})") from None
    if code == _CLOSING:
        raise Unavailable(f"the mail server is closing down ({code})") from None
    raise Transient(f"the mail server does not take the e-mail now ({code})") from None
