"""Add the checkpoint of a response that the provider stores."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column("message", sa.Column("upstream", sa.JSON))


def downgrade() -> None:
    """Drop it."""
    op.drop_column("message", "upstream")
