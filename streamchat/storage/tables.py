"""Database schema.

Knows nothing of queries or writers. Rules:

* An answer is one ``message`` row from its start; its id is the run's id.
* Messages form a tree by ``parent_id``; ``conversation.leaf_id`` is the end of the active branch.
* ``position`` numbers a conversation's messages in the order of insertion.
* Ids cannot be guessed. Times are in UTC: ``heartbeat_at`` by the database's clock (``clock``), the others by the
  server's.
* ``epoch`` is the fencing token of an answer's owner, counted up whenever the owner changes. Every write names the
  epoch of its owner, and a row with another one is not changed.
* What belongs to a person names that person in a column ``owner`` or ``account_id``, or belongs to such a row by a
  foreign key that cascades: by these columns everything of one person is found (``personal``).
* A change here needs a migration; a test compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    UniqueConstraint,
    literal,
    text,
)
from sqlalchemy import Table as SQLTable
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import registry
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

from streamchat.chat.request import kind_of

OPEN = text("status IN ('streaming', 'waiting')")
"""The condition for answers in progress: literal, as SQLite uses a partial index only if the query repeats its text."""
SECRET = "secret"
"""Mark in the ``info`` of a column: an export of a person's data leaves it out."""


def new_id(like: str = "") -> str:
    """Return an unguessable id: 128 random bits, URL-safe.

    ``like``: an id of the same conversation; those of temporary ones have a prefix.
    """
    return kind_of(like) + token_urlsafe(16)


def now() -> datetime:
    """Return the server's time in UTC."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """Column type of aware datetimes in UTC on both databases; SQLite itself stores no time zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC."""
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware datetime in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class clock(GenericFunction[datetime]):
    """The database's time plus so many seconds: ``clock(-6)``."""

    type = UtcDateTime()
    inherit_cache = True

    def __init__(self, seconds: float = 0) -> None:
        super().__init__(literal(float(seconds)))


@compiles(clock, "sqlite")
def _sqlite_clock(element: clock, compiler: SQLCompiler, **options: Any) -> str:
    # Six digits after the point, as SQLAlchemy stores times: they are compared as texts.
    seconds = compiler.process(element.clauses, **options)
    return f"strftime('%Y-%m-%d %H:%M:%f000', 'now', {seconds} || ' seconds')"


@compiles(clock, "postgresql")
def _postgresql_clock(element: clock, compiler: SQLCompiler, **options: Any) -> str:
    return f"(clock_timestamp() + {compiler.process(element.clauses, **options)} * interval '1 second')"


class Table(SQLModel, registry=registry()):
    """Base class with its own metadata, which no other SQLModel table in the process can enter."""

    if TYPE_CHECKING:  # SQLModel sets it, and does not say so
        __table__: ClassVar[SQLTable]

    metadata: ClassVar[MetaData] = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def json_field(nullable: bool = True) -> Any:
    """Return a field for a JSON value."""
    return Field(default=None, sa_column=Column(JSON(none_as_null=True), nullable=nullable))


def time_field(nullable: bool = False) -> Any:
    """Return a field for a time in UTC."""
    return Field(default=None, sa_column=Column(UtcDateTime(), nullable=nullable))


def _flag() -> Any:
    return Field(default=False, sa_column=Column(Boolean, nullable=False, default=False))


class ConversationTable(Table, table=True):
    """Conversations. ``leaf_id`` is no foreign key, because the two tables would depend on each other in a cycle.

    ``tools``: tools that need no approval (``always``), and disabled tools and servers (``off``). ``model``, ``system``
    and ``options``: what its next answer is generated with. ``deleted_at``: in the trash since then.
    ``compared``: the ids of the answers that stand side by side until one is kept. It counts while the active branch
    ends in one of them. ``labels``: texts by name that clients of the Conversations API keep with it.
    """

    __tablename__ = "conversation"
    __table_args__ = (Index("ix_conversation_list", "owner", "archived", "pinned", "updated_at", "id"),)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    owner: str = Field(sa_column=Column(Text, nullable=False))
    title: str = Field(sa_column=Column(Text, nullable=False))
    leaf_id: str | None = Field(default=None, sa_column=Column(Text))
    created_at: datetime = time_field()
    updated_at: datetime = time_field()
    tools: Any = json_field()
    model: str | None = Field(default=None, sa_column=Column(Text))
    system: str | None = Field(default=None, sa_column=Column(Text))
    options: Any = json_field()
    pinned: bool = _flag()
    archived: bool = _flag()
    deleted_at: datetime | None = time_field(nullable=True)
    compared: Any = json_field()
    labels: Any = json_field()


class MessageTable(Table, table=True):
    """Messages. ``request_key``: owner and client message id of the request that began an answer.

    ``request``: the options of that request, for Retry and for resuming an answer. ``takeovers``: how often another
    process has continued it. ``upstream``: the response that its provider stores meanwhile. The content of an answer in
    progress is this row and its pieces (``PieceTable``).
    ``parent_id`` does not cascade: SQLite would recurse once per message and fail at a thousand.
    Long columns come last, so that SQLite reads the short ones without following a row's overflow pages.
    """

    __tablename__ = "message"
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
    heartbeat_at: datetime | None = time_field(nullable=True)
    created_at: datetime = time_field()
    updated_at: datetime = time_field()
    error: Any = json_field()
    usage: Any = json_field()
    opaque: Any = json_field()
    timing: Any = json_field()
    parts: Any = json_field(nullable=False)
    request: Any = json_field()
    epoch: int = Field(sa_column=Column(Integer, nullable=False, server_default="0"))
    takeovers: int = Field(sa_column=Column(Integer, nullable=False, server_default="0"))
    upstream: Any = json_field()


