"""Add keys of vendors that people bring, and what of the use of a day they paid for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and add the columns."""
    op.create_table(
        "provider_key",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("vendor", sa.Text, primary_key=True),
        sa.Column("sealed", sa.Text, nullable=False),
        sa.Column("ending", sa.Text, nullable=False),
        sa.Column("set_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True)),
    )
    op.add_column("daily_usage", sa.Column("own_key_requests", sa.Integer, nullable=False, server_default="0"))
    op.add_column("daily_usage", sa.Column("own_key_cost", sa.Float, nullable=False, server_default="0"))


def downgrade() -> None:
    """Drop them."""
    with op.batch_alter_table("daily_usage") as batch:
        batch.drop_column("own_key_requests")
        batch.drop_column("own_key_cost")
    op.drop_table("provider_key")
