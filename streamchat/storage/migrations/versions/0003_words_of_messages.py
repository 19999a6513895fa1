"""Add the search index, and index the existing messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from streamchat.storage.mapping import plain_text
from streamchat.storage.search_terms import MAX_INDEXED, words_of

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ADDED = """
CREATE TRIGGER message_words_added AFTER INSERT ON message_words BEGIN
    INSERT INTO message_words_fts (rowid, words) VALUES (new.id, new.words);
END
"""
REMOVED = """
CREATE TRIGGER message_words_removed AFTER DELETE ON message_words BEGIN
    INSERT INTO message_words_fts (message_words_fts, rowid, words) VALUES ('delete', old.id, old.words);
END
"""
# Words are stored in lower case and separated by spaces: the tokenizer needs neither to split nor to fold.
WORDS = """
CREATE VIRTUAL TABLE message_words_fts
USING fts5(words, content='message_words', content_rowid='id', tokenize='ascii')
"""
MESSAGES = sa.table("message", sa.column("id"), sa.column("role"), sa.column("status"), sa.column("parts", sa.JSON))
INSERT = "INSERT INTO message_words (message_id, text, words) VALUES (:id, :text, %s)"
MAX_POSITION = 16383
BATCH = 200


def upgrade() -> None:
    """Create the index and fill it."""
    sqlite = op.get_bind().dialect.name == "sqlite"
    op.create_table(
        "message_words",
        sa.Column("id", sa.Integer if sqlite else sa.BigInteger, primary_key=True, autoincrement=True),
        sa.Column("message_id", sa.Text, sa.ForeignKey("message.id", ondelete="CASCADE"), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("words", sa.Text if sqlite else TSVECTOR, nullable=False),
        sa.UniqueConstraint("message_id"),
    )
    if sqlite:
        for statement in (WORDS, ADDED, REMOVED):
            op.execute(statement)
    else:
        op.create_index("ix_message_words_words", "message_words", ["words"], postgresql_using="gin")
    _index_messages()


def _index_messages() -> None:
    connection, last = op.get_bind(), ""
    words_as = ":words" if connection.dialect.name == "sqlite" else "CAST(:words AS tsvector)"
    columns = MESSAGES.c
    query = sa.select(MESSAGES).where(
        columns.role.in_(("user", "assistant")), columns.status.not_in(("streaming", "waiting"))
    )
    while rows := connection.execute(query.where(columns.id > last).order_by(columns.id).limit(BATCH)).all():
        last = rows[-1].id
        for row in rows:
            content = _text(row.parts)
            if words := words_of(content):
                values = {"id": row.id, "text": plain_text(content[:MAX_INDEXED]), "words": _encode(words)}
                connection.execute(sa.text(INSERT % words_as), values)


def _encode(words: list[str]) -> str:
    """Return the words as the program stores them: a string, or a ``tsvector`` with positions."""
    if op.get_bind().dialect.name == "sqlite":
        return " ".join(words)
    return " ".join(f"'{word}':{min(position, MAX_POSITION)}" for position, word in enumerate(words, 1))


def _text(parts: object) -> str:
    """Return the same text as ``Message.text``; a damaged row has none."""
    dicts = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return "".join(str(part.get("text", "")) for part in dicts if part.get("type") == "text")


def downgrade() -> None:
    """Drop the index."""
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE message_words_fts")
    op.drop_table("message_words")
