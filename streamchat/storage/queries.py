"""Queries. Each takes a connection and runs in its caller's transaction.

Knows nothing of transactions or database errors. Rules:

* Every query on behalf of a user filters by ``owner``: a foreign id and an unknown one are the same ``NotFound``.
* A branch of any length is one recursive query from its leaf upwards.
* A deleted conversation does not exist; a deleted message stays in the tree and is left out of every branch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from hashlib import blake2b
from math import inf
from typing import Any, TypeGuard

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    and_,
    bindparam,
    exists,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
)

from streamchat.chat.conversation_settings import ConversationSettings
from streamchat.chat.messages import Message
from streamchat.chat.request import STEERS, RunOptions
from streamchat.errors import NotFound, Unauthorized
from streamchat.liveness import FUTURE_SECONDS
from streamchat.storage.account_tables import AccountTable
from streamchat.storage.cursor import ID, PINNED, cursor, read_cursor
from streamchat.storage.mapping import message_from_columns, message_with_pieces
from streamchat.storage.records import (
    Begun,
    Conversation,
    ConversationRow,
    PlacedMessage,
    RunRow,
    StaleRun,
    StoredRun,
    ToolChoices,
)
from streamchat.storage.tables import (
    OPEN,
    ConversationTable,
    DeletedMessageTable,
    FeedbackTable,
    MessageTable,
    PieceTable,
    UtcDateTime,
    clock,
    now,
)

account: Table = AccountTable.__table__
conversation: Table = ConversationTable.__table__
message: Table = MessageTable.__table__
piece: Table = PieceTable.__table__
feedback: Table = FeedbackTable.__table__
deleted_message: Table = DeletedMessageTable.__table__

MESSAGE = tuple(
    message.c[name]
    for name in ("id", "role", "status", "model", "stop_reason", "error", "usage", "opaque", "timing", "parts", "seq")
)
_ITS_CONVERSATION = select(conversation.c.owner).where(conversation.c.id == message.c.conversation_id)
OWNER = _ITS_CONVERSATION.scalar_subquery().label("owner")
"""The owner of a message, as a column."""
VISIBLE = ~exists().where(deleted_message.c.message_id == message.c.id).correlate(message)
"""The condition for messages that are not deleted."""
_RUN_COLUMNS = ("conversation_id", "worker", "request", "epoch", "takeovers", "upstream")
_RUN = (*MESSAGE, *(message.c[name] for name in _RUN_COLUMNS))
_TRASH = (
    select(func.count().label("deleted"), func.max(deleted_message.c.deleted_at).label("last"))
    .where(deleted_message.c.conversation_id == bindparam("its_id"))
    .subquery()
)
_RATED = (
    select(func.count().label("rated"), func.max(feedback.c.updated_at).label("rated_at"))
    .where(feedback.c.conversation_id == bindparam("its_id"))
    .subquery()
)
# One statement, made once: clients poll it. A row per answer in progress, at least one.
_VERSION = (
    select(conversation, message.c.id, message.c.seq, message.c.status, message.c.epoch, *_TRASH.c, *_RATED.c)
    .select_from(
        conversation.outerjoin(message, and_(message.c.conversation_id == conversation.c.id, OPEN))
        .join(_TRASH, true())
        .join(_RATED, true())
    )
    .where(conversation.c.id == bindparam("its_id"), conversation.c.owner == bindparam("its_owner"))
    .where(conversation.c.deleted_at.is_(None))
    .order_by(message.c.id)
)
# The same: every request for an answer asks whose it is.
_CONVERSATION_OF_ANSWER = (
    select(message.c.conversation_id)
    .join(conversation, conversation.c.id == message.c.conversation_id)
    .where(message.c.id == bindparam("its_id"), message.c.role == "assistant")
    .where(conversation.c.owner == bindparam("its_owner"), conversation.c.deleted_at.is_(None))
)
_LAST_PAGE = 500
# In a cursor of a walk: before its start; in front of a row that changed during it.
_WALK, _CHANGED = "~~", "changed~"


def ping(connection: Connection) -> None:
    """Read at most one row, to check that the tables can be read."""
    connection.execute(select(message.c.id).limit(1))


def known_id(value: object, what: str) -> str:
    """Return the id if it is well-formed; raise ``NotFound`` for anything else. ``what`` names its kind."""
    if is_id(value):
        return value
    raise NotFound(f"This {what} does not exist.")


def is_id(value: object) -> TypeGuard[str]:
    """Return whether it has the form of an id."""
    return isinstance(value, str) and ID.fullmatch(value) is not None


def owned(connection: Connection, owner: str, conversation_id: object, *, lock: bool = False) -> Row:
    """Return the conversation's row. ``lock`` blocks other writers of the conversation. Raises ``NotFound``."""
    query = select(conversation).where(
        conversation.c.id == known_id(conversation_id, "conversation"),
        conversation.c.owner == owner,
        conversation.c.deleted_at.is_(None),
    )
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise NotFound("This conversation does not exist.")
    return row


