"""What a call costs does not grow with what is stored beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, insert, update

from streamchat.chat.messages import Message, TextPart
from streamchat.chat.request import NewRun
from streamchat.chat.writes import Change
from streamchat.errors import NotFound
from streamchat.storage import Begun, Storage
from streamchat.storage.mapping import message_to_columns
from streamchat.storage.queries import conversation, message
from streamchat.storage.tables import new_id, now
from tests.support.storing import beat, save, sweep


@contextmanager
def statements(storage: Storage) -> Iterator[list[tuple[str, Any]]]:
    """What is sent to the database meanwhile, with its parameters, but for what begins a transaction."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, values: Any, _context: object, many: bool) -> None:
        if not statement.startswith(("BEGIN", "SET LOCAL")):
            seen.append((statement, values[0] if many else values))

    engine = storage._database.engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


async def turn(storage: Storage, key: str, to: str | None = None) -> Begun:
    begun = await storage.begin(
        "local", NewRun(conversation_id=to, client_message_id=key, parts=[TextPart(key)], model="m:x"), worker="w"
    )
    await storage.end(replace(begun.answer, status="finished", parts=(TextPart(f"re {key}"),)), 1)
    return begun


async def long_conversation(storage: Storage, turns: int) -> str:
    """As ``turn`` makes them, but at once."""
    first = await turn(storage, "t0")
    rows, parent = [], first.run_id
    for n in range(1, turns):
        for role, text in (("user", f"t{n}"), ("assistant", f"re t{n}")):
            told = message_to_columns(Message("", "user", (TextPart(text),)))
            row = {"id": new_id(), "parent_id": parent, "role": role, "position": len(rows) + 3, **told}
            rows.append(row | {"conversation_id": first.conversation_id, "model": "", "seq": 1})
            parent = row["id"]
    times = {"created_at": now(), "updated_at": now()}
    await storage._database.write(lambda c: c.execute(insert(message), [row | times for row in rows]))
    leaf = update(conversation).where(conversation.c.id == first.conversation_id).values(leaf_id=parent)
    await storage._database.write(lambda c: c.execute(leaf))
    return first.conversation_id


async def test_five_hundred_messages_in_as_few_queries_as_two(storage: Storage) -> None:
    """A long conversation loads in order, and takes as many queries as a short one."""
    short = (await turn(storage, "short")).conversation_id
    long = await long_conversation(storage, 250)
    counts = []
    for conversation_id in (short, long):
        with statements(storage) as seen:
            loaded = await storage.conversation("local", conversation_id)
        counts.append(len(seen))
    assert counts == [4, 4]  # the conversation, its messages, their pieces, and their ratings
    texts = [m.text for m in loaded.messages]
    assert texts == [text for n in range(250) for text in (f"t{n}", f"re t{n}")]


async def test_a_long_conversation_can_be_deleted(storage: Storage) -> None:
    """4,000 messages, each hanging on the one before: no database gives up at the depth of the chain."""
    conversation_id = await long_conversation(storage, 2000)
    await storage.delete("local", conversation_id)
    assert await storage.conversations("local") == []


async def test_a_batch_is_one_statement(storage: Storage) -> None:
    """Twenty partial answers take as many round trips as two."""
    begun = [await turn(storage, f"q{n}") for n in range(20)]
    counts = []
    for some in (begun[:2], begun):
        with statements(storage) as seen:
            await save(storage, [(b.answer, 1) for b in some])
        counts.append(len(seen))
    assert counts[0] == counts[1]