class PieceTable(Table, table=True):
    """What came since the message row was written as a whole, for answers in progress only.

    ``seq``: of the last entry of the piece. ``events``: the private wire form, to be folded in the order of ``seq``.
    """

    __tablename__ = "message_piece"

    message_id: str = Field(sa_column=Column(Text, ForeignKey("message.id", ondelete="CASCADE"), primary_key=True))
    seq: int = Field(sa_column=Column(Integer, primary_key=True, autoincrement=False))
    events: Any = json_field(nullable=False)


class DeletedMessageTable(Table, table=True):
    """Messages that are hidden from their branch. Those that were deleted together have the same time.

    A table of its own: a column of ``message`` would stand behind the long ones, and every read of a branch would have
    to read past them.
    """

    __tablename__ = "deleted_message"
    __table_args__ = (Index("ix_deleted_message_conversation_id", "conversation_id"),)

    message_id: str = Field(sa_column=Column(Text, ForeignKey("message.id", ondelete="CASCADE"), primary_key=True))
    conversation_id: str = Field(
        sa_column=Column(Text, ForeignKey("conversation.id", ondelete="CASCADE"), nullable=False)
    )
    deleted_at: datetime = time_field()


class FeedbackTable(Table, table=True):
    """What the owner thinks of an answer. ``rating``: ``up`` or ``down``. ``reason``: ``""`` without one."""

    __tablename__ = "feedback"
    __table_args__ = (Index("ix_feedback_conversation_id", "conversation_id"),)

    message_id: str = Field(sa_column=Column(Text, ForeignKey("message.id", ondelete="CASCADE"), primary_key=True))
    conversation_id: str = Field(
        sa_column=Column(Text, ForeignKey("conversation.id", ondelete="CASCADE"), nullable=False)
    )
    owner: str = Field(sa_column=Column(Text, nullable=False))
    rating: str = Field(sa_column=Column(Text, nullable=False))
    reason: str = Field(sa_column=Column(Text, nullable=False))
    updated_at: datetime = time_field()


class ShareTable(Table, table=True):
    """Links to read-only snapshots, one per conversation. ``leaf_id``: the end of the branch that is shown."""

    __tablename__ = "share"
    __table_args__ = (UniqueConstraint("conversation_id"),)

    id: str = Field(sa_column=Column(Text, primary_key=True))
    conversation_id: str = Field(
        sa_column=Column(Text, ForeignKey("conversation.id", ondelete="CASCADE"), nullable=False)
    )
    leaf_id: str | None = Field(default=None, sa_column=Column(Text))
    title: str = Field(sa_column=Column(Text, nullable=False))
    created_at: datetime = time_field()


class FileTable(Table, table=True):
    """Uploaded files without their content. Fields: ``chat.files.FileInfo``. ``text``: "" for a picture."""

    __tablename__ = "file"
    __table_args__ = (Index("ix_file_owner", "owner"), Index("ix_file_created_at", "created_at"))

    id: str = Field(sa_column=Column(Text, primary_key=True))
    owner: str = Field(sa_column=Column(Text, nullable=False))
    name: str = Field(sa_column=Column(Text, nullable=False))
    media_type: str = Field(sa_column=Column(Text, nullable=False))
    bytes: int = Field(sa_column=Column(BigInteger, nullable=False))
    width: int = Field(sa_column=Column(Integer, nullable=False))
    height: int = Field(sa_column=Column(Integer, nullable=False))
    pages: int = Field(sa_column=Column(Integer, nullable=False))
    tokens: int = Field(sa_column=Column(Integer, nullable=False))
    created_at: datetime = time_field()
    text: str = Field(sa_column=Column(Text, nullable=False))


class FileContentTable(Table, table=True):
    """The bytes of uploaded files. A table of its own: no query over files reads past them."""

    __tablename__ = "file_content"

    file_id: str = Field(sa_column=Column(Text, ForeignKey("file.id", ondelete="CASCADE"), primary_key=True))
    content: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class MessageFileTable(Table, table=True):
    """Which messages have which files. A file that no message has is deleted after a while."""

    __tablename__ = "message_file"
    __table_args__ = (Index("ix_message_file_file_id", "file_id"),)

    message_id: str = Field(sa_column=Column(Text, ForeignKey("message.id", ondelete="CASCADE"), primary_key=True))
    file_id: str = Field(sa_column=Column(Text, ForeignKey("file.id", ondelete="CASCADE"), primary_key=True))


class MessageWordsTable(Table, table=True):
    """The search index: the beginning of the ``text`` of each ended message, and its ``words``.

    SQLite searches an FTS5 table, which triggers maintain, PostgreSQL an index of ``words``; the migration creates
    both.
    """

    __tablename__ = "message_words"
    __table_args__ = (UniqueConstraint("message_id"),)

    id: int = Field(sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True))
    message_id: str = Field(sa_column=Column(Text, ForeignKey("message.id", ondelete="CASCADE"), nullable=False))
    text: str = Field(sa_column=Column(Text, nullable=False))
    words: str = Field(sa_column=Column(Text().with_variant(TSVECTOR(), "postgresql"), nullable=False))


def is_ours(name: str | None, kind: str, _parents: object) -> bool:
    """Return whether Alembic compares this object with the schema: all but each database's own search structures."""
    is_search_structure = (
        kind == "table" and name is not None and name.startswith("message_words_")
    ) or name == "ix_message_words_words"
    return not is_search_structure
