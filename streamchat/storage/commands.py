"""Statements that change rows. Each takes a connection and runs in its caller's transaction.

Knows nothing of transactions or database errors. Rules:

* A row with an ending never changes again, a row's seq never decreases, and only the owner with the row's ``epoch``
  changes it: all are in the WHERE clause of the statement, so that no late writer can break them.
* Whether a row took a write is read back in the same transaction: drivers do not count rows of several statements.
* Rows are written in the order of their ids, so that two writers cannot deadlock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from streamchat.chat.messages import Message, NoticePart, Part, close_open_calls
from streamchat.chat.request import MAX_QUEUED, ROOT, STEERS, TEMPORARY, NewRun, RunOptions
from streamchat.chat.titles import TEMPORARY_TITLE, title_of
from streamchat.chat.writes import Change, End, Timed, Written
from streamchat.errors import InvalidInput, NotFound, StillAnswering
from streamchat.liveness import ALIVE_SECONDS, FUTURE_SECONDS, STALE_SECONDS
from streamchat.storage import files, queries
from streamchat.storage.mapping import events_to_json, message_to_columns, plain_text
from streamchat.storage.organizing import delete_conversations, insert_messages
from streamchat.storage.queries import conversation, message, piece
from streamchat.storage.records import Begun, StoredRun
from streamchat.storage.search import index
from streamchat.storage.tables import OPEN, clock, new_id, now
from streamchat.storage.usage import BY, count_ended
from streamchat.storage.webhooks import enqueue

CONTINUED = NoticePart("continued", "Continued from the partial answer.")
_ROW = (message.c.id == bindparam("run"), OPEN, message.c.epoch == bindparam("token"))
_WRITE = update(message).where(*_ROW, message.c.seq <= bindparam("up_to")).values(heartbeat_at=clock())
_ADVANCE = (
    update(message)
    .where(*_ROW, message.c.status == "streaming", message.c.seq == bindparam("up_to"))
    .values(seq=bindparam("new_seq"), heartbeat_at=clock(), updated_at=bindparam("time"))
)
_ADD_PIECES = {
    "sqlite": sqlite_insert(piece).on_conflict_do_nothing(),
    "postgresql": postgresql_insert(piece).on_conflict_do_nothing(),
}
_TIME = (
    update(message)
    .where(message.c.id == bindparam("run"), message.c.epoch == bindparam("token"))
    .values(timing=bindparam("times", type_=message.c.timing.type))
)
_CHECKPOINT = update(message).where(*_ROW).values(upstream=bindparam("checkpoint", type_=message.c.upstream.type))
_RELEASE = update(message).where(*_ROW).values(worker="", heartbeat_at=clock(-2 * STALE_SECONDS))
_STATES = select(message.c.id, message.c.status, message.c.seq, message.c.epoch).where(
    message.c.id.in_(bindparam("runs", expanding=True))
)
_LOCKED_STATES = _STATES.order_by(message.c.id).with_for_update()
_REMOVE_PIECES = delete(piece).where(piece.c.message_id == bindparam("run"))


def ask(connection: Connection, owner: str, new: NewRun, request: dict[str, Any], exclusive: bool) -> Begun:
    """Insert a question and its answer: in a new conversation, after the active leaf, or after ``new.parent_id``.

    Raises ``NotFound``; with ``exclusive`` also ``InvalidInput`` if another answer of the conversation is in progress.
    """
    conversation_id, options, parent = new.conversation_id, new.options, None
    if conversation_id is None and new.parent_id:
        conversation_id = queries.conversation_of(connection, owner, new.parent_id)
    if conversation_id is None:
        choices = queries.choices_in({"off": new.tools_off})
        title = TEMPORARY_TITLE if new.temporary else title_of(new.parts or _first_question(new.history))
        history = ()
        conversation_id = _new_conversation(connection, owner, title, new)
    else:
        row = queries.owned(connection, owner, conversation_id, lock=True)
        if new.steers and row.leaf_id != new.parent_id:
            raise StillAnswering("Another message waits for the end of this answer already.")
        if exclusive:
            _check_free(connection, conversation_id)
        elif new.queued:
            _check_queue(connection, conversation_id)
        title, history = row.title, _history(connection, row, new.parent_id)
        choices = queries.choices_in(row.tools)
        # Not the last message of the history: the last one of the branch may be deleted, and may come back.
        parent = row.leaf_id if new.parent_id is None else new.parent_id or None
        if queries.compared_with(row, parent):  # what follows one of them keeps it
            _touch(connection, conversation_id, compared=None)
        if new.inherit:
            options = options.over(queries.settings_of(row).options)
            request = {**request, "more": options.to_json()}
        if not new.parts and not new.history and history and history[-1].role == "assistant":
            history = history[:-1]  # no question: this answer continues the last one and replaces it
            parent = history[-1].id if history else None
    turns = [replace(turn, id=new_id(conversation_id)) for turn in new.history]
    if new.parts:
        turns.append(Message(new_id(conversation_id), "user", tuple(new.parts)))
    position = _next_position(connection, conversation_id)
    for turn in turns:
        _insert(connection, conversation_id, turn, parent, position)
        history, position, parent = (*history, turn), position + 1, turn.id
    answer_id = new_id(conversation_id)
    answer = Message(answer_id, "assistant", tuple(new.prefix), status="streaming", model=request["model"])
    _insert(connection, conversation_id, answer, parent, position, request)
    _touch(connection, conversation_id, leaf_id=answer.id)
    user = queries.last_of(history)
    return Begun(answer.id, conversation_id, title, user, answer, history, True, options, choices)


def append(connection: Connection, owner: str, conversation_id: str, messages: Sequence[Message]) -> list[str]:
    """Insert messages that have ended after the active branch. Returns their ids.

    Raises ``NotFound``, and ``StillAnswering`` if an answer is in progress.
    """
    row = queries.owned(connection, owner, conversation_id, lock=True)
    _check_free(connection, row.id)
    ids = [new_id(row.id) for _ in messages]
    leaf = insert_messages(connection, row.id, messages, row.leaf_id, _next_position(connection, row.id), ids)
    _touch(connection, row.id, leaf_id=leaf, compared=None)
    return ids


def compare(
    connection: Connection, owner: str, new: NewRun, requests: Sequence[dict[str, Any]], exclusive: bool
) -> list[Begun]:
    """Insert a question and an answer for each request, side by side; the branch ends in the first.

    Raises as ``ask``.
    """
    first = ask(connection, owner, new, requests[0], exclusive)
    begun, more = [first], first.options.to_json()
    for request in requests[1:]:
        answer = Message(new_id(first.conversation_id), "assistant", status="streaming", model=request["model"])
        position = _next_position(connection, first.conversation_id)
        _insert(connection, first.conversation_id, answer, first.user.id, position, {**request, "more": more})
        begun.append(replace(first, run_id=answer.id, answer=answer))
    _touch(connection, first.conversation_id, compared=[one.run_id for one in begun])
    return begun


def _history(connection: Connection, row: Row, parent_id: str | None) -> tuple[Message, ...]:
    """Return the branch that a question continues. Raises ``NotFound`` for a parent in another conversation."""
    if parent_id == ROOT:
        return ()
    if parent_id is not None and queries.conversation_of(connection, row.owner, parent_id) != row.id:
        raise NotFound("This message does not exist.")
    return queries.branch(connection, row.leaf_id if parent_id is None else parent_id)


def ask_again(
    connection: Connection,
    owner: str,
    message_id: str,
    continue_partial: bool,
    request: dict[str, Any],
    exclusive: bool,
    prefix: Sequence[Part] = (),
) -> Begun:
    """Insert another answer to the question of an answer that has ended. It begins with ``prefix``.

    Among answers that stand side by side it takes the place of the old one. Raises ``NotFound``, and ``InvalidInput``
    if the old answer is in progress (with ``exclusive``: if any is that does not stand beside it).
    """
    old = queries.stored(connection, owner, message_id)
    row = queries.owned(connection, owner, old.conversation_id, lock=True)
    if not old.message.ended:
        raise StillAnswering("This answer is still being written.")
    beside = queries.compared_with(row, old.run_id)
    if exclusive:
        _check_free(connection, row.id, beside)
    parent = connection.scalar(select(message.c.parent_id).where(message.c.id == old.run_id))
    history = queries.branch(connection, parent)
    answer = Message(new_id(row.id), "assistant", status="streaming", model=request["model"])
    if prefix:
        answer = replace(answer, parts=tuple(prefix))
    elif continue_partial and old.message.parts:
        parts = (*close_open_calls(old.message.parts), CONTINUED)
        answer = replace(answer, parts=parts, opaque=old.message.opaque)
    request = {**request, "more": old.request or None}
    _insert(connection, row.id, answer, parent, _next_position(connection, row.id), request)
    compared = [answer.id if one == old.run_id else one for one in beside]
    _touch(connection, row.id, leaf_id=answer.id, **({"compared": compared} if beside else {}))
    options = RunOptions.from_json(old.request)
    choices = queries.choices_in(row.tools)
    return Begun(answer.id, row.id, row.title, queries.last_of(history), answer, history, True, options, choices)


def write(
    connection: Connection,
    changes: Sequence[Change],
    ends: Sequence[End],
    words: Mapping[str, Sequence[str]],
    timings: Sequence[Timed] = (),
) -> Written:
    """Store changes, ends and times. ``words``: those of each ended message, for the search index."""
    if timings:
        rows = [{"run": one.run_id, "token": one.epoch, "times": dict(one.timing)} for one in timings]
        connection.execute(_TIME, sorted(rows, key=lambda row: row["run"]))
    seqs = _write_changes(connection, changes) if changes else {}
    return Written(seqs, _write_ends(connection, ends, words) if ends else frozenset())


def _write_changes(connection: Connection, changes: Sequence[Change]) -> dict[str, int]:
    changes = sorted(changes, key=lambda change: change.run_id)
    whole = [(change.message, change.seq, change.epoch) for change in changes if change.message is not None]
    parts = [change for change in changes if change.message is None]
    if parts:
        time = now()
        rows = [{"run": c.run_id, "token": c.epoch, "up_to": c.after, "new_seq": c.seq, "time": time} for c in parts]
        connection.execute(_ADVANCE, rows)
    if whole:
        _write_whole(connection, whole)
    if checkpoints := [
        {"run": c.run_id, "token": c.epoch, "checkpoint": dict(c.upstream) or None}
        for c in changes
        if c.upstream is not None
    ]:
        connection.execute(_CHECKPOINT, checkpoints)
    current = _rows(connection, [change.run_id for change in changes])
    owned = {c.run_id: current[c.run_id].seq for c in changes if _is_owned(current.get(c.run_id), c.epoch)}
    # A piece that is there already was stored by an attempt whose success was not reported.
    pieces = [
        {"message_id": c.run_id, "seq": c.seq, "events": events_to_json(c.events)}
        for c in parts
        if c.events and owned.get(c.run_id) == c.seq
    ]
    if pieces:
        connection.execute(_ADD_PIECES[connection.dialect.name], pieces)
    return owned


def _is_owned(row: Row | None, epoch: int) -> bool:
    return row is not None and row.epoch == epoch and row.status in ("streaming", "waiting")


def _write_ends(connection: Connection, ends: Sequence[End], words: Mapping[str, Sequence[str]]) -> frozenset[str]:
    ends = sorted(ends, key=lambda end: end.message.id)
    ids = [end.message.id for end in ends]
    before = _rows(connection, ids, lock=True)
    # A checkpoint is that of an answer in progress.
    _write_whole(connection, [(end.message, end.seq, end.epoch) for end in ends], {"upstream": None})
    after = _rows(connection, ids)
    stored = [
        end for end in ends if (row := after.get(end.message.id)) and (row.status, row.seq, row.epoch) == _state(end)
    ]
    new = [end for end in stored if before[end.message.id].status != end.message.status]
    for end in new:
        index(connection, end.message, words.get(end.message.id))
    if new:
        _touch_all(connection, [end.message.id for end in new])
        count_ended(connection, [end.message for end in new])
        enqueue(connection, [(end.message, end.seq) for end in new])
    return frozenset(end.message.id for end in stored)


def _state(end: End) -> tuple[str, int, int]:
    return end.message.status, end.seq, end.epoch


def _write_whole(
    connection: Connection, entries: Sequence[tuple[Message, int, int]], more: Mapping[str, Any] | None = None
) -> None:
    """Store whole messages with their seq and epoch, in place of their pieces. ``more``: further columns."""
    more = {"updated_at": now(), **(more or {})}
    rows: list[dict[str, Any]] = [
        {"run": whole.id, "token": epoch, "up_to": seq, "seq": seq} | message_to_columns(whole) | more
        for whole, seq, epoch in entries
    ]
    connection.execute(_WRITE, rows)
    current = _rows(connection, [row["run"] for row in rows])
    kept = [{"run": row["run"]} for row in rows if (now_ := current.get(row["run"])) and now_.seq == row["seq"]]
    if kept:
        connection.execute(_REMOVE_PIECES, kept)


def _rows(connection: Connection, run_ids: Sequence[str], *, lock: bool = False) -> dict[str, Row]:
    """Return id, status, seq and epoch of these answers."""
    result: Any = connection.execute(_LOCKED_STATES if lock else _STATES, {"runs": list(run_ids)})
    return {row.id: row for row in result}


def move_on(connection: Connection, changed: Message, seq: int, after: int, worker: str, epoch: int) -> bool:
    """Update a suspended answer whose seq is ``after``, and give it to ``worker`` with this epoch.

    Returns ``False`` if it is no longer in that state.
    """
    query = update(message).where(
        message.c.id == changed.id,
        message.c.status == "waiting",
        message.c.seq == after,
        message.c.epoch == epoch - 1,
    )
    columns = {**message_to_columns(changed), "seq": seq, "worker": worker, "epoch": epoch, "updated_at": now()}
    columns["upstream"] = None
    updated = connection.execute(query.values(columns).values(heartbeat_at=clock())).rowcount == 1
    if updated:
        connection.execute(_REMOVE_PIECES, {"run": changed.id})
    if updated and changed.ended:
        index(connection, changed)
        _touch_all(connection, [changed.id])
        count_ended(connection, [changed])
        enqueue(connection, [(changed, seq)])
    return updated


def claim(
    connection: Connection, run_id: str, worker: str, epoch: int, seconds: float | None, *, continues: bool
) -> StoredRun | None:
    """Make ``worker`` the owner of a streaming answer whose epoch is ``epoch``, under the next epoch.

    ``seconds``: only if it has had no heartbeat for so long; ``None``: in any case. ``continues``: count it as a
    takeover. Returns ``None`` if the answer is not in that state.
    """
    state = queries.silent_for(seconds) if seconds is not None else and_(OPEN, message.c.status == "streaming")
    query = update(message).where(message.c.id == run_id, message.c.epoch == epoch, state)
    values = {"epoch": epoch + 1, "worker": plain_text(worker), "takeovers": message.c.takeovers + int(continues)}
    updated = connection.execute(query.values(heartbeat_at=clock(), **values)).rowcount == 1
    return queries.run_of(connection, run_id) if updated else None


def release(connection: Connection, owned: Iterable[tuple[str, int]]) -> None:
    """Give up these answers (run id and epoch): they have no worker, and another process may claim them at once."""
    rows = [{"run": run_id, "token": epoch} for run_id, epoch in sorted(owned)]
    if rows:
        connection.execute(_RELEASE, rows)


def choose(
    connection: Connection, owner: str, conversation_id: str, always: Iterable[str], off: Iterable[str] | None
) -> None:
    """Add tools that need no approval; replace the disabled tools unless ``off`` is ``None``. Raises ``NotFound``."""
    row = queries.owned(connection, owner, conversation_id, lock=True)
    current = row.tools or {}
    tools = {
        "always": sorted({*current.get("always", ()), *always}),
        "off": current.get("off", []) if off is None else sorted(set(off)),
    }
    connection.execute(update(conversation).where(conversation.c.id == row.id), {"tools": tools})


def rename(connection: Connection, owner: str, conversation_id: str, title: str) -> None:
    """Change the title of a conversation. Raises ``NotFound``."""
    row = queries.owned(connection, owner, conversation_id, lock=True)
    connection.execute(update(conversation).where(conversation.c.id == row.id), {"title": title})


def retitle(connection: Connection, owner: str, conversation_id: str, title: str, instead_of: str) -> bool:
    """Change the title of a conversation if it is ``instead_of``. Returns whether it was."""
    row = (conversation.c.id == conversation_id, conversation.c.owner == owner, conversation.c.title == instead_of)
    result = connection.execute(update(conversation).where(*row), {"title": title})
    return result.rowcount == 1


def remove(connection: Connection, owner: str, conversation_id: str) -> None:
    """Delete a conversation with its messages. Raises ``NotFound``."""
    row = queries.owned(connection, owner, conversation_id, lock=True)
    delete_conversations(connection, [row.id])


def _check_free(connection: Connection, conversation_id: str, beside: Sequence[str] = ()) -> None:
    """Raise ``InvalidInput`` if an answer is in progress in any process, other than those in ``beside``.

    A streaming answer without a heartbeat for ``ALIVE_SECONDS`` does not count.
    """
    here = and_(message.c.conversation_id == conversation_id, OPEN, message.c.id.not_in(beside))
    suspended = and_(here, message.c.status == "waiting")
    if connection.scalar(select(message.c.id).where(suspended).limit(1)) is not None:
        raise InvalidInput("An answer here waits for your decision about a tool. Decide, or stop it first.")
    streaming = and_(here, message.c.status == "streaming")
    beat = message.c.heartbeat_at
    alive = select(message.c.id).where(streaming, beat > clock(-ALIVE_SECONDS), beat < clock(FUTURE_SECONDS)).limit(1)
    if connection.scalar(alive) is not None:
        raise StillAnswering


def _check_queue(connection: Connection, conversation_id: str) -> None:
    """Raise ``InvalidInput`` if too many answers of a conversation have not ended."""
    open_answers = select(func.count()).where(message.c.conversation_id == conversation_id, OPEN)
    if (connection.scalar(open_answers) or 0) > MAX_QUEUED:
        raise InvalidInput(f"More than {MAX_QUEUED} messages cannot wait in a conversation.")


def _first_question(history: Iterable[Message]) -> tuple[Part, ...]:
    return next((turn.parts for turn in history if turn.role == "user"), ())


def _new_conversation(connection: Connection, owner: str, title: str, new: NewRun) -> str:
    time, conversation_id = now(), new.new_conversation_id or new_id(TEMPORARY if new.temporary else "")
    row = {"id": conversation_id, "owner": owner, "title": title, "model": plain_text(new.model)}
    kept: dict[str, Any] = {"archived": new.archived}
    if new.inherit:
        kept |= settings_to_columns(new.options)
    if new.tools_off:
        kept["tools"] = {"always": [], "off": sorted(set(new.tools_off))}
    connection.execute(insert(conversation), {**row, "created_at": time, "updated_at": time, **kept})
    return conversation_id


def settings_to_columns(options: RunOptions) -> dict[str, Any]:
    """Return the columns of a conversation's options. A schema is one answer's, never the conversation's."""
    generation = replace(options.options, schema=None, stream=True)
    system = plain_text(options.system) if options.system else None
    return {"system": system, "options": RunOptions(None, generation).to_json().get("options")}


