"""Everything of one person: read for an export, and deleted.

Knows no table by name but those of conversations. Rules:

* A table belongs to a person by its column ``owner`` or ``account_id``, so a new table is exported and deleted without
  a change here. What belongs to its rows goes by foreign keys.
* Columns that are marked as secret (hashes, ciphertexts) are never read.
* Conversations are read one by one and deleted in batches: neither holds up anybody's answer.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Connection, Table, delete, or_, select, text

from streamchat.chat.messages import Message
from streamchat.storage import account_tables, organizing, queries, tables
from streamchat.storage.engine import Database
from streamchat.storage.organizing import share
from streamchat.storage.queries import MESSAGE, conversation, deleted_message, message
from streamchat.storage.tables import SECRET

OWNERS = ("owner", "account_id")
"""The columns that name a person."""
BATCH = 20
# Of the search index, in one transaction.
_MERGED_PAGES = 500
_MERGE = text("INSERT INTO message_words_fts (message_words_fts, rank) VALUES ('merge', :pages)")
_CHANGES = text("SELECT total_changes()")
_account: Table = account_tables.AccountTable.__table__


@dataclass(frozen=True, slots=True)
class PersonalMessage:
    """One message of any branch. ``about``: its row's other columns. ``shown``: it is on the active branch."""

    message: Message
    about: Mapping[str, Any]
    shown: bool


@dataclass(frozen=True, slots=True)
class PersonalConversation:
    """A conversation, also one in the trash, with all its messages in the order of insertion.

    ``row``: its columns. ``share``: the columns of its link, ``None`` without one.
    """

    row: Mapping[str, Any]
    share: Mapping[str, Any] | None
    messages: tuple[PersonalMessage, ...]


class PersonalStore:
    """What one person has. ``databases``: all in which something is; ``main``: the one that an export reads."""

    def __init__(self, main: Database, databases: Callable[[], Sequence[Database]]) -> None:
        self._main = main
        self._databases = databases

    async def rows(self, owner: str) -> dict[str, list[dict[str, Any]]]:
        """Return what each table has of this person, by its name; conversations are read with ``conversations``."""

        def work(connection: Connection) -> dict[str, list[dict[str, Any]]]:
            result: dict[str, list[dict[str, Any]]] = {}
            for table in owned_tables():
                if table is conversation:
                    continue
                columns = [column for column in table.columns if SECRET not in column.info]
                rows = connection.execute(select(*columns).where(_of(table, owner)))
                result[table.name] = [dict(row._mapping) for row in rows]
            return result

        return await self._main.read(work)

    async def conversations(self, owner: str) -> AsyncIterator[PersonalConversation]:
        """Yield all conversations, the trash included, oldest first."""

        def ids(connection: Connection) -> list[str]:
            query = select(conversation.c.id).where(conversation.c.owner == owner)
            return list(connection.scalars(query.order_by(conversation.c.created_at, conversation.c.id)))

        for conversation_id in await self._main.read(ids):
            if (one := await self._conversation(owner, conversation_id)) is not None:
                yield one

    async def _conversation(self, owner: str, conversation_id: str) -> PersonalConversation | None:
        def work(connection: Connection) -> PersonalConversation | None:
            query = select(conversation).where(conversation.c.id == conversation_id, conversation.c.owner == owner)
            row = connection.execute(query).one_or_none()
            if row is None:  # deleted meanwhile
                return None
            link = connection.execute(select(share).where(share.c.conversation_id == row.id)).one_or_none()
            hidden_query = select(deleted_message.c.message_id).where(deleted_message.c.conversation_id == row.id)
            hidden = set(connection.scalars(hidden_query))
            about = (message.c.parent_id, message.c.created_at, message.c.updated_at)
            all_rows = select(*MESSAGE, *about).where(message.c.conversation_id == row.id)
            rows = connection.execute(all_rows.order_by(message.c.position)).all()
            path = queries.path_to(row.leaf_id or "")
            shown = set(connection.scalars(select(path.c.id))) - hidden
            messages = tuple(
                PersonalMessage(
                    one,
                    {"parent_id": r.parent_id, "created_at": r.created_at, "updated_at": r.updated_at}
                    | ({"deleted": True} if one.id in hidden else {}),
                    one.id in shown,
                )
                for r, one in zip(rows, queries.read(connection, rows), strict=True)
            )
            return PersonalConversation(dict(row._mapping), None if link is None else dict(link._mapping), messages)

        return await self._main.read(work)

    async def running(self, owner: str) -> list[str]:
        """Return the answers that are being written or await approval, those in the trash included."""

        def work(connection: Connection) -> list[str]:
            query = select(message.c.id).join(conversation, conversation.c.id == message.c.conversation_id)
            return list(connection.scalars(query.where(conversation.c.owner == owner, tables.OPEN)))

        return [run_id for database in self._databases() for run_id in await database.read(work)]

    async def delete_conversations(self, owner: str) -> list[str] | None:
        """Delete up to ``BATCH`` conversations. Returns the ids of their messages, ``None`` if there were none."""

        def work(connection: Connection) -> list[str] | None:
            ids = list(connection.scalars(select(conversation.c.id).where(conversation.c.owner == owner).limit(BATCH)))
            return delete_conversations(connection, ids) if ids else None

        for database in self._databases():
            if (messages := await database.write(work)) is not None:
                return messages
        return None

    async def delete_words(self) -> None:
        """Remove from the search index what was deleted: SQLite only marks it, and keeps the words until it merges."""
        # The first number is negative: begin to merge everything.
        more = await self._main.write(lambda connection: _merge_index(connection, -_MERGED_PAGES))
        while more:
            more = await self._main.write(lambda connection: _merge_index(connection, _MERGED_PAGES))

    async def delete_rows(self, owner: str) -> None:
        """Delete everything else, the account last."""

        def work(connection: Connection) -> None:
            for table in reversed(owned_tables()):
                if table is not conversation:
                    connection.execute(delete(table).where(_of(table, owner)))

        for database in reversed(self._databases()):  # the account is in the first one
            await database.write(work)


def delete_conversations(connection: Connection, ids: list[str]) -> list[str]:
    """Delete these conversations with all that belongs to them. Returns the ids of their messages."""
    messages = list(connection.scalars(select(message.c.id).where(message.c.conversation_id.in_(ids))))
    organizing.delete_conversations(connection, ids)
    return messages


def _merge_index(connection: Connection, pages: int) -> bool:
    """Do a part of the merge. Returns whether there may be more."""
    if connection.dialect.name != "sqlite":
        return False
    before = connection.scalar(_CHANGES)
    connection.execute(_MERGE, {"pages": pages})
    return (connection.scalar(_CHANGES)) - before >= 2  # as SQLite's documentation says


def owned_tables() -> list[Table]:
    """Return the tables with rows of a person, those that others refer to first."""
    every = tables.Table.metadata.sorted_tables
    return [table for table in every if table is _account or any(name in table.c for name in OWNERS)]


def _of(table: Table, owner: str) -> Any:
    names: list[Column[Any]] = [table.c[name] for name in OWNERS if name in table.c]
    if table is _account:
        names = [table.c.id]
    return or_(*(column == owner for column in names))
