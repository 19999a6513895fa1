"""Add conversations, and their messages as a tree."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

OPEN = sa.text("status IN ('streaming', 'waiting')")


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "conversation",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("leaf_id", sa.Text),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_conversation_owner", "conversation", ["owner", "updated_at", "id"])
    op.create_table(
        "message",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("conversation_id", sa.Text, sa.ForeignKey("conversation.id", ondelete="CASCADE"), nullable=False),
        sa.Column("parent_id", sa.Text, sa.ForeignKey("message.id")),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("stop_reason", sa.Text),
        sa.Column("seq", sa.Integer, nullable=False),
        sa.Column("request_key", sa.Text),
        sa.Column("worker", sa.Text),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True)),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("error", sa.JSON),
        sa.Column("usage", sa.JSON),
        sa.Column("opaque", sa.JSON),
        sa.Column("parts", sa.JSON, nullable=False),
        sa.UniqueConstraint("request_key"),
        sa.UniqueConstraint("conversation_id", "position"),
    )
    op.create_index("ix_message_parent_id", "message", ["parent_id"])
    op.create_index("ix_message_open", "message", ["conversation_id"], sqlite_where=OPEN, postgresql_where=OPEN)


def downgrade() -> None:
    """Drop both tables."""
    op.drop_table("message")
    op.drop_table("conversation")
