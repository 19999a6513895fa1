"""Add accounts: people, their sessions, keys, invitations and passkeys, and sign-ins that take two steps."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

OWNED = ("account_identity", "account_session", "api_key", "invitation", "passkey")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "account",
        _text("id", primary_key=True),
        _text("name"),
        _text("name_key"),
        _text("role"),
        _text("password_hash", nullable=True),
        _time("disabled_at", nullable=True),
        _time("created_at"),
        sa.UniqueConstraint("name_key"),
    )
    op.create_table(
        "sign_in_ceremony",
        _text("id", primary_key=True),
        sa.Column("data", sa.JSON, nullable=False),
        _time("expires_at"),
    )
    op.create_index("ix_sign_in_ceremony_expires_at", "sign_in_ceremony", ["expires_at"])
    op.create_table(
        "account_identity", _text("issuer", primary_key=True), _text("subject", primary_key=True), _account()
    )
    op.create_table(
        "account_session",
        _text("id", primary_key=True),
        _text("token_hash"),
        _account(),
        _text("method"),
        _text("address"),
        _text("agent"),
        _time("created_at"),
        _time("used_at"),
        _time("expires_at"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_table(
        "api_key",
        _text("id", primary_key=True),
        _text("token_hash"),
        _account(),
        _text("name"),
        _text("hint"),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("per_minute", sa.Integer),
        _time("created_at"),
        _time("used_at", nullable=True),
        _time("expires_at", nullable=True),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_table(
        "invitation",
        _text("id", primary_key=True),
        _text("token_hash"),
        _account(),
        _text("role"),
        _time("created_at"),
        _time("expires_at"),
        sa.UniqueConstraint("token_hash"),
    )
    op.create_table(
        "passkey",
        _text("id", primary_key=True),
        _account(),
        _text("name"),
        _text("public_key"),
        sa.Column("sign_count", sa.BigInteger, nullable=False),
        _time("created_at"),
        _time("used_at", nullable=True),
    )
    for table in OWNED:
        op.create_index(f"ix_{table}_account_id", table, ["account_id"])


def _text(name: str, *, primary_key: bool = False, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, primary_key=primary_key, nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _account() -> sa.Column[str]:
    return sa.Column("account_id", sa.Text, sa.ForeignKey("account.id", ondelete="CASCADE"), nullable=False)


def downgrade() -> None:
    """Drop the tables."""
    for table in (*OWNED, "sign_in_ceremony", "account"):
        op.drop_table(table)
