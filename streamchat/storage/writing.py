"""The statements that change rows. Each takes a connection and belongs to its caller's transaction.

Knows nothing of transactions or of errors of the database. Rules:

* A row that has an ending never changes again, and a row never goes back to a lower seq: both are in the
  statement's own condition, so that no writer, however late, can break them.
* Rows are touched in the order of their ids, so that two writers cannot wait for each other in a circle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from streamchat.chat.events import Interrupted
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message, NoticePart, Part, settled
from streamchat.errors import InvalidInput
from streamchat.storage import reading
from streamchat.storage.codec import message_from_columns, message_to_columns, plain_text
from streamchat.storage.reading import conversation, message
from streamchat.storage.searching import index
from streamchat.storage.tables import OPEN, new_id, now
from streamchat.storage.titles import title_of
from streamchat.storage.views import Begun

_ALIVE = timedelta(seconds=3)  # a writer says so twice a second
LOST = 1_000_000
"""An answer whose process died was told further than it was stored: its ending gets a number that nobody has seen."""
CONTINUED = NoticePart("continued", "Continued from the partial answer.")
_WRITE = update(message).where(message.c.id == bindparam("run"), OPEN, message.c.seq <= bindparam("up_to"))


async def ask(
    connection: AsyncConnection,
    owner: str,
    conversation_id: str | None,
    asked: Asked,
    request: dict[str, Any],
    alone: bool,
) -> Begun:
    """The question and the row of its answer, in a new conversation or after the active leaf."""
    if conversation_id is None:
        title, history = title_of(asked.parts or _first_question(asked.history)), ()
        conversation_id = await _new_conversation(connection, owner, title, asked.named or new_id())
    else:
        row = await reading.owned(connection, owner, conversation_id, lock=True)
        if alone:
            await _check_free(connection, conversation_id)
        title, history = row.title, await reading.branch(connection, row.leaf_id)
        if not asked.parts and not asked.history and history and history[-1].role == "assistant":
            history = history[:-1]  # no question: this answer goes on from the last one, and stands in its place
    said = [replace(earlier, id=new_id()) for earlier in asked.history]
    if asked.parts:
        said.append(Message(new_id(), "user", asked.parts))
    position = await _next_position(connection, conversation_id)
    for one in said:
        await _insert(connection, conversation_id, one, history[-1].id if history else None, position)
        history, position = (*history, one), position + 1
    answer = Message(new_id(), "assistant", asked.prefix, status="streaming", model=request["model"])
    await _insert(connection, conversation_id, answer, history[-1].id if history else None, position, request)
    await _touch(connection, conversation_id, leaf_id=answer.id)
    return Begun(answer.id, conversation_id, title, reading.last_of(history), answer, history, True)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: its ``parts``, earlier turns that came with it, and the parts with which its answer begins.
    ``named``: the id of a conversation that it begins."""

    parts: tuple[Part, ...]
    history: tuple[Message, ...] = ()
    prefix: tuple[Part, ...] = ()
    named: str | None = None


async def ask_again(
    connection: AsyncConnection, owner: str, message_id: str, keep: bool, request: dict[str, Any], alone: bool
) -> Begun:
    """The row of another answer to the same question, beside one that has ended."""
    old = await reading.stored(connection, owner, message_id)
    row = await reading.owned(connection, owner, old.conversation_id, lock=True)
    if not old.message.ended:
        raise InvalidInput("This answer is still being written.")
    if alone:
        await _check_free(connection, row.id)
    parent = await connection.scalar(select(message.c.parent_id).where(message.c.id == old.run_id))
    history = await reading.branch(connection, parent)
    answer = Message(new_id(), "assistant", status="streaming", model=request["model"])
    if keep and old.message.parts:
        parts = (*settled(old.message.parts), CONTINUED)
        answer = replace(answer, parts=parts, opaque=old.message.opaque)
    request = {**request, "more": old.request or None}
    await _insert(connection, row.id, answer, parent, await _next_position(connection, row.id), request)
    await _touch(connection, row.id, leaf_id=answer.id)
    return Begun(answer.id, row.id, row.title, reading.last_of(history), answer, history, True)


async def store(connection: AsyncConnection, entries: Sequence[tuple[Message, int]]) -> int:
    """Messages with the seq they contain. How many rows took them, where the database counts that."""
    time = now()
    rows = [
        {"run": entry.id, "up_to": seq, "seq": seq, "heartbeat_at": time, "updated_at": time}
        | message_to_columns(entry)
        for entry, seq in sorted(entries, key=lambda item: item[0].id)
    ]
    return (await connection.execute(_WRITE, rows if len(rows) > 1 else rows[0])).rowcount


async def finish(connection: AsyncConnection, ended: Message, seq: int) -> bool:
    """Whether the row has this ending now, also where an earlier try had stored it."""
    if await store(connection, [(ended, seq)]):
        await index(connection, ended)
        await _touch_of(connection, ended.id)
        return True
    query = select(message.c.status, message.c.seq).where(message.c.id == ended.id)
    there = (await connection.execute(query)).one_or_none()
    return there is not None and tuple(there) == (ended.status, seq)


