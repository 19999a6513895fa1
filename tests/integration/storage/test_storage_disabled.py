"""An account that was disabled begins nothing, also if the request was let in before."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from streamchat.chat.files import CheckedFile
from streamchat.chat.messages import Message, TextPart
from streamchat.chat.presets import Preset
from streamchat.chat.request import NewRun
from streamchat.errors import Unauthorized
from streamchat.storage import Storage, commands
from streamchat.storage.accounts import NewAccount
from streamchat.storage.tables import now


def question(key: str, **more: Any) -> NewRun:
    return NewRun(client_message_id=key, model="m:x", parts=(TextPart("hi"),), **more)


async def account(storage: Storage) -> str:
    made = await storage.accounts.create(NewAccount("Anna", "anna", "first"), invited_by=None, open_to_all=True)
    return made.id


async def test_nothing_begins(storage: Storage) -> None:
    """No question, no comparison and no temporary chat; and nothing is stored. Others go on."""
    anna = await account(storage)
    await storage.begin(anna, question("before"), worker="w")
    await _disable(storage, anna)
    for new in (question("a"), question("b", temporary=True)):
        with pytest.raises(Unauthorized, match="disabled"):
            await storage.begin(anna, new, worker="w")
    with pytest.raises(Unauthorized, match="disabled"):
        await storage.begin_compared(anna, question("c"), ["m:x", "m:y"], worker="w")
    assert len(await storage.conversations(anna)) == 1
    await storage.begin("nobody's account", question("d"), worker="w")


@pytest.mark.parametrize("temporary", [False, True])
async def test_whoever_disables_finds_what_was_begun(
    storage: Storage, monkeypatch: pytest.MonkeyPatch, temporary: bool
) -> None:
    """A start whose transaction is open when the account is disabled is seen right after it: it can be stopped."""
    anna = await account(storage)
    inside, go_on, ask = threading.Event(), threading.Event(), commands.ask

    def slow(*arguments: Any) -> Any:
        inside.set()
        go_on.wait()
        return ask(*arguments)

    async def disabled() -> list[str]:
        await _disable(storage, anna)
        return await storage.personal.running(anna)

    monkeypatch.setattr(commands, "ask", slow)
    beginning = asyncio.create_task(storage.begin(anna, question("a", temporary=temporary), worker="w"))
    await asyncio.to_thread(inside.wait)
    disabling = asyncio.create_task(disabled())
    await asyncio.wait({disabling}, timeout=1)
    go_on.set()
    begun = await beginning
    assert await disabling == [begun.run_id]


async def test_a_temporary_chat_asks_when_it_begins(storage: Storage) -> None:
    """Whose account is disabled while the start waits for its turn begins nothing, however short that is."""
    anna = await account(storage)
    await storage.begin(anna, question("first", temporary=True), worker="w")
    inside, go_on = threading.Event(), threading.Event()

    def busy(connection: Any) -> None:
        inside.set()
        go_on.wait()

    assert storage._memory is not None
    blocking = asyncio.create_task(storage._memory.write(busy))
    await asyncio.to_thread(inside.wait)
    beginning = asyncio.create_task(storage.begin(anna, question("b", temporary=True), worker="w"))
    await asyncio.sleep(0)
    await _disable(storage, anna)
    go_on.set()
    await blocking
    with pytest.raises(Unauthorized, match="disabled"):
        await beginning
    assert len(await storage.personal.running(anna)) == 1


@pytest.mark.parametrize("temporary", [False, True])
async def test_a_person_who_was_deleted_leaves_nothing_new(url: str, temporary: bool) -> None:
    """A request that was let in before, and is slower than the deletion, stores nothing: no answer, no file, no key."""
    storage = Storage(url, has_accounts=True)
    await storage.open()
    anna = await account(storage)
    await _disable(storage, anna)
    await storage.personal.delete_rows(anna)
    file = CheckedFile("a.txt", "text/plain", b"x", text="x")
    later: list[Coroutine[Any, Any, Any]] = [
        storage.begin(anna, question("a", temporary=temporary), worker="w"),
        storage.begin_compared(anna, question("c", temporary=temporary), ["m:x", "m:y"], worker="w"),
        storage.add_file(anna, file, quota=10, temporary=temporary),
        storage.insert_conversation(anna, "Imported", [Message("m", "user", (TextPart("hi"),))]),
        storage.presets.save(anna, Preset("", "preset", "Mine")),
        storage.provider_keys.save(anna, "openai", "sealed", "1234"),
        storage.webhooks.add(anna, "w", "https://example.com", ["ended"], "sealed"),
    ]
    for one in later:
        with pytest.raises(Unauthorized, match="does not exist"):
            await one
    rows = await storage.personal.rows(anna)
    assert not any(rows.values()), rows
    await storage.close()


async def _disable(storage: Storage, account_id: str) -> None:
    """Disable it, the last admin or not."""
    second = NewAccount("Bert", "bert", "second")
    bert = await storage.accounts.create(second, invited_by=None, open_to_all=True)
    await storage.accounts.change(bert.id, role="admin")
    await storage.accounts.change(account_id, disabled_at=now())