def owned_with(connection: Connection, owner: str, message_id: object) -> Row:
    """Return the row of the conversation that a message is in. Raises ``NotFound``."""
    query = (
        select(conversation)
        .join(message, message.c.conversation_id == conversation.c.id)
        .where(message.c.id == known_id(message_id, "message"), conversation.c.owner == owner)
        .where(conversation.c.deleted_at.is_(None))
    )
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("This message does not exist.")
    return row


def choices_in(tools: Mapping[str, Sequence[str]] | None) -> ToolChoices:
    """Return the tool settings in the column of a conversation."""
    kept = tools or {}
    return ToolChoices(frozenset(kept.get("always", ())), frozenset(kept.get("off", ())))


def conversation_of_answer(connection: Connection, owner: str, run_id: object) -> str:
    """Return the conversation id of an answer of this owner. Raises ``NotFound``."""
    values = {"its_id": known_id(run_id, "answer"), "its_owner": owner}
    conversation_id = connection.scalar(_CONVERSATION_OF_ANSWER, values)
    if conversation_id is None:
        raise NotFound("This answer does not exist.")
    return conversation_id


def conversation_of(connection: Connection, owner: str, message_id: object) -> str:
    """Return the conversation id of a message of this owner. Raises ``NotFound``."""
    query = (
        select(message.c.conversation_id)
        .join(conversation, conversation.c.id == message.c.conversation_id)
        .where(message.c.id == known_id(message_id, "message"), conversation.c.owner == owner)
        .where(conversation.c.deleted_at.is_(None))
    )
    conversation_id = connection.scalar(query)
    if conversation_id is None:
        raise NotFound("This message does not exist.")
    return conversation_id


def read(connection: Connection, rows: Sequence[Row]) -> list[Message]:
    """Return the messages of these rows, with the pieces of those in progress."""
    pieces: dict[str, list[Any]] = {row.id: [] for row in rows if row.status in ("streaming", "waiting")}
    if pieces:
        query = select(piece.c.message_id, piece.c.events).where(piece.c.message_id.in_(list(pieces)))
        for row in connection.execute(query.order_by(piece.c.message_id, piece.c.seq)):
            pieces[row.message_id].append(row.events)
    messages = [message_from_columns(row._asdict()) for row in rows]
    return [message_with_pieces(one, pieces[one.id]) if pieces.get(one.id) else one for one in messages]


def branch(connection: Connection, leaf_id: str | None) -> tuple[Message, ...]:
    """Return the messages from the root down to ``leaf_id``."""
    if leaf_id is None:
        return ()
    path = path_to(leaf_id)
    query = select(*MESSAGE).join(path, message.c.id == path.c.id).where(VISIBLE).order_by(path.c.height.desc())
    return tuple(read(connection, connection.execute(query).all()))


def path_to(leaf_id: str, length: int | None = None) -> CTE:
    """Return the rows ``(id, parent_id, height)`` of a branch from its leaf upwards, ``length`` at most.

    The leaf has the height 0.
    """
    path = (
        select(message.c.id, message.c.parent_id, literal(0).label("height"))
        .where(message.c.id == leaf_id)
        .cte("path", recursive=True)
    )
    above = message.alias("above")
    step = select(above.c.id, above.c.parent_id, path.c.height + 1).join(path, above.c.id == path.c.parent_id)
    return path.union_all(step if length is None else step.where(path.c.height < length - 1))


