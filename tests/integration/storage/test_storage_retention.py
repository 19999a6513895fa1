"""Retention: what is older is gone, in small transactions, by one worker at a time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import func, select, update

from streamchat.chat.messages import Message, TextPart
from streamchat.chat.request import NewRun
from streamchat.runs.notifications import MemoryFeed, Notification
from streamchat.runs.wakeup import Wakeup
from streamchat.storage import Storage
from streamchat.storage.queries import conversation, message
from streamchat.storage.store import _ALONE, IDLE_AT_ONCE
from streamchat.storage.tables import now
from streamchat.wiring.retention import delete_old

DAYS = 10


async def age(storage: Storage, days: float, *ids: str, **more: object) -> None:
    values = {"updated_at": now() - timedelta(days=days), **more}
    statement = update(conversation).where(conversation.c.id.in_(ids)).values(values)
    await storage._database.write(lambda connection: connection.execute(statement))


async def titles(storage: Storage) -> set[str]:
    def work(connection):
        return set(connection.scalars(select(conversation.c.title)))

    return await storage._database.read(work)


async def new(storage: Storage, title: str) -> str:
    parts = (TextPart(f"zebrafish {title}"),)
    return await storage.insert_conversation("anna", title, [Message("", "user", parts, status="finished")])


async def test_what_nobody_changed_is_deleted(storage: Storage):
    """Pinned, archived and deleted ones too; not one that is younger, nor one in which an answer is being written. The
    pages of the owners are told. Without the setting only the trash is emptied."""
    ids = {name: await new(storage, name) for name in ("old", "pinned", "archived", "trash", "young")}
    busy = await storage.begin(
        "bert", NewRun(client_message_id="c-1", parts=(TextPart("busy"),), model="fake:one"), worker="w"
    )
    old = [one for name, one in ids.items() if name != "young"]
    await age(storage, DAYS + 1, *old, busy.conversation_id)
    await age(storage, DAYS - 1, ids["young"])
    await storage.configure("anna", ids["pinned"], pinned=True)
    await storage.configure("anna", ids["archived"], archived=True)
    await storage.discard("anna", ids["trash"])
    feed, wakeup = MemoryFeed(), Wakeup()
    subscription = feed.subscribe("anna", wakeup)
    everything = await titles(storage)

    assert await delete_old(storage, feed, None, now()) == 0
    assert await titles(storage) == everything
    assert await delete_old(storage, feed, DAYS, now()) == 4
    assert await titles(storage) == {"young", "busy"}
    assert set(subscription.take()) == {Notification("changed", one) for one in old}
    assert [hit.title for hit in await storage.search("anna", "zebrafish")] == ["young"]
    rows = await storage._database.read(lambda connection: connection.scalar(select(func.count(message.c.id))))
    assert rows == 3
    await delete_old(storage, feed, None, now() + timedelta(days=31))
    assert await titles(storage) == {"young", "busy"}


async def test_a_shorter_retention_empties_the_trash_sooner(storage: Storage):
    """What was deleted goes after the same time."""
    one = await new(storage, "trash")
    await storage.discard("anna", one)
    await age(storage, 0, one, deleted_at=now() - timedelta(days=DAYS + 1))
    await delete_old(storage, MemoryFeed(), None, now())
    assert await titles(storage) == {"trash"}
    await delete_old(storage, MemoryFeed(), DAYS, now())
    assert await titles(storage) == set()


async def test_it_is_done_in_batches_by_one_at_a_time(storage: Storage, url: str):
    """A transaction has so many at most; two workers that begin together delete each conversation once, and one that
    finds another at work leaves it to that one."""
    count = 2 * IDLE_AT_ONCE + 3
    ids = [await new(storage, f"t{n}") for n in range(count)]
    await age(storage, DAYS + 1, *ids)
    assert len(await storage.delete_idle(now() - timedelta(days=DAYS))) == IDLE_AT_ONCE
    other = Storage(url)
    await other.open()
    if not url.startswith("sqlite"):
        with other._database.engine.begin() as connection:
            assert connection.scalar(_ALONE)
            assert await storage.delete_idle(now() - timedelta(days=DAYS)) == []
    deleted = await asyncio.gather(*(delete_old(one, MemoryFeed(), DAYS, now()) for one in (storage, other)))
    await other.close()
    assert sum(deleted) == count - IDLE_AT_ONCE
    assert await titles(storage) == set()
