"""The customers' mailbox."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from email import message_from_bytes, policy
from itertools import count
from pathlib import Path
from typing import Protocol

import requests


@dataclass(frozen=True)
class Mail:
    """An invoice as a customer gets it."""

    order_id: str
    to: str
    invoice_number: str
    total: Decimal
    currency: str
    message_id: str


class Mailbox(Protocol):
    """All e-mails so far, by order."""

    def by_order(self) -> dict[str, list[Mail]]:
        """Read what has come since the last look, and return all."""


class MaildirMailbox:
    """The mail server's Maildir."""

    def __init__(self, folder: Path) -> None:
        self._new = folder / "new"
        self._read: set[str] = set()
        self._mails: dict[str, list[Mail]] = defaultdict(list)

    def by_order(self) -> dict[str, list[Mail]]:
        for file in self._new.iterdir() if self._new.exists() else ():
            if file.name not in self._read:
                self._read.add(file.name)
                mail = parse(file.read_bytes())
                self._mails[mail.order_id].append(mail)
        return self._mails


class MailpitMailbox:
    """Mailpit, by its HTTP interface."""

    def __init__(self, url: str) -> None:
        self._api = f"{url}/api/v1"
        self._session = requests.Session()
        self._read: set[str] = set()
        self._mails: dict[str, list[Mail]] = defaultdict(list)

    def by_order(self) -> dict[str, list[Mail]]:
        for known in self._new_ids():
            self._read.add(known)
            mail = parse(self._session.get(f"{self._api}/message/{known}/raw", timeout=5).content)
            self._mails[mail.order_id].append(mail)
        return self._mails

    def _new_ids(self) -> Iterator[str]:
        # The newest come first, a page at a time, until a page has nothing new.
        for start in count(0, 500):
            query = {"start": str(start), "limit": "500"}
            page = self._session.get(f"{self._api}/messages", params=query, timeout=10).json()["messages"]
            new = [message["ID"] for message in page if message["ID"] not in self._read]
            yield from new
            if not new:
                return


def parse(content: bytes) -> Mail:
    """Read an invoice's e-mail as the mail server has it."""
    mail = message_from_bytes(content, policy=policy.default)
    text = mail.get_body(("plain",)).get_content().replace("\r\n", "\n")
    return Mail(
        order_id=re.search(r"^Order +(\S+)$", text, re.M)[1],
        to=mail["To"],
        invoice_number=mail["Subject"].removeprefix("Invoice "),
        total=Decimal(re.search(r"^Total (\S+) ", text, re.M)[1]),
        currency=re.search(r"^Total \S+ (\S+)$", text, re.M)[1],
        message_id=mail["Message-ID"],
    )
