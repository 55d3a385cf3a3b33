"""The customers' mailbox, read from the mail server's Maildir."""

import re
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from email import message_from_bytes, policy
from pathlib import Path


@dataclass(frozen=True)
class Mail:
    """An invoice as a customer gets it."""

    order_id: str
    to: str
    invoice_number: str
    total: Decimal
    currency: str
    message_id: str
    html: str


class Mailbox:
    """All e-mails so far, by order."""

    def __init__(self, folder: Path) -> None:
        self._new = folder / "new"
        self._read: set[str] = set()
        self._mails: dict[str, list[Mail]] = defaultdict(list)

    def by_order(self) -> dict[str, list[Mail]]:
        """Read what has come since the last look, and return all."""
        for file in self._new.iterdir() if self._new.exists() else ():
            if file.name not in self._read:
                self._read.add(file.name)
                mail = _parse(file.read_bytes())
                self._mails[mail.order_id].append(mail)
        return self._mails


def _parse(content: bytes) -> Mail:
    mail = message_from_bytes(content, policy=policy.default)
    text = mail.get_body(("plain",)).get_content()
    return Mail(
        order_id=re.search(r"^Order +(\S+)$", text, re.M)[1],
        to=mail["To"],
        invoice_number=mail["Subject"].removeprefix("Invoice "),
        total=Decimal(re.search(r"^Total (\S+) ", text, re.M)[1]),
        currency=re.search(r"^Total \S+ (\S+)$", text, re.M)[1],
        message_id=mail["Message-ID"],
        html=mail.get_body(("html",)).get_content(),
    )