async def test_no_call_reads_a_whole_table(tmp_path: Path) -> None:
    """SQLite's own plan of every statement: by an index, or through the few answers that are under way."""
    storage = Storage(f"sqlite:///{tmp_path / 'chat.db'}")
    await storage.open()
    with statements(storage) as seen:
        begun = await turn(storage, "a")
        await turn(storage, "b", begun.conversation_id)
        await turn(storage, "a")
        arguments = {"client_message_id": "r", "model": "m:x", "worker": "w", "continue_partial": True}
        await storage.begin_again("local", message_id=begun.run_id, **arguments)
        await save(storage, [(begun.answer, 1), (begun.answer, 2)])
        await beat(storage, [begun.run_id])
        await storage.conversation("local", begun.conversation_id)
        (row,) = await storage.conversations("local")
        await storage.conversations("local", before=row.cursor)
        await storage.answer("local", begun.run_id)
        await storage.answering("local")
        await sweep(storage, 0)
        await storage.rename("local", begun.conversation_id, "x")
        await storage.delete("local", begun.conversation_id)

    def plan(connection: Connection, statement: str, values: Any) -> list[str]:
        return [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)]

    plans: dict[str, list[str]] = {}
    for statement, values in seen:
        if statement.split()[0] in ("SELECT", "WITH", "UPDATE", "DELETE"):
            plans[statement] = await storage._database.read(
                lambda connection, what=(statement, values): plan(connection, *what)
            )
    assert len(plans) > 15
    allowed = ("SCAN path", "SCAN CONSTANT ROW", "SCAN message USING INDEX ix_message_open")
    whole = [
        (step, statement)
        for statement, steps in plans.items()
        for step in steps
        if step.startswith("SCAN") and not step.startswith(allowed)
    ]
    assert whole == []
    await storage.close()


async def test_all_who_follow_a_conversation_share_a_query(storage: Storage) -> None:
    """A thousand readers that are woken together cost one query, and one that asks later sees what came meanwhile."""
    conversation_id = await long_conversation(storage, 2)
    with statements(storage) as seen:
        pages = await asyncio.gather(
            *(storage.messages_after("local", conversation_id, 0, (), 50) for _ in range(1000))
        )
    assert len(seen) < 10
    assert all(page == pages[0] for page in pages)
    reading = asyncio.gather(*(storage.messages_after("local", conversation_id, 0, (), 50) for _ in range(10)))
    await asyncio.sleep(0)
    await turn(storage, "new", conversation_id)
    later = await storage.messages_after("local", conversation_id, 0, (), 50)
    assert len(later) == len(pages[0]) + 2
    await reading


async def test_a_query_that_is_shared_fails_for_all_and_outlives_who_leaves(storage: Storage) -> None:
    """A conversation that is not there is missing for each; one that leaves ends nobody else's query."""
    calls = [asyncio.create_task(storage.messages_after("local", "none", 0, (), 50)) for _ in range(3)]
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(outcome, NotFound)
    conversation_id = await long_conversation(storage, 2)
    calls = [asyncio.create_task(storage.messages_after("local", conversation_id, 0, (), 50)) for _ in range(3)]
    await asyncio.sleep(0)
    calls[0].cancel()
    assert len(await calls[1]) == len(await calls[2]) == 4


async def test_all_tabs_of_a_person_share_a_query(storage: Storage) -> None:
    """Two hundred tabs that are told of the same change cost a query, and none gets a list from before its call."""
    await long_conversation(storage, 2)
    with statements(storage) as seen:
        first = await asyncio.gather(*(storage.newest_conversations("local", 100, list) for _ in range(200)))
    assert len(seen) < 10
    assert all(len(rows) == 1 for rows in first)
    waiting = asyncio.create_task(storage.newest_conversations("local", 100, list))
    await asyncio.sleep(0)
    await turn(storage, "new")
    with statements(storage) as seen:
        later = await asyncio.gather(*(storage.newest_conversations("local", 100, list) for _ in range(200)))
        assert await waiting
    assert len(seen) < 10
    assert all(len(rows) == 2 for rows in later)
    assert await storage.newest_conversations("somebody else", 100, list) == []


async def test_what_proves_that_a_process_lives_waits_for_no_line(storage: Storage) -> None:
    """Heartbeats of answers come before a hundred beginnings that wait already; the others keep their order."""
    begun = await storage.begin(
        "local", NewRun(client_message_id="own", parts=[TextPart("a")], model="m:x"), worker="w"
    )
    done: list[str] = []

    async def begin(key: str) -> None:
        await storage.begin("local", NewRun(client_message_id=key, parts=[TextPart(key)], model="m:x"), worker="w")
        done.append(key)

    async def beat() -> None:
        written = await storage.write([Change(begun.run_id, 0, 0, 0)])
        assert begun.run_id in written.seqs
        done.append("beat")

    await asyncio.gather(*(begin(f"{n:03}") for n in range(100)), beat())
    assert done.index("beat") < 30
    if storage._database.address.file:
        assert [key for key in done if key != "beat"] == sorted(key for key in done if key != "beat")
