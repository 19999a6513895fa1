"""Add uploaded files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "file",
        *(sa.Column(name, sa.Text, primary_key=name == "id", nullable=False) for name in _TEXTS),
        sa.Column("bytes", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("width", "height", "pages", "tokens")),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
    )
    op.create_index("ix_file_owner", "file", ["owner"])
    op.create_index("ix_file_created_at", "file", ["created_at"])
    op.create_table(
        "file_content",
        sa.Column("file_id", sa.Text, sa.ForeignKey("file.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "message_file",
        sa.Column("message_id", sa.Text, sa.ForeignKey("message.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("file_id", sa.Text, sa.ForeignKey("file.id", ondelete="CASCADE"), primary_key=True),
    )
    op.create_index("ix_message_file_file_id", "message_file", ["file_id"])


_TEXTS = ("id", "owner", "name", "media_type")


def downgrade() -> None:
    """Drop them, with all files."""
    for name in ("message_file", "file_content", "file"):
        op.drop_table(name)
