"""Whose answer it is: asked by every request for one, from the database as it is at that moment."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.errors import NotFound
from streamchat.storage import Storage
from streamchat.storage.records import Begun


async def begun(storage: Storage, key: str = "a", *, temporary: bool = False) -> Begun:
    new = NewRun(client_message_id=key, model="m:x", parts=(TextPart("hi"),), temporary=temporary)
    return await storage.begin("anna", new, worker="w")


@pytest.mark.parametrize("temporary", [False, True])
async def test_only_an_answer_and_only_its_owners(storage: Storage, temporary: bool) -> None:
    """Of an unknown, a malformed, a question's or another person's id there is nothing to see."""
    run = await begun(storage, temporary=temporary)
    assert await storage.conversation_of("anna", run.run_id) == run.conversation_id
    nobodys = (run.run_id[::-1], "", "x" * 5000, "'; --", "\0", run.user.id, run.conversation_id)
    for owner, run_id in [("bert", run.run_id), *(("anna", one) for one in nobodys)]:
        with pytest.raises(NotFound):
            await storage.conversation_of(owner, run_id)


async def test_deletion_counts_at_once(storage: Storage, url: str) -> None:
    """In the trash, back from it, and deleted for good: by this process or another one, from the very next request."""
    other = Storage(url)
    await other.open()
    for mine, theirs in ((storage, other), (other, storage)):
        run = await begun(storage, key=f"{id(mine)}")
        for change, there in ((theirs.discard, False), (theirs.restore, True), (theirs.delete, False)):
            await change("anna", run.conversation_id)
            if there:
                assert await mine.conversation_of("anna", run.run_id) == run.conversation_id
            else:
                with pytest.raises(NotFound):
                    await mine.conversation_of("anna", run.run_id)
    await other.close()


async def test_a_request_that_was_given_up_disturbs_no_other(storage: Storage) -> None:
    """A caller that is cancelled in the middle leaves the next one its answer."""
    run = await begun(storage)
    for _ in range(20):
        asking = asyncio.create_task(storage.conversation_of("anna", run.run_id))
        await asyncio.sleep(0)
        asking.cancel()
        asked = await asyncio.gather(*(storage.conversation_of("anna", run.run_id) for _ in range(20)))
        assert set(asked) == {run.conversation_id}


async def test_a_lost_connection_costs_no_request(postgres_database: str) -> None:
    """A server that was restarted, or a pooler that closes what is idle, is not seen by whoever asks next."""
    storage = Storage(postgres_database)
    await storage.open()
    run = await begun(storage)
    lost = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
    for _ in range(3):
        assert await storage.conversation_of("anna", run.run_id) == run.conversation_id
        await storage._database.write(lambda connection: connection.execute(lost))
    await storage.close()
