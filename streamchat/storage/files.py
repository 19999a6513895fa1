"""Uploaded files. Each function takes a connection and runs in its caller's transaction.

Knows nothing of transactions or database errors. Rules:

* A file belongs to its owner, and to the messages that name it. With the last of them it is deleted, and also if no
  message has named it for a while.
* The bytes of all files of an owner have a quota.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Table,
    delete,
    exists,
    func,
    insert,
    literal,
    select,
    text,
    update,
)

from streamchat.chat.files import CheckedFile, FileInfo, file_ids
from streamchat.chat.messages import Part
from streamchat.errors import NotFound
from streamchat.storage import queries
from streamchat.storage.mapping import plain_text
from streamchat.storage.queries import conversation, message
from streamchat.storage.tables import FileContentTable, FileTable, MessageFileTable, new_id, now

file: Table = FileTable.__table__
file_content: Table = FileContentTable.__table__
message_file: Table = MessageFileTable.__table__
_INFO = tuple(file.c[name] for name in ("id", "name", "media_type", "bytes", "width", "height", "pages", "tokens"))
_USED = exists().where(message_file.c.file_id == file.c.id).correlate(file)
GONE = "This file does not exist."


def add(connection: Connection, owner: str, new: CheckedFile, quota: int, like: str = "") -> FileInfo | None:
    """Insert a file. Returns ``None`` if the files of its owner would have more than ``quota`` bytes.

    ``like``: the id of a conversation of the same kind, temporary or not.
    """
    if connection.dialect.name == "postgresql":  # two uploads at once count each other
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:owner, 7))"), {"owner": owner})
    if used(connection, owner) + len(new.content) > quota:
        return None
    numbers = {"width": new.width, "height": new.height, "pages": new.pages, "tokens": new.tokens}
    info = FileInfo(new_id(like), plain_text(new.name), new.media_type, len(new.content), **numbers)
    values = {column.name: getattr(info, column.name) for column in _INFO}
    rest = {"owner": owner, "created_at": now(), "text": plain_text(new.text)}
    connection.execute(insert(file), values | rest)
    connection.execute(insert(file_content), {"file_id": info.id, "content": new.content})
    return info


def same(connection: Connection, owner: str, new: CheckedFile) -> FileInfo | None:
    """Return the owner's file of this content and name, ``None`` if there is none. It counts as uploaded now."""
    query = select(*_INFO).join(file_content, file_content.c.file_id == file.c.id)
    query = query.where(file.c.owner == owner, file.c.bytes == len(new.content), file.c.name == plain_text(new.name))
    row = connection.execute(query.where(file_content.c.content == new.content).limit(1)).one_or_none()
    if row is None:
        return None
    connection.execute(update(file).where(file.c.id == row.id).values(created_at=now()))
    return _info(row)


def used(connection: Connection, owner: str) -> int:
    """Return the bytes of all files of an owner."""
    return int(connection.scalar(select(func.sum(file.c.bytes)).where(file.c.owner == owner)) or 0)


def infos(connection: Connection, owner: str, ids: Collection[str]) -> dict[str, FileInfo]:
    """Return those of these files that exist."""
    known = [one for one in ids if queries.is_id(one)]
    rows = connection.execute(select(*_INFO).where(file.c.id.in_(known), file.c.owner == owner))
    return {row.id: _info(row) for row in rows}


def info_of(connection: Connection, owner: str, file_id: object) -> FileInfo:
    """Return a file without its content. Raises ``NotFound``."""
    query = select(*_INFO).where(file.c.id == queries.known_id(file_id, "file"), file.c.owner == owner)
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(GONE)
    return _info(row)


def shared_info(connection: Connection, leaf_id: str | None, file_id: object) -> FileInfo:
    """Return a file of the branch that a link shows. Raises ``NotFound``."""
    path = queries.path_to(leaf_id or "")
    query = (
        select(*_INFO)
        .join(message_file, message_file.c.file_id == file.c.id)
        .join(path, path.c.id == message_file.c.message_id)
        .join(message, message.c.id == path.c.id)
        .where(file.c.id == queries.known_id(file_id, "file"), queries.VISIBLE)
        .limit(1)
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound(GONE)
    return _info(row)


def content_of(connection: Connection, file_id: str) -> bytes:
    """Return the bytes of a file. Raises ``NotFound``."""
    content = connection.scalar(select(file_content.c.content).where(file_content.c.file_id == file_id))
    if content is None:
        raise NotFound(GONE)
    return bytes(content)


def contents(connection: Connection, owner: str, ids: Collection[str]) -> dict[str, bytes]:
    """Return the bytes of those of these files that exist."""
    query = select(file.c.id, file_content.c.content).join(file_content, file_content.c.file_id == file.c.id)
    rows = connection.execute(query.where(file.c.id.in_(list(ids)), file.c.owner == owner))
    return {row.id: bytes(row.content) for row in rows}


def texts(connection: Connection, owner: str, ids: Collection[str]) -> dict[str, str]:
    """Return the text of those of these files that exist."""
    query = select(file.c.id, file.c.text).where(file.c.id.in_(list(ids)), file.c.owner == owner)
    return {row.id: row.text for row in connection.execute(query)}


def remove(connection: Connection, owner: str, file_id: object) -> None:
    """Delete a file, also from the messages that have it. Raises ``NotFound``."""
    info = info_of(connection, owner, file_id)
    connection.execute(delete(file).where(file.c.id == info.id))


def link(connection: Connection, messages: Iterable[tuple[str, Sequence[Part]]]) -> None:
    """Note that these messages (id and parts) have the files that they name, if these exist and are their owner's."""
    for message_id, parts in messages:
        if ids := file_ids(parts):
            owner = (
                select(conversation.c.owner)
                .join(message, message.c.conversation_id == conversation.c.id)
                .where(message.c.id == message_id)
                .scalar_subquery()
            )
            known = exists().where(message_file.c.message_id == message_id, message_file.c.file_id == file.c.id)
            rows = select(literal(message_id), file.c.id).where(file.c.id.in_(ids), file.c.owner == owner, ~known)
            connection.execute(insert(message_file).from_select(["message_id", "file_id"], rows))


def unlink(connection: Connection, messages: ColumnElement[bool]) -> None:
    """Take the files from the messages with this condition, and delete those that no other message has."""
    of_them = message_file.c.message_id.in_(select(message.c.id).where(messages))
    ids = list(connection.scalars(select(message_file.c.file_id).where(of_them).distinct()))
    if ids:
        connection.execute(delete(message_file).where(of_them))
        connection.execute(delete(file).where(file.c.id.in_(ids), ~_USED))


def sweep(connection: Connection, before: datetime) -> int:
    """Delete the files that were uploaded before, and that no message has. Returns their number."""
    orphans = list(connection.scalars(select(file.c.id).where(file.c.created_at < before, ~_USED).limit(1000)))
    if orphans:
        connection.execute(delete(file).where(file.c.id.in_(orphans), ~_USED))
    return len(orphans)


def _info(row: Row) -> FileInfo:
    return FileInfo(*(getattr(row, column.name) for column in _INFO))
