"""What became of the orders: all that can be looked at from outside, as sets of ids."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import create_engine, text

from tests.chaos.ledger import number_of
from tests.e2e.mails import parse


@dataclass(frozen=True)
class Order:
    """An order as orders has stored it. *number* is that of its request, None where it is none of ours."""

    order_id: str
    number: int | None
    trace_id: str | None


@dataclass(frozen=True)
class Mail:
    """An e-mail as it arrived; *at* is in seconds since the epoch."""

    order_id: str
    message_id: str
    invoice: str
    at: float


@dataclass(frozen=True)
class Seen:
    """One look at everything but the spans."""

    orders: frozenset[Order] = frozenset()
    invoices: frozenset[tuple[str, str]] = frozenset()  # number, order id
    noted: frozenset[str] = frozenset()  # order ids of which notifier remembers an e-mail
    mails: tuple[Mail, ...] = ()
    unsent: frozenset[str] = frozenset()  # keys in an outbox
    unread: Mapping[str, frozenset[str]] = field(default_factory=dict)  # keys beyond a group's offsets
    letters: Mapping[str, frozenset[str]] = field(default_factory=dict)  # keys in a group's dead letters

    @property
    def mailed(self) -> dict[str, float]:
        """When each order's last e-mail came."""
        return {mail.order_id: mail.at for mail in sorted(self.mails, key=lambda mail: mail.at)}


class Sources:
    """The databases of the three services and the mailbox."""

    def __init__(self, databases: Mapping[str, str], mail_folder: Path) -> None:
        self._databases = databases
        self._mails = MailFolder(mail_folder)

    def look(self) -> Seen:
        """Look once. The order of looking is against the flow: what is seen late has its beginning seen too."""
        mails = self._mails.read()
        noted = self._rows("notifier", "SELECT order_id FROM mails")
        invoices = self._rows("billing", "SELECT number, order_id FROM invoices")
        unsent = [row for service in ("billing", "orders") for row in self._rows(service, "SELECT key FROM outbox")]
        orders = self._rows("orders", "SELECT order_id, content, traceparent FROM orders")
        return Seen(
            orders=frozenset(_order(*row) for row in orders),
            invoices=frozenset((number, order_id) for number, order_id in invoices),
            noted=frozenset(order_id for (order_id,) in noted),
            mails=mails,
            unsent=frozenset(bytes(key).decode() for (key,) in unsent),
        )

    def progress(self) -> tuple[int, ...]:
        """Return numbers that stay as they are where nothing moves. Nobody is judged by them."""
        tables = [("orders", "outbox"), ("billing", "invoices"), ("billing", "outbox"), ("notifier", "mails")]
        rows = [next(iter(self._rows(service, f"SELECT count(*) FROM {table}")))[0] for service, table in tables]
        return *rows, self._mails.count()

    def _rows(self, service: str, query: str) -> Iterable[tuple]:
        engine = create_engine(self._databases[service])
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(text(query))]
        finally:
            engine.dispose()


class MailFolder:
    """A Maildir, each file read once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "new"
        self._read: dict[str, Mail] = {}

    def count(self) -> int:
        return len(os.listdir(self._folder)) if self._folder.exists() else 0

    def read(self) -> tuple[Mail, ...]:
        """Return all e-mails so far."""
        for file in self._folder.iterdir() if self._folder.exists() else ():
            if file.name not in self._read:
                mail = parse(file.read_bytes())
                self._read[file.name] = Mail(mail.order_id, mail.message_id, mail.invoice_number, file.stat().st_mtime)
        return tuple(self._read.values())


def _order(order_id: str, content: str, traceparent: str | None) -> Order:
    address = json.loads(content)["customer"]["email"]
    return Order(order_id, number_of(address), traceparent.split("-")[1] if traceparent else None)
