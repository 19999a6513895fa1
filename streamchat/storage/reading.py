"""The queries. Each takes a connection and belongs to its caller's transaction.

Knows nothing of transactions or of errors of the database. Rules:

* Whatever is read for a person is read through ``owner``: a foreign id and an unknown one are the same ``NotFound``.
* A branch is one recursive query from its leaf upwards, whatever its length.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Table, and_, exists, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from streamchat.chat.messages import Message
from streamchat.errors import NotFound
from streamchat.storage.codec import message_from_columns
from streamchat.storage.cursor import ID, older_than
from streamchat.storage.tables import OPEN, ConversationTable, MessageTable
from streamchat.storage.views import Begun, Conversation, ConversationRow, RunRow, StoredRun

conversation: Table = ConversationTable.__table__  # pyright: ignore[reportAttributeAccessIssue] set by SQLModel
message: Table = MessageTable.__table__  # pyright: ignore[reportAttributeAccessIssue] set by SQLModel

_MESSAGE = tuple(
    message.c[name]
    for name in ("id", "role", "status", "model", "stop_reason", "error", "usage", "opaque", "parts", "seq")
)
_LAST_PAGE = 500


def known_id(value: object, what: str) -> str:
    """The id if it has the form of one; anything else is simply not found."""
    if isinstance(value, str) and ID.fullmatch(value):
        return value
    raise NotFound(f"This {what} does not exist.")


async def owned(connection: AsyncConnection, owner: str, conversation_id: object, *, lock: bool = False) -> Row[Any]:
    """The conversation's row; ``lock`` keeps other writers of the same conversation waiting."""
    query = select(conversation).where(
        conversation.c.id == known_id(conversation_id, "conversation"), conversation.c.owner == owner
    )
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise NotFound("This conversation does not exist.")
    return row


async def branch(connection: AsyncConnection, leaf_id: str | None) -> tuple[Message, ...]:
    """The messages from the root down to ``leaf_id``."""
    if leaf_id is None:
        return ()
    path = (
        select(message.c.id, message.c.parent_id, literal(0).label("height"))
        .where(message.c.id == leaf_id)
        .cte("path", recursive=True)
    )
    above = message.alias("above")
    path = path.union_all(
        select(above.c.id, above.c.parent_id, path.c.height + 1).join(path, above.c.id == path.c.parent_id)
    )
    query = select(*_MESSAGE).join(path, message.c.id == path.c.id).order_by(path.c.height.desc())
    return tuple(message_from_columns(row._asdict()) for row in await connection.execute(query))


async def whole(connection: AsyncConnection, owner: str, conversation_id: str) -> Conversation:
    row = await owned(connection, owner, conversation_id)
    messages = await branch(connection, row.leaf_id)
    tree = select(message.c.id, message.c.parent_id).where(message.c.conversation_id == row.id)
    versions: dict[str | None, list[str]] = {}
    parents: dict[str, str | None] = {}
    for item in await connection.execute(tree.order_by(message.c.position)):
        versions.setdefault(item.parent_id, []).append(item.id)
        parents[item.id] = item.parent_id
    siblings = {m.id: tuple(versions[parents[m.id]]) for m in messages if len(versions[parents[m.id]]) > 1}
    return Conversation(row.id, row.title, messages, siblings)


async def page(connection: AsyncConnection, owner: str, limit: int, before: str | None) -> list[ConversationRow]:
    answering = exists().where(message.c.conversation_id == conversation.c.id, OPEN).correlate(conversation)
    query = (
        select(conversation.c.id, conversation.c.title, conversation.c.updated_at, answering.label("answering"))
        .where(conversation.c.owner == owner)
        .order_by(conversation.c.updated_at.desc(), conversation.c.id.desc())
        .limit(max(1, min(limit, _LAST_PAGE)))
    )
    if before is not None:
        query = query.where(older_than(before, conversation.c.updated_at, conversation.c.id, "conversations"))
    found = await connection.execute(query)
    return [ConversationRow(row.id, row.title, row.updated_at, bool(row.answering)) for row in found]


def answers(owner: str, *columns: Any) -> Select[Any]:
    """A query over the answers in this person's conversations."""
    # EXISTS and not a join: the few answers under way are found first, then whose they are.
    mine = exists().where(conversation.c.id == message.c.conversation_id, conversation.c.owner == owner)
    return Select(*columns).where(message.c.role == "assistant", mine.correlate(message))


async def stored(connection: AsyncConnection, owner: str, run_id: object) -> StoredRun:
    columns = (*_MESSAGE, message.c.conversation_id, message.c.request)
    query = answers(owner, *columns).where(message.c.id == known_id(run_id, "answer"))
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("This answer does not exist.")
    return StoredRun(row.id, row.conversation_id, message_from_columns(row._asdict()), row.seq, row.request or {})


async def asked(connection: AsyncConnection, owner: str, run_id: object) -> tuple[Message, ...]:
    """The branch up to what this answer answers."""
    query = answers(owner, message.c.parent_id).where(message.c.id == known_id(run_id, "answer"))
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound("This answer does not exist.")
    return await branch(connection, row.parent_id)


def last_of(history: tuple[Message, ...]) -> Message:
    """What is answered; an empty message where the request had none."""
    return history[-1] if history else Message("", "user")


async def under_way(connection: AsyncConnection, owner: str) -> list[RunRow]:
    columns = (message.c.id, message.c.conversation_id, message.c.status, message.c.seq)
    query = answers(owner, *columns).where(OPEN).order_by(message.c.created_at, message.c.id)
    return [RunRow(*row) for row in await connection.execute(query)]


def silent_since(moment: datetime) -> ColumnElement[bool]:
    """Streaming answers without a heartbeat since then. Those that wait for an approval have no process to give one."""
    late = or_(message.c.heartbeat_at.is_(None), message.c.heartbeat_at < moment)
    return and_(OPEN, message.c.status == "streaming", late)


async def stale(connection: AsyncConnection, stale_before: datetime) -> list[str]:
    return list(await connection.scalars(select(message.c.id).where(silent_since(stale_before))))


async def ended(connection: AsyncConnection, run_ids: Iterable[str]) -> list[StoredRun]:
    has_ended = message.c.status.not_in(("streaming", "waiting"))
    query = select(*_MESSAGE, message.c.conversation_id).where(message.c.id.in_(list(run_ids)), has_ended)
    return [
        StoredRun(row.id, row.conversation_id, message_from_columns(row._asdict()), row.seq)
        for row in await connection.execute(query)
    ]


async def known(connection: AsyncConnection, request_key: str) -> bool:
    return await connection.scalar(select(message.c.id).where(message.c.request_key == request_key)) is not None


async def begun(connection: AsyncConnection, owner: str, request_key: str) -> Begun | None:
    """What this request began when it came before."""
    title = select(conversation.c.title).where(conversation.c.id == message.c.conversation_id).scalar_subquery()
    columns = (*_MESSAGE, message.c.conversation_id, message.c.parent_id, title.label("title"))
    row = (await connection.execute(answers(owner, *columns).where(message.c.request_key == request_key))).one_or_none()
    if row is None:
        return None
    history = await branch(connection, row.parent_id)
    return Begun(
        run_id=row.id,
        conversation_id=row.conversation_id,
        title=row.title,
        user=last_of(history),
        answer=message_from_columns(row._asdict()),
        history=history,
        created=False,
    )
