"""The orders. What is there already stays: databases of before the first revision have this table."""

import sqlalchemy as sa
from alembic import op

revision = "orders_0001"
down_revision = None
branch_labels = ("orders",)

_WITH_KEY = sa.text("idempotency_key IS NOT NULL")


def upgrade() -> None:
    op.create_table(
        "orders",
        sa.Column("order_id", sa.String(36), primary_key=True),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("traceparent", sa.String(55)),
        sa.Column("idempotency_key", sa.String(255), unique=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        if_not_exists=True,
    )
    op.create_index("ix_orders_placed_at", "orders", ["placed_at"], if_not_exists=True)
    op.create_index(
        "ix_orders_with_key_placed_at",
        "orders",
        ["placed_at"],
        sqlite_where=_WITH_KEY,
        postgresql_where=_WITH_KEY,
        if_not_exists=True,
    )
