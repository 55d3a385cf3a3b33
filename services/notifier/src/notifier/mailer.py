"""Writes the e-mail of an invoice and hands it to the mail server."""

import re
import smtplib
import time
from dataclasses import dataclass
from email.errors import MessageError
from email.headerregistry import Address
from email.utils import format_datetime
from types import TracebackType
from typing import Self

from eventbus import Poison, Transient, Unavailable
from jinja2 import Environment, PackageLoader, select_autoescape

from notifier.events import InvoiceIssued
from notifier.mime import alternative
from notifier.smtp import CLOSING, Connection, ServerGone

# For each answer of the mail server. A stop may have to wait for one.
TIMEOUT_S = 8
# A connection that was not used for so long is tried before it is trusted with an e-mail.
IDLE_S = 10
# What most addresses look like. The standard library's parser knows all others, but costs more than the whole e-mail.
_PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9_+-]+(\.[A-Za-z0-9_+-]+)*@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*")


@dataclass(frozen=True)
class SentMail:
    """An e-mail that the mail server took."""

    message_id: str
    order_id: str


class Mailer:
    """Hand e-mails to one mail server, over connections that are kept until the end of the ``with``.

    There are as many of them as threads that send at the same time. Raises ValueError if *sender* is not an address.
    """

    def __init__(self, *, host: str, port: int, sender: str, timeout: float = TIMEOUT_S, idle: float = IDLE_S) -> None:
        self._host = host
        self._port = port
        self._sender = _address(sender)
        self._timeout = timeout
        self._idle = idle
        # Those that nobody uses now: the one that was used last is the next one.
        self._kept: list[Connection] = []
        templates = Environment(loader=PackageLoader("notifier"), autoescape=select_autoescape(), trim_blocks=True)
        self._text = templates.get_template("invoice.txt")
        self._html = templates.get_template("invoice.html")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        while self._kept:
            self._kept.pop().close()

    def send(self, invoice: InvoiceIssued) -> SentMail:
        """Send the invoice to its customer; when this returns, the mail server has it.

        The Message-ID depends on the order alone, so a repeat can be recognised. Raises Poison if the mail server
        refuses for good, Transient where it may take this e-mail later, Unavailable where it takes none at present; no
        error names an address.
        """
        try:
            recipient = _address(invoice.customer.email)
        except ValueError:
            raise Poison("the customer's e-mail address is not valid") from None
        message_id = f"<{invoice.order_id}.invoice@{self._sender.rpartition('@')[2]}>"
        content = self._write(recipient, message_id, invoice)
        try:
            self._hand_over(recipient, content)
        except smtplib.SMTPRecipientsRefused as refusal:
            _refuse(max(code for code, _ in refusal.recipients.values()))
        except smtplib.SMTPSenderRefused as refusal:
            raise Unavailable(f"the mail server refuses the sender ({refusal.smtp_code})") from None
        except smtplib.SMTPDataError as refusal:
            _refuse(refusal.smtp_code)
        except (smtplib.SMTPException, OSError) as error:
            raise Unavailable(f"no answer from the mail server ({type(error).__name__})") from None
        return SentMail(message_id, invoice.order_id)

    def _hand_over(self, recipient: str, content: bytes) -> None:
        """Deliver over a kept connection, or over a new one if the server has closed that meanwhile."""
        if (connection := self._open()) is not None:
            try:
                return self._deliver(connection, recipient, content)
            except ServerGone:
                pass
            except smtplib.SMTPSenderRefused as refusal:
                if refusal.smtp_code != CLOSING:
                    raise
        self._deliver(Connection(self._host, self._port, timeout=self._timeout), recipient, content)

    def _open(self) -> Connection | None:
        """Take a kept connection if there is one that, as far as is known, the server has not closed."""
        while self._kept:
            connection = self._kept.pop()
            if time.monotonic() - connection.used_at < self._idle:
                return connection
            try:
                if connection.noop()[0] == 250:
                    return connection
            except (smtplib.SMTPException, OSError):
                pass
            connection.close()
        return None

    def _deliver(self, connection: Connection, recipient: str, content: bytes) -> None:
        try:
            connection.deliver(self._sender, recipient, content)
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused, smtplib.SMTPDataError):
            self._keep(connection)
            raise
        except (smtplib.SMTPException, OSError):
            connection.close()
            raise
        self._keep(connection)

    def _keep(self, connection: Connection) -> None:
        if connection.sock is not None:
            self._kept.append(connection)

    def _write(self, recipient: str, message_id: str, invoice: InvoiceIssued) -> bytes:
        return alternative(
            {
                "To": recipient,
                "From": self._sender,
                "Subject": f"Invoice {invoice.invoice_number}",
                "Date": format_datetime(invoice.issued_at),
                "Message-ID": message_id,
            },
            self._text.render(invoice=invoice),
            self._html.render(invoice=invoice),
        )


def _address(text: str) -> str:
    """Return an address as it is written in a header and in a command; raises ValueError, without quoting it."""
    if _PLAIN_ADDRESS.fullmatch(text):
        return text
    try:
        return Address(addr_spec=text).addr_spec
    except (MessageError, ValueError, IndexError):
        raise ValueError("this is not an e-mail address") from None


def _refuse(code: int) -> None:
    if code >= 500:
        raise Poison(f"the mail server refuses the e-mail for good ({code})") from None
    if code == CLOSING:
        raise Unavailable(f"the mail server is closing down ({code})") from None
    raise Transient(f"the mail server does not take the e-mail now ({code})") from None
