"""However long the database takes to read the branch, the words of an answer come, and what came is not taken back."""

from __future__ import annotations

import asyncio

import pytest

from streamchat.chat.messages import Message, TextPart
from streamchat.identity import LOCAL_OWNER
from streamchat.runs.notifications import Notification
from streamchat.ui.transcript import Transcript
from tests.integration.ui.test_first_words import Reads, ask
from tests.integration.ui.test_pace import PATIENCE, Tab, services, tab, until
from tests.support.page_model import PageModel

__all__ = ["services", "tab"]


async def test_an_answer_goes_on_while_its_branch_is_read(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new title, and then the page before a message, during an answer: both come when they can be read."""
    await tab.services.store.rename(LOCAL_OWNER, tab.where, "Another title")
    reads = Reads(tab.services, monkeypatch)
    tab.services.runs.feed.publish(LOCAL_OWNER, Notification("changed", tab.where))
    while not reads.count:
        await until(tab.frames, "piece")
    for _ in range(3):
        assert len(await until(tab.frames, "piece")) == 1
    reads.open.set()
    assert (await until(tab.frames, "about"))[-1]["title"] == "Another title"

    reads.open.clear()
    tab.transcript.show_earlier(tab.run_id)
    while reads.count == 1:
        await until(tab.frames, "piece")
    await until(tab.frames, "piece")
    reads.open.set()
    assert [one["role"] for one in (await until(tab.frames, "earlier"))[-1]["messages"]] == ["user"]
    await tab.services.runs.stop(LOCAL_OWNER, tab.where)


async def test_a_late_read_takes_back_no_question(services, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read before a question was asked is older than the question, which stays shown."""
    where = await services.store.insert_conversation(LOCAL_OWNER, "One", [Message("m", "user", (TextPart("Hi"),))])
    model = PageModel()
    transcript = Transcript(services, LOCAL_OWNER, where)
    frames = transcript.frames()
    async with asyncio.timeout(PATIENCE):
        for frame in await until(frames, "open"):
            model.feed(frame)
        old = await services.store.branch_page(LOCAL_OWNER, where, limit=9, known=model.ids)
        read, asked, late = services.store.branch_page, asyncio.Event(), asyncio.Event()

        async def wait(*arguments, **more):
            if asked.is_set():
                return await read(*arguments, **more)
            asked.set()
            await late.wait()
            return old

        monkeypatch.setattr(services.store, "branch_page", wait)
        services.runs.feed.publish(LOCAL_OWNER, Notification("changed", where))
        reading = asyncio.ensure_future(until(frames, "messages"))
        await asked.wait()
        begun = await ask(services, "a", "n=50 rate=100 kind=numbered", where)
        got = await reading
        late.set()
        got += await until(frames, "end")
    await frames.aclose()
    assert not {"drop", "order"} & {frame.get("k") for frame in got}
    for frame in got:
        model.feed(frame)
    assert model.ids[-2:] == [begun.user.id, begun.answer.id]
