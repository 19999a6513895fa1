"""Add the settings of a conversation, pins, the archive, the trash, and links to snapshots."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

LISTED = ["owner", "archived", "pinned", "updated_at", "id"]


def upgrade() -> None:
    """Add columns and tables. A conversation that is there is neither pinned, archived nor deleted."""
    for name, kind in (("model", sa.Text), ("system", sa.Text), ("options", sa.JSON)):
        op.add_column("conversation", sa.Column(name, kind))
    for name in ("pinned", "archived"):
        op.add_column("conversation", sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("conversation", sa.Column("deleted_at", sa.DateTime(timezone=True)))
    op.drop_index("ix_conversation_owner", "conversation")
    op.create_index("ix_conversation_list", "conversation", LISTED)
    op.create_table(
        "deleted_message",
        sa.Column("message_id", sa.Text, sa.ForeignKey("message.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("conversation_id", sa.Text, sa.ForeignKey("conversation.id", ondelete="CASCADE"), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_deleted_message_conversation_id", "deleted_message", ["conversation_id"])
    op.create_table(
        "share",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("conversation_id", sa.Text, sa.ForeignKey("conversation.id", ondelete="CASCADE"), nullable=False),
        sa.Column("leaf_id", sa.Text),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("conversation_id"),
    )


def downgrade() -> None:
    """Drop all of it. What is in the trash comes back."""
    op.drop_table("share")
    op.drop_table("deleted_message")
    op.drop_index("ix_conversation_list", "conversation")
    op.create_index("ix_conversation_owner", "conversation", ["owner", "updated_at", "id"])
    for name in ("deleted_at", "archived", "pinned", "options", "system", "model"):
        op.drop_column("conversation", name)
