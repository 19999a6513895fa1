"""Full-text search: the index of ended messages, and the query over it.

Knows nothing of transactions or database errors. Rules:

* A message is indexed once, in the transaction that stores it as a question or ends it as an answer.
* The search expression is a bound value that is built from letters and digits only: no user input is parsed as syntax.
* Hits are in the owner's own conversations only, newest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, select, text

from streamchat.chat.messages import Message
from streamchat.storage.cursor import older_than
from streamchat.storage.mapping import plain_text
from streamchat.storage.queries import VISIBLE, conversation, message
from streamchat.storage.records import Hit
from streamchat.storage.search_terms import MAX_INDEXED, Phrase, phrases_of, snippet, words_of
from streamchat.storage.tables import MessageWordsTable

message_words: Table = MessageWordsTable.__table__

_LAST_PAGE = 100
_MAX_POSITION = 16383  # the limit of PostgreSQL
_SEARCHED = ("user", "assistant")

_INSERT = "INSERT INTO message_words (message_id, text, words) VALUES (:message_id, :text, %s) ON CONFLICT DO NOTHING"
INSERT = {"sqlite": text(_INSERT % ":words"), "postgresql": text(_INSERT % "CAST(:words AS tsvector)")}
_MATCHES = {
    "sqlite": "message_words.id IN (SELECT rowid FROM message_words_fts WHERE message_words_fts MATCH :expression)",
    "postgresql": "message_words.words @@ CAST(:expression AS tsquery)",
}


def index(connection: Connection, ended: Message, words: Sequence[str] | None = None) -> None:
    """Add a message that has ended to the search index; ignore others. ``words``: see ``words_to_index``."""
    if words is None:
        words = words_to_index(ended)
    if words and ended.ended:
        dialect = connection.dialect.name
        connection.execute(INSERT[dialect], row_of(dialect, ended.id, ended.text, words))


def words_to_index(ended: Message) -> Sequence[str]:
    """Return the words under which a message is found; none if it is not searched."""
    return words_of(ended.text) if ended.role in _SEARCHED and ended.ended else ()


def row_of(dialect: str, message_id: str, content: str, words: Sequence[str]) -> dict[str, Any]:
    """Return the parameters of ``INSERT``."""
    content = plain_text(content[:MAX_INDEXED])
    if dialect == "postgresql":
        lexemes = (f"'{word}':{min(position, _MAX_POSITION)}" for position, word in enumerate(words, 1))
        return {"message_id": message_id, "text": content, "words": " ".join(lexemes)}
    return {"message_id": message_id, "text": content, "words": " ".join(words)}


def search(connection: Connection, owner: str, query: str, limit: int, before: str | None) -> list[Hit]:
    """Return a page of hits, newest first. Raises ``InvalidInput`` for an invalid cursor in ``before``."""
    phrases = phrases_of(query)
    if not phrases:
        return []
    dialect = connection.dialect.name
    expression = _fts5(phrases) if dialect == "sqlite" else _tsquery(phrases)
    columns = (
        message.c.conversation_id,
        conversation.c.title,
        message.c.id,
        message.c.role,
        message_words.c.text,
        message.c.created_at,
    )
    statement = (
        select(*columns)
        .join(message, message.c.id == message_words.c.message_id)
        .join(conversation, conversation.c.id == message.c.conversation_id)
        .where(conversation.c.owner == owner, conversation.c.deleted_at.is_(None), VISIBLE, text(_MATCHES[dialect]))
        .order_by(message.c.created_at.desc(), message.c.id.desc())
        .limit(max(1, min(limit, _LAST_PAGE)))
    )
    if before is not None:
        statement = statement.where(older_than(before, message.c.created_at, message.c.id, "hits"))
    rows = connection.execute(statement, {"expression": expression}).all()
    return _hits(rows, phrases)


def _hits(rows: Sequence[Any], phrases: Sequence[Phrase]) -> list[Hit]:
    return [Hit(row[0], row[1], row[2], row[3], snippet(row.text, phrases), row.created_at) for row in rows]


def _fts5(phrases: Sequence[Phrase]) -> str:
    return " AND ".join('"' + " ".join(phrase) + '"' for phrase in phrases) + " *"


def _tsquery(phrases: Sequence[Phrase]) -> str:
    return " & ".join("(" + " <-> ".join(f"'{word}'" for word in phrase) + ")" for phrase in phrases)[:-1] + ":*)"
