"""The table of sent e-mails."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from eventbus import Retention, Schema
from sqlalchemy import Column, Connection, DateTime, Integer, MetaData, String, Table, insert

from notifier.mailer import SentMail

metadata = MetaData()
SCHEMA = Schema(metadata, Path(__file__).with_name("migrations"))

_mails = Table(
    "mails",
    metadata,
    # A repeat after a crash has the same Message-ID and a row of its own.
    Column("id", Integer, primary_key=True),
    Column("message_id", String(255), nullable=False),
    Column("order_id", String(64), nullable=False, index=True),
    Column("sent_at", DateTime(timezone=True), nullable=False, index=True),
)

MAILS = Retention(
    _mails.c.sent_at,
    keep=timedelta(days=90),
    because="customers ask for a missing invoice within a quarter; what was billed stays in the ledger of billing",
)

# A statement that is built anew for each e-mail costs three times as much.
_NOTE = insert(_mails)


def note_sent(connection: Connection, mail: SentMail) -> None:
    """Note that the mail server took *mail*."""
    row = {"message_id": mail.message_id, "order_id": mail.order_id, "sent_at": datetime.now(UTC)}
    connection.execute(_NOTE, row)
