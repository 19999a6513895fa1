"""Add the fencing token of an answer's owner, and the pieces of answers in progress."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the table."""
    op.add_column("message", sa.Column("epoch", sa.Integer, nullable=False, server_default="0"))
    op.add_column("message", sa.Column("takeovers", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "message_piece",
        sa.Column("message_id", sa.Text, sa.ForeignKey("message.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("events", sa.JSON, nullable=False),
    )


def downgrade() -> None:
    """Drop them. An answer in progress loses the text of its pieces."""
    op.drop_table("message_piece")
    op.drop_column("message", "takeovers")
    op.drop_column("message", "epoch")
