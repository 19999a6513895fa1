"""The tables.

Knows nothing of queries or of who writes. Rules:

* An answer is one ``message`` row from its first moment; its id is the run's id.
* Messages are a tree by ``parent_id``; ``conversation.leaf_id`` says which branch is the active one.
* ``position`` numbers a conversation's messages in the order in which this server took them.
* Ids cannot be guessed. Times are the server's, in UTC.
* A change here needs a migration; a test compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime
from secrets import token_urlsafe
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import registry
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

OPEN = text("status IN ('streaming', 'waiting')")
"""Literal, because SQLite uses a partial index only where the query repeats its words."""


def new_id() -> str:
    """An id that nobody can guess: 128 random bits."""
    return token_urlsafe(16)


def now() -> datetime:
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes in UTC on both databases; SQLite itself keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Table(SQLModel, registry=registry()):
    """Base with its own metadata, so that no other SQLModel table in the process is taken for ours."""

    metadata: ClassVar[MetaData] = MetaData(  # pyright: ignore[reportIncompatibleVariableOverride] as SQLAlchemy asks
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def _json(nullable: bool = True) -> Any:
    return Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=nullable))


def _time(nullable: bool = False) -> Any:
    return Field(default=None, sa_column=Column(UtcDateTime(), nullable=nullable))


class ConversationTable(Table, table=True):
    """``leaf_id`` is no foreign key: the two tables would depend on each other in a circle.

    ``tools``: which ones never ask here (``always``), and which are switched off (``off``).
    """

    __tablename__: ClassVar[str] = "conversation"  # pyright: ignore[reportIncompatibleVariableOverride] as SQLAlchemy asks
    __table_args__ = (Index(None, "owner", "updated_at", "id"),)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    owner: str = Field(sa_column=Column(Text, nullable=False))
    title: str = Field(sa_column=Column(Text, nullable=False))
    leaf_id: str | None = Field(default=None, sa_column=Column(Text))
    created_at: datetime = _time()
    updated_at: datetime = _time()
    tools: Any = _json()


class MessageTable(Table, table=True):
    """``request_key``: owner and client message id of the request that an answer belongs to; ``request``: what it
    asked for besides the message, where that matters once more (an answer that waits for an approval, Retry).

    ``parent_id`` does not cascade: SQLite would recurse once per message and give up at a thousand.
    Long columns come last, so that SQLite reads the short ones without following a row's overflow pages.
    """

    __tablename__: ClassVar[str] = "message"  # pyright: ignore[reportIncompatibleVariableOverride] as SQLAlchemy asks
    __table_args__ = (
        UniqueConstraint("request_key"),
        UniqueConstraint("conversation_id", "position"),
        Index(None, "parent_id"),
        Index("ix_message_open", "conversation_id", sqlite_where=OPEN, postgresql_where=OPEN),
    )

    id: str = Field(sa_column=Column(Text, primary_key=True))
    conversation_id: str = Field(
        sa_column=Column(Text, ForeignKey("conversation.id", ondelete="CASCADE"), nullable=False)
    )
    parent_id: str | None = Field(default=None, sa_column=Column(Text, ForeignKey("message.id")))
    position: int = Field(nullable=False)
    role: str = Field(sa_column=Column(Text, nullable=False))
    status: str = Field(sa_column=Column(Text, nullable=False))
    model: str = Field(sa_column=Column(Text, nullable=False))
    stop_reason: str | None = Field(default=None, sa_column=Column(Text))
    seq: int = Field(nullable=False)
    request_key: str | None = Field(default=None, sa_column=Column(Text))
    worker: str | None = Field(default=None, sa_column=Column(Text))
    heartbeat_at: datetime | None = _time(nullable=True)
    created_at: datetime = _time()
    updated_at: datetime = _time()
    error: Any = _json()
    usage: Any = _json()
    opaque: Any = _json()
    parts: Any = _json(nullable=False)
    request: Any = _json()


class MessageWordsTable(Table, table=True):
    """What the search looks at: the ``text`` of a message that has ended (its beginning), and its ``words``.

    SQLite looks into an FTS5 table beside it, which triggers keep, PostgreSQL into an index of ``words``; both are made
    by the migration.
    """

    __tablename__: ClassVar[str] = "message_words"  # pyright: ignore[reportIncompatibleVariableOverride] as SQLAlchemy asks
    __table_args__ = (UniqueConstraint("message_id"),)

    id: int = Field(sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True))
    message_id: str = Field(sa_column=Column(Text, ForeignKey("message.id", ondelete="CASCADE"), nullable=False))
    text: str = Field(sa_column=Column(Text, nullable=False))
    words: str = Field(sa_column=Column(Text().with_variant(TSVECTOR(), "postgresql"), nullable=False))


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """What Alembic compares with the tables here: all but what each database has of its own for the search."""
    own = (
        kind == "table" and name is not None and name.startswith("message_words_")
    ) or name == "ix_message_words_words"
    return not own