def siblings_of(
    connection: Connection, conversation_id: str, ids: Iterable[str], among: ColumnElement[bool] | None = None
) -> dict[str, tuple[str, ...]]:
    """Return the versions of each of these messages that has others, oldest first: same parent, same role.

    ``among``: a condition that the messages and their versions fulfil, for a part of a long conversation.
    """
    tree = select(message.c.id, message.c.parent_id, message.c.role)
    tree = tree.where(message.c.conversation_id == conversation_id, VISIBLE)
    versions: dict[tuple[str | None, str], list[str]] = {}
    groups: dict[str, tuple[str | None, str]] = {}
    for row in connection.execute((tree if among is None else tree.where(among)).order_by(message.c.position)):
        groups[row.id] = group = (row.parent_id, row.role)
        versions.setdefault(group, []).append(row.id)
    return {one: tuple(versions[groups[one]]) for one in ids if one in groups and len(versions[groups[one]]) > 1}


def compared_with(row: Row, message_id: str | None) -> tuple[str, ...]:
    """Return the answers that stand side by side with this one, itself included; ``()`` if none do.

    ``row``: of their conversation.
    """
    compared = tuple(row.compared or ())
    return compared if message_id in compared else ()


def visible(connection: Connection, ids: Sequence[str]) -> tuple[str, ...]:
    """Return those of these messages that are not deleted, in the same order."""
    if not ids:
        return ()
    found = set(connection.scalars(select(message.c.id).where(message.c.id.in_(ids), VISIBLE)))
    return tuple(one for one in ids if one in found)


def settings_of(row: Row, models: Iterable[str] = ()) -> ConversationSettings:
    """Return the settings of a conversation. ``models``: those of its answers, oldest first.

    The last one counts if the conversation has none of its own: it is older than that setting.
    """
    model = row.model or next(filter(None, reversed(tuple(models))), "")
    return ConversationSettings(model, RunOptions.from_json({"system": row.system, "options": row.options}))


def load_conversation(connection: Connection, owner: str, conversation_id: str) -> Conversation:
    """Return a conversation with its active branch. Raises ``NotFound``."""
    row = owned(connection, owner, conversation_id)
    messages = branch(connection, row.leaf_id)
    siblings = siblings_of(connection, row.id, [m.id for m in messages])
    settings = settings_of(row, [m.model for m in messages if m.role == "assistant"])
    compared = visible(connection, compared_with(row, row.leaf_id))
    shown = compared if len(compared) > 1 else ()
    return Conversation(row.id, row.title, messages, siblings, settings, row.pinned, row.archived, shown)


def messages_after(
    connection: Connection, owner: str, conversation_id: str, position: int, also: Sequence[int], limit: int
) -> list[PlacedMessage]:
    """Return the messages of all branches behind a position, and those at the positions ``also``, in their order.

    Raises ``NotFound``.
    """
    row = owned(connection, owner, conversation_id)
    query = (
        select(*MESSAGE, message.c.position, message.c.parent_id)
        .where(message.c.conversation_id == row.id, VISIBLE)
        .where(or_(message.c.position > position, message.c.position.in_(also)))
        .order_by(message.c.position)
        .limit(limit)
    )
    rows = connection.execute(query).all()
    messages = read(connection, rows)
    return [PlacedMessage(row.position, row.parent_id, row.seq, one) for row, one in zip(rows, messages, strict=True)]


def last_position(connection: Connection, owner: str, conversation_id: str) -> tuple[int, dict[int, int]]:
    """Return the position of the last message, and of the answers without an ending: position -> last stored event.

    Raises ``NotFound``.
    """
    row = owned(connection, owner, conversation_id)
    its = message.c.conversation_id == row.id
    last = connection.scalar(select(func.max(message.c.position)).where(its))
    rows = connection.execute(select(message.c.position, message.c.seq).where(its, OPEN, VISIBLE))
    return last or 0, {row.position: row.seq for row in rows}


