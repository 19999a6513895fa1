"""Add the times of an answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("message", sa.Column("timing", sa.JSON))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("message", "timing")
