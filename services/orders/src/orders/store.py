"""The orders' tables."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from eventbus import Receipt, Retention, Schema
from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Index,
    MetaData,
    Select,
    String,
    Table,
    Text,
    bindparam,
    insert,
    select,
)

from orders.events import OrderPlaced

metadata = MetaData()
SCHEMA = Schema(metadata, Path(__file__).with_name("migrations"))

_orders = Table(
    "orders",
    metadata,
    Column("order_id", String(36), primary_key=True),
    Column("placed_at", DateTime(timezone=True), nullable=False, index=True),
    Column("content", Text, nullable=False),
    Column("traceparent", String(55)),
    Column("idempotency_key", String(255), unique=True),
    Column("fingerprint", String(64), nullable=False),
)
_with_key = _orders.c.idempotency_key.is_not(None)
Index("ix_orders_with_key_placed_at", _orders.c.placed_at, sqlite_where=_with_key, postgresql_where=_with_key)

# Statements that are built anew for each order cost three times as much.
_ADD = insert(_orders)
_BY_ID = select(_orders).where(_orders.c.order_id == bindparam("value"))
_BY_KEY = select(_orders).where(_orders.c.idempotency_key == bindparam("value"))

KEYS = Retention(
    _orders.c.placed_at,
    keep=timedelta(days=7),
    because="a caller that repeats a request does so within hours; a queue of its own may hold one over some days off",
    forget=_orders.c.idempotency_key,
)


def orders_for(days: int) -> Retention:
    """Return the rule that keeps orders for so many days."""
    return Retention(
        _orders.c.placed_at,
        keep=timedelta(days=days),
        because="customers ask about an order within a year and a month; the ledger of billing is kept forever",
    )


@dataclass(frozen=True)
class Order:
    """An order as it was accepted. *fingerprint* tells one order from another, whatever its spelling."""

    order_id: str
    content: str  # JSON
    traceparent: str | None
    fingerprint: str

    @property
    def trace_id(self) -> str | None:
        """The trace of the order's journey."""
        return self.traceparent.split("-")[1] if self.traceparent else None


class Orders:
    """The orders, seen through one transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def by_id(self, order_id: str) -> Order | None:
        """Return the order, or None if there is none."""
        if "\0" in order_id:  # PostgreSQL does not even compare with it
            return None
        return self._one(_BY_ID, order_id)

    def by_idempotency_key(self, key: str) -> Order | None:
        """Return the order that was placed under this key, or None."""
        return self._one(_BY_KEY, key)

    def add(self, event: OrderPlaced, receipt: Receipt, *, fingerprint: str, idempotency_key: str | None) -> Order:
        """Keep the order that *event* announces; *receipt* tells its trace."""
        content = event.model_dump_json(exclude={"order_id"})
        self._connection.execute(
            _ADD,
            {
                "order_id": event.order_id,
                "placed_at": event.placed_at,
                "content": content,
                "traceparent": receipt.traceparent,
                "idempotency_key": idempotency_key,
                "fingerprint": fingerprint,
            },
        )
        return Order(event.order_id, content, receipt.traceparent, fingerprint)

    def _one(self, statement: Select[Any], value: str) -> Order | None:
        row = self._connection.execute(statement, {"value": value}).one_or_none()
        if row is None:
            return None
        return Order(row.order_id, row.content, row.traceparent, row.fingerprint)