def version(connection: Connection, owner: str, conversation_id: str) -> str:
    """Return an identifier of a conversation's state. Raises ``NotFound``."""
    known = {"its_id": known_id(conversation_id, "conversation"), "its_owner": owner}
    state = [tuple(row) for row in connection.execute(_VERSION, known)]
    if not state:
        raise NotFound("This conversation does not exist.")
    return blake2b(repr(state).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


def page(connection: Connection, owner: str, limit: int, before: str | None, archived: bool) -> list[ConversationRow]:
    """Return a page of conversations: the pinned ones, then the others, each newest first.

    Raises ``InvalidInput`` for an invalid cursor in ``before``.
    """
    columns = conversation.c
    order = (columns.pinned, columns.updated_at, columns.id)
    query = _listed(owner, archived, limit).order_by(*(column.desc() for column in order))
    if before is not None:
        pinned = isinstance(before, str) and before.startswith(PINNED)
        moment, last_id = read_cursor(before.removeprefix(PINNED) if pinned else before, "conversations")
        last = (literal(pinned), literal(moment, UtcDateTime()), literal(last_id))
        query = query.where(tuple_(*order) < tuple_(*last))
    return _rows_of(connection, query, archived)


def walk(
    connection: Connection, owner: str, limit: int, before: str | None, archived: bool
) -> tuple[list[ConversationRow], str | None]:
    """Return a page of a walk, and the cursor of the next one. Raises ``InvalidInput`` for an invalid cursor.

    A cursor is that of ``page`` and the start of the walk, or, once the list is through, that of the last row that
    changed since then.
    """
    rows: list[ConversationRow] = []
    place, _, start = (before or "").rpartition(_WALK)
    if before is None:
        start = cursor(now(), "start")
    if not start.startswith(_CHANGED):
        rows = page(connection, owner, limit, place or None, archived)
        if len(rows) == limit:
            return rows, rows[-1].cursor + _WALK + start
    moment, last_id = read_cursor(start.removeprefix(_CHANGED), "conversations")
    columns = (conversation.c.updated_at, conversation.c.id)
    query = _listed(owner, archived, limit - len(rows)).order_by(*columns)
    query = query.where(tuple_(*columns) > tuple_(literal(moment, UtcDateTime()), literal(last_id)))
    rows += _rows_of(connection, query, archived)
    if len(rows) < limit:
        return rows, None
    return rows, _WALK + _CHANGED + cursor(rows[-1].updated_at, rows[-1].id)


def _listed(owner: str, archived: bool, limit: int) -> Any:
    """Return the query over a list, unordered. (``Any``: the type would repeat the columns.)"""
    answering = exists().where(message.c.conversation_id == conversation.c.id, OPEN).correlate(conversation)
    waiting = (
        exists()
        .where(message.c.conversation_id == conversation.c.id, OPEN, message.c.status == "waiting")
        .correlate(conversation)
    )
    columns = conversation.c
    marks = (answering.label("answering"), waiting.label("waiting"))
    return (
        select(columns.id, columns.title, columns.updated_at, *marks, columns.pinned)
        .where(columns.owner == owner, columns.archived == archived, columns.deleted_at.is_(None))
        .limit(max(1, min(limit, _LAST_PAGE)))
    )


def _rows_of(connection: Connection, query: Select, archived: bool) -> list[ConversationRow]:
    return [
        ConversationRow(row.id, row.title, row.updated_at, bool(row.answering), row.pinned, archived, bool(row.waiting))
        for row in connection.execute(query)
    ]


def answers(owner: str, *columns: Any) -> Select:
    """Return a query over the answers in this owner's conversations."""
    # EXISTS instead of a join: the few answers in progress are selected first, and then filtered by owner.
    is_owned = exists().where(
        conversation.c.id == message.c.conversation_id,
        conversation.c.owner == owner,
        conversation.c.deleted_at.is_(None),
    )
    return Select(*columns).where(message.c.role == "assistant", is_owned.correlate(message))


def check_account(connection: Connection, owner: str, *, required: bool, lock: bool) -> None:
    """Raise ``Unauthorized`` if this account is disabled or, if ``required``, deleted.

    ``lock``: in a transaction that writes: the account stays as it is before the end of that, so whoever disables it
    finds what was written. SQLite has one writer anyway.
    """
    query = select(account.c.disabled_at).where(account.c.id == owner)
    row = connection.execute(query.with_for_update(read=True) if lock else query).one_or_none()
    if row is not None and row.disabled_at is not None:
        raise Unauthorized("This account is disabled.")
    if row is None and required:
        raise Unauthorized("This account does not exist any more.")


def stored(connection: Connection, owner: str, run_id: object) -> StoredRun:
    """Return one answer. Raises ``NotFound``."""
    query = answers(owner, *_RUN).where(message.c.id == known_id(run_id, "answer"))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("This answer does not exist.")
    return _stored_run(connection, owner, row)


def _stored_run(connection: Connection, owner: str, row: Row) -> StoredRun:
    (answer,) = read(connection, [row])
    return StoredRun(
        owner=owner,
        run_id=row.id,
        conversation_id=row.conversation_id,
        message=answer,
        seq=row.seq,
        worker=row.worker or "",
        request=row.request or {},
        epoch=row.epoch,
        takeovers=row.takeovers,
        upstream=row.upstream,
    )


def run_of(connection: Connection, run_id: str) -> StoredRun | None:
    """Return an answer of any owner, or ``None``."""
    row = connection.execute(select(*_RUN, OWNER).where(message.c.id == run_id)).one_or_none()
    return None if row is None else _stored_run(connection, row.owner, row)


def history_of(connection: Connection, owner: str, run_id: object) -> tuple[Message, ...]:
    """Return the branch up to and including the question of this answer. Raises ``NotFound``."""
    query = answers(owner, message.c.parent_id).where(message.c.id == known_id(run_id, "answer"))
    row = connection.execute(query).one_or_none()
    if row is None:
        raise NotFound("This answer does not exist.")
    return branch(connection, row.parent_id)


def last_of(history: tuple[Message, ...]) -> Message:
    """Return the message to answer; an empty one if the history is empty."""
    return history[-1] if history else Message("", "user")


def in_progress(connection: Connection, owner: str) -> list[RunRow]:
    """Return the owner's answers that are being written or await approval, oldest first."""
    columns = (message.c.id, message.c.conversation_id, message.c.status, message.c.seq)
    query = answers(owner, *columns).where(OPEN).order_by(message.c.created_at, message.c.id)
    return [RunRow(*row) for row in connection.execute(query)]


def silent_for(seconds: float) -> ColumnElement[bool]:
    """Return the condition for streaming answers without a heartbeat for so long, by the database's clock.

    A heartbeat in the future does not count. Suspended answers have no process that could send a heartbeat.
    """
    beat = message.c.heartbeat_at
    is_late = or_(beat.is_(None), beat < clock(-seconds), beat > clock(FUTURE_SECONDS))
    return and_(OPEN, message.c.status == "streaming", is_late)


def stale(connection: Connection, seconds: float) -> list[StaleRun]:
    """Return the streaming answers without a heartbeat for so long."""
    return [
        StaleRun(row.id, row.epoch, row.heartbeat_at, _seconds(row.heartbeat_at, row.time), row.worker == "")
        for row in connection.execute(_stale(seconds))
    ]


@cache
def _stale(seconds: float) -> Select[Any, Any, Any, Any, datetime]:
    """Each process asks this once a second: it is made once."""
    columns = (message.c.id, message.c.epoch, message.c.heartbeat_at, message.c.worker, clock().label("time"))
    return select(*columns).where(silent_for(seconds))


def _seconds(since: datetime | None, until: datetime) -> float:
    return inf if since is None else (until - since).total_seconds()


def ended(connection: Connection, run_ids: Iterable[str]) -> list[StoredRun]:
    """Return those of these answers that have ended, of any owner."""
    has_ended = message.c.status.not_in(("streaming", "waiting"))
    query = select(*_RUN, OWNER).where(message.c.id.in_(list(run_ids)), has_ended)
    return [_stored_run(connection, row.owner, row) for row in connection.execute(query).all()]


def steered(connection: Connection, run_id: str) -> str | None:
    """Return the answer in progress to a message that steers this one, or ``None``."""
    asked = message.alias()
    questions = select(asked.c.id).where(asked.c.parent_id == run_id)
    query = select(message.c.id, message.c.request).where(message.c.parent_id.in_(questions), OPEN)
    rows = connection.execute(query)
    return next((row.id for row in rows if (row.request or {}).get(STEERS)), None)


def known(connection: Connection, request_key: str) -> bool:
    """Return whether an answer exists for this request."""
    return connection.scalar(select(message.c.id).where(message.c.request_key == request_key)) is not None


def find_by_request(connection: Connection, owner: str, request_key: str) -> Begun | None:
    """Return the answer that an earlier request with this key began, or ``None``."""
    # Also in a deleted conversation: the key, which contains the owner, is taken.
    columns = (*MESSAGE, message.c.conversation_id, message.c.parent_id, conversation.c.title, conversation.c.tools)
    query = select(*columns).join(conversation, conversation.c.id == message.c.conversation_id)
    query = query.where(conversation.c.owner == owner, message.c.request_key == request_key)
    row = connection.execute(query).one_or_none()
    if row is None:
        return None
    history = branch(connection, row.parent_id)
    return Begun(
        run_id=row.id,
        conversation_id=row.conversation_id,
        title=row.title,
        user=last_of(history),
        answer=read(connection, [row])[0],
        history=history,
        created=False,
        choices=choices_in(row.tools),
    )
