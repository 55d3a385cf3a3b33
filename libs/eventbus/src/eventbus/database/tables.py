"""The bus's own tables, beside each service's tables in the service's database."""

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from eventbus.cloudevents import MAX_IDENTITY_LENGTH

metadata = MetaData()

# In the outbox's column `key`, of an event without one. No key is stored like that: it is a text, in UTF-8.
NO_KEY = b"\xff"

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("event_id", String(64), nullable=False, unique=True),
    Column("topic", String(249), nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("value", LargeBinary, nullable=False),
    Column("headers", Text, nullable=False),
    Column("trace_context", Text, nullable=False),
    Column("parked_because", Text),
    # Without it SQLite gives the id of a deleted last row to the next one, and a late delete would hit the wrong event.
    sqlite_autoincrement=True,
)

# Deliveries that have begun and have not come to an end: see unfinished.py.
unfinished = Table(
    "unfinished",
    metadata,
    Column("consumer", String(255), primary_key=True),
    Column("record", String(300), primary_key=True),  # its topic, partition and offset
    Column("deliveries", Integer, nullable=False),
    Column("since", DateTime(timezone=True), nullable=False, index=True),
)

# Messages in the retry topic, if their keys keep their order there: see key_order.py.
waiting = Table(
    "waiting",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),  # grows: this is their order
    Column("consumer", String(255), nullable=False),
    Column("key", String(64), nullable=False),  # its SHA-256
    Column("message", String(MAX_IDENTITY_LENGTH), nullable=False),
    Column("since", DateTime(timezone=True), nullable=False, index=True),
    UniqueConstraint("consumer", "message"),
    Index("ix_waiting_consumer_key", "consumer", "key"),
    sqlite_autoincrement=True,
)

inbox = Table(
    "inbox",
    metadata,
    Column("consumer", String(255), primary_key=True),
    # `Message.identity`: source and id.
    Column("event_id", String(MAX_IDENTITY_LENGTH), primary_key=True),
    # The index is for housekeeping, which looks for the oldest rows.
    Column("handled_at", DateTime(timezone=True), nullable=False, index=True),
)
