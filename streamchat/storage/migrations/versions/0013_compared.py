"""Add the answers of a conversation that stand side by side."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("conversation", sa.Column("compared", sa.JSON))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("conversation", "compared")
