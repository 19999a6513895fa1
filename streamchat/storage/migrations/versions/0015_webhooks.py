"""Add webhooks and their deliveries."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "webhook",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("events", sa.JSON, nullable=False),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disabled_at", sa.DateTime(timezone=True)),
    )
    op.create_index("ix_webhook_owner", "webhook", ["owner"])
    op.create_table(
        "webhook_delivery",
        sa.Column("webhook_id", sa.Text, sa.ForeignKey("webhook.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("conversation_id", sa.Text, sa.ForeignKey("conversation.id", ondelete="CASCADE"), nullable=False),
        sa.Column("run_id", sa.Text, nullable=False),
        sa.Column("type", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("response_status", sa.Integer),
        sa.Column("error", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempted_at", sa.DateTime(timezone=True)),
        sa.Column("next_at", sa.DateTime(timezone=True)),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("ix_webhook_delivery_next_at", "webhook_delivery", ["next_at"])
    op.create_index("ix_webhook_delivery_log", "webhook_delivery", ["webhook_id", "created_at", "id"])
    op.create_index("ix_webhook_delivery_conversation_id", "webhook_delivery", ["conversation_id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("webhook_delivery")
    op.drop_table("webhook")
