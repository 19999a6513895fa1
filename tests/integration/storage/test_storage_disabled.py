"""An account that was disabled begins nothing, also if the request was let in before."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from streamchat.chat.messages import TextPart
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


async def test_whoever_disables_finds_what_was_begun(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
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
    beginning = asyncio.create_task(storage.begin(anna, question("a"), worker="w"))
    await asyncio.to_thread(inside.wait)
    disabling = asyncio.create_task(disabled())
    await asyncio.wait({disabling}, timeout=1)
    go_on.set()
    begun = await beginning
    assert await disabling == [begun.run_id]


async def _disable(storage: Storage, account_id: str) -> None:
    """Disable it, the last admin or not."""
    second = NewAccount("Bert", "bert", "second")
    bert = await storage.accounts.create(second, invited_by=None, open_to_all=True)
    await storage.accounts.change(bert.id, role="admin")
    await storage.accounts.change(account_id, disabled_at=now())
