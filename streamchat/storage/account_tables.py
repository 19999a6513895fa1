"""Database schema of accounts: people, and all by which they are recognised.

Knows nothing of queries. Rules:

* Of a secret (session token, API key, invitation) only its SHA-256 is stored: it has 256 random bits, which nobody
  guesses. Of a password its argon2id hash is.
* What belongs to an account goes with it. Conversations do not: their ``owner`` is the account's id.
* A change here needs a migration; a test compares the two.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Text, UniqueConstraint
from sqlmodel import Field

from streamchat.storage.tables import SECRET, Table, time_field


def _text(nullable: bool = False) -> Any:
    return Field(default=None, sa_column=Column(Text, nullable=nullable))


def _secret(nullable: bool = False) -> Any:
    """A column that leaves the database for nobody, not even for the person whom it belongs to."""
    return Field(default=None, sa_column=Column(Text, nullable=nullable, info={SECRET: True}))


def _id() -> Any:
    return Field(sa_column=Column(Text, primary_key=True))


def _account() -> Any:
    return Field(sa_column=Column(Text, ForeignKey("account.id", ondelete="CASCADE"), nullable=False))


class AccountTable(Table, table=True):
    """People. ``name_key``: the name in the form in which two names are the same.

    ``password_hash`` is ``NULL`` for those who come in by other means only.
    """

    __tablename__ = "account"
    __table_args__ = (UniqueConstraint("name_key"),)

    id: str = _id()
    name: str = _text()
    name_key: str = _text()
    role: str = _text()
    password_hash: str | None = _secret(nullable=True)
    disabled_at: datetime | None = time_field(nullable=True)
    created_at: datetime = time_field()


class AccountIdentityTable(Table, table=True):
    """Who an account is elsewhere: ``subject`` at ``issuer``, a provider's address or ``"proxy"``."""

    __tablename__ = "account_identity"
    __table_args__ = (Index(None, "account_id"),)

    issuer: str = _id()
    subject: str = _id()
    account_id: str = _account()


class SessionTable(Table, table=True):
    """Sessions of browsers. ``method``: how the person signed in. ``agent``: what the browser says it is."""

    __tablename__ = "account_session"
    __table_args__ = (UniqueConstraint("token_hash"), Index(None, "account_id"))

    id: str = _id()
    token_hash: str = _secret()
    account_id: str = _account()
    method: str = _text()
    address: str = _text()
    agent: str = _text()
    created_at: datetime = time_field()
    used_at: datetime = time_field()
    expires_at: datetime = time_field()


class ApiKeyTable(Table, table=True):
    """API keys. ``hint``: the beginning of the key, to recognise it by. ``per_minute``: requests, or no limit."""

    __tablename__ = "api_key"
    __table_args__ = (UniqueConstraint("token_hash"), Index(None, "account_id"))

    id: str = _id()
    token_hash: str = _secret()
    account_id: str = _account()
    name: str = _text()
    hint: str = _text()
    scopes: Any = Field(default=None, sa_column=Column(JSON, nullable=False))
    per_minute: int | None = Field(default=None)
    created_at: datetime = time_field()
    used_at: datetime | None = time_field(nullable=True)
    expires_at: datetime | None = time_field(nullable=True)


class InvitationTable(Table, table=True):
    """Invitations, each for one account. ``account_id``: who invited."""

    __tablename__ = "invitation"
    __table_args__ = (UniqueConstraint("token_hash"), Index(None, "account_id"))

    id: str = _id()
    token_hash: str = _secret()
    account_id: str = _account()
    role: str = _text()
    created_at: datetime = time_field()
    expires_at: datetime = time_field()


class PasskeyTable(Table, table=True):
    """Passkeys; ``id`` is the credential's, in base64url, ``public_key`` likewise."""

    __tablename__ = "passkey"
    __table_args__ = (Index(None, "account_id"),)

    id: str = _id()
    account_id: str = _account()
    name: str = _text()
    public_key: str = _text()
    sign_count: int = Field(sa_column=Column(BigInteger, nullable=False))
    created_at: datetime = time_field()
    used_at: datetime | None = time_field(nullable=True)


class CeremonyTable(Table, table=True):
    """Sign-ins that take two steps (a passkey's challenge, a provider's redirect): what the second one is checked by.

    A row is taken once. ``id`` is the hash of a token that only the browser has.
    """

    __tablename__ = "sign_in_ceremony"
    __table_args__ = (Index(None, "expires_at"),)

    id: str = _id()
    data: Any = Field(default=None, sa_column=Column(JSON, nullable=False))
    expires_at: datetime = time_field()
