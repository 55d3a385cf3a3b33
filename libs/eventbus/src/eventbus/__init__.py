"""Typed events on Kafka that survive crashes: outbox, relay, worker loop, inbox, retries, dead letters.

A service declares its events, its handlers and its tables; everything between the database and the broker is here.
"""

from eventbus.command import command
from eventbus.database.database import Database
from eventbus.database.outage import is_message_fault
from eventbus.database.schema import Schema
from eventbus.errors import Poison, Transient, Unavailable
from eventbus.event import Event, Money
from eventbus.housekeeping import Retention
from eventbus.outbox.limits import OutboxLimit
from eventbus.outbox.outbox import Outbox, Receipt
from eventbus.outbox.publication import Publication
from eventbus.service import run
from eventbus.settings import DATABASE_URL, OutboxSettings, WorkerSettings, read_settings
from eventbus.worker.subscription import Subscription, outside_transaction, within_transaction

__all__ = [
    "DATABASE_URL",
    "Database",
    "Event",
    "Money",
    "Outbox",
    "OutboxLimit",
    "OutboxSettings",
    "Poison",
    "Publication",
    "Receipt",
    "Retention",
    "Schema",
    "Subscription",
    "Transient",
    "Unavailable",
    "WorkerSettings",
    "command",
    "is_message_fault",
    "outside_transaction",
    "read_settings",
    "run",
    "within_transaction",
]