async def move_on(connection: AsyncConnection, changed: Message, seq: int, after: int, worker: str) -> bool:
    """Whether the answer still waited, with this seq; then it is as told now."""
    query = update(message).where(message.c.id == changed.id, message.c.status == "waiting", message.c.seq == after)
    time = now()
    columns = {**message_to_columns(changed), "seq": seq, "worker": worker, "heartbeat_at": time, "updated_at": time}
    moved = (await connection.execute(query.values(columns))).rowcount == 1
    if moved and changed.ended:
        await index(connection, changed)
        await _touch_of(connection, changed.id)
    return moved


async def choose(
    connection: AsyncConnection, owner: str, conversation_id: str, always: Iterable[str], off: Iterable[str] | None
) -> None:
    row = await reading.owned(connection, owner, conversation_id, lock=True)
    before = row.tools or {}
    tools = {
        "always": sorted({*before.get("always", ()), *always}),
        "off": before.get("off", []) if off is None else sorted(set(off)),
    }
    await connection.execute(update(conversation).where(conversation.c.id == row.id), {"tools": tools})


async def beat(connection: AsyncConnection, run_ids: Iterable[str]) -> None:
    rows = [{"run": run_id, "heartbeat_at": now()} for run_id in sorted(set(run_ids))]
    if rows:
        await connection.execute(update(message).where(message.c.id == bindparam("run"), OPEN), rows)


async def sweep(connection: AsyncConnection, stale_before: datetime, sentence: str) -> list[tuple[str, str]]:
    """End the answers whose process is gone."""
    query = select(message).where(reading.silent_since(stale_before))  # sorted, SQLite would read them all
    swept = []
    for row in (await connection.execute(query.with_for_update(skip_locked=True))).all():
        before = message_from_columns(row._asdict())
        after = fold(before, Interrupted(sentence, kind="process-gone"))
        columns = message_to_columns(after)
        if after.parts == before.parts:
            del columns["parts"]  # unchanged, so not rewritten: it may hold what only a newer version can read
        columns |= {"seq": row.seq + LOST, "updated_at": now()}
        await connection.execute(update(message).where(message.c.id == row.id), columns)
        await index(connection, after)
        swept.append((row.id, row.conversation_id))
    return swept


async def rename(connection: AsyncConnection, owner: str, conversation_id: str, title: str) -> None:
    row = await reading.owned(connection, owner, conversation_id, lock=True)
    await connection.execute(update(conversation).where(conversation.c.id == row.id), {"title": title})


async def remove(connection: AsyncConnection, owner: str, conversation_id: str) -> None:
    row = await reading.owned(connection, owner, conversation_id, lock=True)
    await connection.execute(delete(message).where(message.c.conversation_id == row.id))
    await connection.execute(delete(conversation).where(conversation.c.id == row.id))


async def _check_free(connection: AsyncConnection, conversation_id: str) -> None:
    """Whichever process writes it: one answer at a time. One that is silent for ``_ALIVE`` holds up nobody."""
    waits = and_(message.c.conversation_id == conversation_id, OPEN, message.c.status == "waiting")
    if await connection.scalar(select(message.c.id).where(waits).limit(1)) is not None:
        raise InvalidInput("An answer here waits for your decision about a tool. Decide, or stop it first.")
    here = and_(message.c.conversation_id == conversation_id, OPEN, message.c.status == "streaming")
    alive = select(message.c.id).where(here, message.c.heartbeat_at > now() - _ALIVE).limit(1)
    if await connection.scalar(alive) is not None:
        raise InvalidInput("An answer is still being written here. Stop it first, or wait for its end.")


def _first_question(history: tuple[Message, ...]) -> tuple[Part, ...]:
    return next((one.parts for one in history if one.role == "user"), ())


async def _new_conversation(connection: AsyncConnection, owner: str, title: str, new: str) -> str:
    time = now()
    row = {"id": new, "owner": owner, "title": title, "created_at": time, "updated_at": time}
    await connection.execute(insert(conversation), row)
    return row["id"]


async def _next_position(connection: AsyncConnection, conversation_id: str) -> int:
    last = select(func.max(message.c.position)).where(message.c.conversation_id == conversation_id)
    return (await connection.scalar(last) or 0) + 1


async def _insert(
    connection: AsyncConnection,
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
        row |= {"request_key": request["key"], "worker": plain_text(request["worker"]), "heartbeat_at": time}
        row["request"] = request.get("more") or None
    await connection.execute(insert(message), row)
    await index(connection, new)


async def _touch(connection: AsyncConnection, conversation_id: str, **also: str) -> None:
    changed = {"updated_at": now(), **also}
    await connection.execute(update(conversation).where(conversation.c.id == conversation_id), changed)


async def _touch_of(connection: AsyncConnection, message_id: str) -> None:
    its = select(message.c.conversation_id).where(message.c.id == message_id).scalar_subquery()
    await connection.execute(update(conversation).where(conversation.c.id == its), {"updated_at": now()})
