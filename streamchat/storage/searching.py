"""Full-text search: the words of each message that has ended, and the query over them.

Knows nothing of transactions or of errors of the database. Rules:

* A message's words are written in the transaction that ends it, or stores it where it is a question, and never change.
* What is asked for is bound as a value, made of letters and digits only: neither database reads syntax from it.
* Found is what the person's own conversations have, newest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from streamchat.chat.messages import Message
from streamchat.storage.codec import plain_text
from streamchat.storage.cursor import older_than
from streamchat.storage.reading import conversation, message
from streamchat.storage.tables import MessageWordsTable
from streamchat.storage.views import Hit
from streamchat.storage.words import MAX_INDEXED, Phrase, phrases_of, snippet, words_of

found: Table = MessageWordsTable.__table__  # pyright: ignore[reportAttributeAccessIssue] set by SQLModel

_LAST_PAGE = 100
_MAX_POSITION = 16383  # of PostgreSQL
_SEARCHED = ("user", "assistant")

_KEEP = "INSERT INTO message_words (message_id, text, words) VALUES (:message_id, :text, %s) ON CONFLICT DO NOTHING"
KEEP = {"sqlite": text(_KEEP % ":words"), "postgresql": text(_KEEP % "CAST(:words AS tsvector)")}
_MATCHES = {
    "sqlite": "message_words.id IN (SELECT rowid FROM message_words_fts WHERE message_words_fts MATCH :asked)",
    "postgresql": "message_words.words @@ CAST(:asked AS tsquery)",
}


async def index(connection: AsyncConnection, ended: Message) -> None:
    """Keep the words of a message that will not change any more, so that it is found."""
    said = ended.text if ended.role in _SEARCHED and ended.ended else ""
    if words := words_of(said):
        dialect = connection.dialect.name
        await connection.execute(KEEP[dialect], row_of(dialect, ended.id, said, words))


def row_of(dialect: str, message_id: str, said: str, words: Sequence[str]) -> dict[str, Any]:
    """The values of ``KEEP``."""
    said = plain_text(said[:MAX_INDEXED])
    if dialect == "postgresql":
        placed = (f"'{word}':{min(place, _MAX_POSITION)}" for place, word in enumerate(words, 1))
        return {"message_id": message_id, "text": said, "words": " ".join(placed)}
    return {"message_id": message_id, "text": said, "words": " ".join(words)}


async def search(connection: AsyncConnection, owner: str, query: str, limit: int, before: str | None) -> list[Hit]:
    phrases = phrases_of(query)
    if not phrases:
        return []
    dialect = connection.dialect.name
    asked = _fts5(phrases) if dialect == "sqlite" else _tsquery(phrases)
    columns = (
        message.c.conversation_id,
        conversation.c.title,
        message.c.id,
        message.c.role,
        found.c.text,
        message.c.created_at,
    )
    wanted = (
        select(*columns)
        .join(message, message.c.id == found.c.message_id)
        .join(conversation, conversation.c.id == message.c.conversation_id)
        .where(conversation.c.owner == owner, text(_MATCHES[dialect]))
        .order_by(message.c.created_at.desc(), message.c.id.desc())
        .limit(max(1, min(limit, _LAST_PAGE)))
    )
    if before is not None:
        wanted = wanted.where(older_than(before, message.c.created_at, message.c.id, "hits"))
    rows = (await connection.execute(wanted, {"asked": asked})).all()
    return [Hit(*row[:4], snippet(row.text, phrases), row.created_at) for row in rows]


def _fts5(phrases: Sequence[Phrase]) -> str:
    return " AND ".join('"' + " ".join(phrase) + '"' for phrase in phrases) + " *"


def _tsquery(phrases: Sequence[Phrase]) -> str:
    return " & ".join("(" + " <-> ".join(f"'{word}'" for word in phrase) + ")" for phrase in phrases)[:-1] + ":*)"
