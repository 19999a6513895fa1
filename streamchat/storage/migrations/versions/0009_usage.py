"""Add use by day, limits of people and keys, and models that are switched off."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "daily_usage",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("day", "owner", "credential", "model")),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("input", sa.BigInteger, nullable=False),
        sa.Column("output", sa.BigInteger, nullable=False),
        sa.Column("cost", sa.Float, nullable=False),
        sa.Column("unpriced", sa.Integer, nullable=False),
    )
    op.create_table(
        "usage_limit",
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("requests", sa.Integer),
        sa.Column("running", sa.Integer),
        sa.Column("tokens", sa.BigInteger),
        sa.Column("cost", sa.Float),
    )
    op.create_table("model_off", sa.Column("model", sa.Text, primary_key=True))


def downgrade() -> None:
    """Drop the tables."""
    for table in ("model_off", "usage_limit", "daily_usage"):
        op.drop_table(table)
