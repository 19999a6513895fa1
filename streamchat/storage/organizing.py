"""Changes of conversations as a whole: settings, pins, the archive, the trash, and links to snapshots.

Knows nothing of transactions or database errors. Rules:

* Nothing here changes a conversation's place in the list: only a new message does.
* A deleted conversation stays in the trash until it is purged. Its link works no more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, exists, insert, select, update

from streamchat.chat.files import FileInfo
from streamchat.chat.messages import Message
from streamchat.errors import NotFound
from streamchat.storage import files, queries
from streamchat.storage.branches import part_up_to
from streamchat.storage.mapping import message_to_columns, plain_text
from streamchat.storage.queries import conversation, deleted_message, message
from streamchat.storage.records import BranchPage, StoredRun
from streamchat.storage.search import index, message_words
from streamchat.storage.tables import ShareTable, new_id, now

share: Table = ShareTable.__table__


def change(connection: Connection, owner: str, conversation_id: str, columns: Mapping[str, Any]) -> None:
    """Set these columns of a conversation. Raises ``NotFound``."""
    row = queries.owned(connection, owner, conversation_id, lock=True)
    if columns:
        connection.execute(update(conversation).where(conversation.c.id == row.id), dict(columns))


def discard(connection: Connection, owner: str, conversation_id: str) -> None:
    """Move a conversation to the trash. No effect on one that is there. Raises ``NotFound``."""
    row = _any(connection, owner, conversation_id)
    if row.deleted_at is None:
        connection.execute(delete(share).where(share.c.conversation_id == row.id))
        connection.execute(update(conversation).where(conversation.c.id == row.id), {"deleted_at": now()})


def restore(connection: Connection, owner: str, conversation_id: str) -> None:
    """Bring a conversation back from the trash. No effect on one that is not there. Raises ``NotFound``."""
    row = _any(connection, owner, conversation_id)
    connection.execute(update(conversation).where(conversation.c.id == row.id), {"deleted_at": None})


def purge(connection: Connection, before: datetime) -> int:
    """Delete what has been in the trash since then, of every owner. Returns how many conversations that were.

    Of a message that others follow its place stays, without content.
    """
    hidden = select(deleted_message.c.message_id).where(deleted_message.c.deleted_at < before)
    connection.execute(delete(message_words).where(message_words.c.message_id.in_(hidden)))
    empty = {"parts": [], "opaque": None, "request": None}
    connection.execute(update(message).where(message.c.id.in_(hidden)), empty)
    files.unlink(connection, message.c.id.in_(hidden))
    old = conversation.c.deleted_at < before
    ids = list(connection.scalars(select(conversation.c.id).where(old)))
    delete_conversations(connection, ids)
    return len(ids)


def delete_conversations(connection: Connection, ids: Sequence[str]) -> None:
    """Delete conversations with their messages, and the files that only these have."""
    if ids:
        files.unlink(connection, message.c.conversation_id.in_(ids))
        connection.execute(delete(message).where(message.c.conversation_id.in_(ids)))
        connection.execute(delete(conversation).where(conversation.c.id.in_(ids)))


def drop_idle(connection: Connection, before: datetime, limit: int | None = None) -> list[tuple[str, str]]:
    """Delete the conversations without a change since then, unless an answer is being written there.

    ``limit``: the oldest of them at most. Returns owner and id of each.
    """
    busy = exists().where(message.c.conversation_id == conversation.c.id, message.c.status == "streaming")
    old = select(conversation.c.owner, conversation.c.id).where(conversation.c.updated_at < before, ~busy)
    old = old.order_by(conversation.c.updated_at).limit(limit)
    rows = [(owner, conversation_id) for owner, conversation_id in connection.execute(old)]
    delete_conversations(connection, [conversation_id for _, conversation_id in rows])
    return rows


def _any(connection: Connection, owner: str, conversation_id: str) -> Row:
    """Return the row of a conversation, also if it is deleted. Raises ``NotFound``."""
    query = select(conversation).where(
        conversation.c.id == queries.known_id(conversation_id, "conversation"), conversation.c.owner == owner
    )
    row = connection.execute(query.with_for_update()).one_or_none()
    if row is None:
        raise NotFound("This conversation does not exist.")
    return row


def share_branch(connection: Connection, owner: str, conversation_id: str) -> str:
    """Return the id of a link that shows the active branch as it is now. An earlier link shows it too."""
    row = queries.owned(connection, owner, conversation_id, lock=True)
    values = {"leaf_id": row.leaf_id, "title": row.title, "created_at": now()}
    share_id = connection.scalar(select(share.c.id).where(share.c.conversation_id == row.id))
    if share_id is None:
        share_id = new_id()
        connection.execute(insert(share), {"id": share_id, "conversation_id": row.id, **values})
    else:
        connection.execute(update(share).where(share.c.id == share_id), values)
    return share_id


def unshare(connection: Connection, owner: str, conversation_id: str) -> None:
    """Take the link of a conversation back. Raises ``NotFound``."""
    row = queries.owned(connection, owner, conversation_id, lock=True)
    connection.execute(delete(share).where(share.c.conversation_id == row.id))


def shared_with(connection: Connection, owner: str, conversation_id: str) -> str | None:
    """Return the id of the link of a conversation, or ``None``. Raises ``NotFound``."""
    row = queries.owned(connection, owner, conversation_id)
    return connection.scalar(select(share.c.id).where(share.c.conversation_id == row.id))


def shared(connection: Connection, share_id: str, limit: int, before: str | None) -> BranchPage:
    """Return a part of the snapshot behind a link, for whoever has it. Raises ``NotFound``."""
    row = _shared(connection, share_id)
    page = part_up_to(connection, row, row.shared_leaf, limit, before)
    ended = tuple(one for one in page.messages if one.ended)
    return BranchPage(share_id, row.shared_title, page.settings, page.ids, ended, {}, page.earlier)


def shared_run(connection: Connection, share_id: str, run_id: str) -> StoredRun:
    """Return an answer of the snapshot behind a link, for whoever has it. Raises ``NotFound``."""
    row = _shared(connection, share_id)
    path = queries.path_to(row.shared_leaf or "")
    found = connection.scalar(select(path.c.id).where(path.c.id == queries.known_id(run_id, "answer")))
    if found is None or not queries.visible(connection, [run_id]):
        raise NotFound("This answer does not exist.")
    stored = queries.stored(connection, row.owner, run_id)
    if not stored.message.ended:
        raise NotFound("This answer does not exist.")
    return stored


def shared_file(connection: Connection, share_id: str, file_id: str) -> FileInfo:
    """Return a file of the snapshot behind a link, for whoever has it. Raises ``NotFound``."""
    row = _shared(connection, share_id)
    return files.shared_info(connection, row.shared_leaf, file_id)


def _shared(connection: Connection, share_id: str) -> Row:
    """Return the conversation behind a link, with the leaf and the title of the snapshot. Raises ``NotFound``."""
    query = (
        select(conversation, share.c.leaf_id.label("shared_leaf"), share.c.title.label("shared_title"))
        .join(conversation, conversation.c.id == share.c.conversation_id)
        .where(share.c.id == queries.known_id(share_id, "link"), conversation.c.deleted_at.is_(None))
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("This link does not exist, or it was taken back.")
    return row


def fork(connection: Connection, owner: str, message_id: str, last: Message | None = None) -> str:
    """Copy the branch up to a message into a new conversation with the same settings. Returns its id.

    ``last``: stands in the copy for that message. An answer in progress is left out. Raises ``NotFound``.
    """
    row = queries.owned(connection, owner, queries.conversation_of(connection, owner, message_id))
    branch = queries.branch(connection, message_id)
    messages = [one for one in (*branch[:-1], last or branch[-1]) if one.ended]
    kept = {name: getattr(row, name) for name in ("model", "system", "options", "tools")}
    return insert_conversation(connection, owner, row.title, messages, kept, like=row.id)


def insert_conversation(
    connection: Connection,
    owner: str,
    title: str,
    messages: Sequence[Message],
    settings: Mapping[str, Any] | None = None,
    like: str = "",
) -> str:
    """Insert a conversation whose messages have all ended. Returns its id.

    ``settings``: columns of it. ``like``: the id of a conversation of the same kind, temporary or not.
    """
    time, conversation_id = now(), new_id(like)
    row = {"id": conversation_id, "owner": owner, "title": title, "created_at": time, "updated_at": time}
    row |= settings or {}
    connection.execute(insert(conversation), row)
    leaf = insert_messages(connection, conversation_id, messages)
    connection.execute(update(conversation).where(conversation.c.id == conversation_id), {"leaf_id": leaf})
    return conversation_id


def insert_messages(
    connection: Connection,
    conversation_id: str,
    messages: Sequence[Message],
    parent: str | None = None,
    first: int = 1,
    ids: Sequence[str] = (),
) -> str | None:
    """Insert messages after ``parent``, from the position ``first`` on. Returns the id of the last one."""
    time, rows = now(), []
    names = ids or [new_id(conversation_id) for _ in messages]
    for position, (message_id, one) in enumerate(zip(names, messages, strict=True), first):
        place = {"id": message_id, "conversation_id": conversation_id, "parent_id": parent, "position": position}
        times = {"created_at": time, "updated_at": time}
        columns = {**message_to_columns(one), "role": one.role, "model": plain_text(one.model), "seq": 0}
        rows.append(place | times | columns)
        parent = message_id
    if rows:
        connection.execute(insert(message), rows)
        files.link(connection, [(row["id"], one.parts) for one, row in zip(messages, rows, strict=True)])
    for one, row in zip(messages, rows, strict=True):
        index(connection, replace(one, id=row["id"]))
    return parent
