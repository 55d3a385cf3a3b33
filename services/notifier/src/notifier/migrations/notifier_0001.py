"""The e-mails. What is there already stays: databases of before the first revision have this table."""

import sqlalchemy as sa
from alembic import op

revision = "notifier_0001"
down_revision = None
branch_labels = ("notifier",)


def upgrade() -> None:
    op.create_table(
        "mails",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("message_id", sa.String(255), nullable=False),
        sa.Column("order_id", sa.String(64), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        if_not_exists=True,
    )
    op.create_index("ix_mails_order_id", "mails", ["order_id"], if_not_exists=True)
    op.create_index("ix_mails_sent_at", "mails", ["sent_at"], if_not_exists=True)