def _next_position(connection: Connection, conversation_id: str) -> int:
    last = select(func.max(message.c.position)).where(message.c.conversation_id == conversation_id)
    return (connection.scalar(last) or 0) + 1


def _insert(
    connection: Connection,
    conversation_id: str,
    new: Message,
    parent_id: str | None,
    position: int,
    request: dict[str, Any] | None = None,
) -> None:
    time = now()
    row: dict[str, Any] = {
        "id": new.id,
        "conversation_id": conversation_id,
        "parent_id": parent_id,
        "position": position,
        "role": new.role,
        "seq": 0,
        "created_at": time,
        "updated_at": time,
        **message_to_columns(new),
        "model": plain_text(new.model),
    }
    if request is not None:
        row |= {"request_key": request["key"], "worker": plain_text(request["worker"])}
        own = (BY, STEERS)  # of this answer, not of another one to the same question
        more = {name: value for name, value in (request.get("more") or {}).items() if name not in own}
        row["request"] = more | {name: request[name] for name in own if request.get(name)} or None
        connection.execute(insert(message).values(heartbeat_at=clock()), row)
    else:
        connection.execute(insert(message), row)
    files.link(connection, [(new.id, new.parts)])
    index(connection, new)


def _touch(connection: Connection, conversation_id: str, **columns: Any) -> None:
    values = {"updated_at": now(), **columns}
    connection.execute(update(conversation).where(conversation.c.id == conversation_id), values)


def _touch_all(connection: Connection, message_ids: Sequence[str]) -> None:
    conversations = select(message.c.conversation_id).where(message.c.id.in_(list(message_ids)))
    connection.execute(update(conversation).where(conversation.c.id.in_(conversations)), {"updated_at": now()})
