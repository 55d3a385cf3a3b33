"""Outbox, inbox, deliveries that are not finished, messages that wait.

What is there already stays: databases of before the first revision have these tables, the oldest ones not all of them.
"""

import sqlalchemy as sa
from alembic import op

revision = "eventbus_0001"
down_revision = None
branch_labels = ("eventbus",)

_GROWING_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", _GROWING_ID, primary_key=True),
        sa.Column("event_id", sa.String(64), nullable=False, unique=True),
        sa.Column("topic", sa.String(249), nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("headers", sa.Text, nullable=False),
        sa.Column("trace_context", sa.Text, nullable=False),
        sa.Column("parked_because", sa.Text),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_table(
        "inbox",
        sa.Column("consumer", sa.String(255), primary_key=True),
        sa.Column("event_id", sa.String(255), primary_key=True),
        sa.Column("handled_at", sa.DateTime(timezone=True), nullable=False),
        if_not_exists=True,
    )
    op.create_index("ix_inbox_handled_at", "inbox", ["handled_at"], if_not_exists=True)
    op.create_table(
        "unfinished",
        sa.Column("consumer", sa.String(255), primary_key=True),
        sa.Column("record", sa.String(300), primary_key=True),
        sa.Column("deliveries", sa.Integer, nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        if_not_exists=True,
    )
    op.create_index("ix_unfinished_since", "unfinished", ["since"], if_not_exists=True)
    op.create_table(
        "waiting",
        sa.Column("id", _GROWING_ID, primary_key=True),
        sa.Column("consumer", sa.String(255), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("message", sa.String(255), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("consumer", "message"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_index("ix_waiting_consumer_key", "waiting", ["consumer", "key"], if_not_exists=True)
    op.create_index("ix_waiting_since", "waiting", ["since"], if_not_exists=True)
