"""Add the labels that clients of the API keep with a conversation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("conversation", sa.Column("labels", sa.JSON))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("conversation", "labels")
