"""Add the options of a request, and the tool settings of a conversation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both columns."""
    op.add_column("conversation", sa.Column("tools", sa.JSON))
    op.add_column("message", sa.Column("request", sa.JSON))


def downgrade() -> None:
    """Drop both columns."""
    op.drop_column("message", "request")
    op.drop_column("conversation", "tools")
