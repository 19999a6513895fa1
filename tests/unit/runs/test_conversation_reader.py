"""The answers of a conversation are read on while its messages cannot be."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass

import pytest

from streamchat.chat.events import TextDelta
from streamchat.chat.messages import Message
from streamchat.errors import StorageError
from streamchat.runs import conversation_reader
from streamchat.runs.conversation_reader import ConversationReader, Cursor
from streamchat.runs.log import MemoryLog
from streamchat.runs.notifications import MemoryFeed, Notification
from tests.support.entries import EMPTY


@dataclass
class Placed:
    position: int
    parent_id: str | None
    seq: int
    message: Message


class Runs:
    def __init__(self) -> None:
        self.log, self.feed = MemoryLog(), MemoryFeed()

    async def get(self, owner: str, run_id: str):
        raise AssertionError("it is in the log")


class Store:
    """One answer, and whether it can be read."""

    def __init__(self) -> None:
        self.away, self.reads = False, 0
        self.answers = asyncio.Event()
        self.answers.set()

    async def messages_after(self, owner: str, conversation_id: str, position: int, also: Sequence[int], limit: int):
        self.reads += 1
        await self.answers.wait()
        if self.away:
            raise StorageError("The database is locked.")
        return [] if position else [Placed(1, None, 0, EMPTY)]


async def test_an_answer_goes_on_while_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words come, and not each of them with a read; silence has its heartbeats, and a reader's time ends."""
    monkeypatch.setattr(conversation_reader, "PAUSE_SECONDS", 3600)
    runs, store = Runs(), Store()
    runs.log.open(EMPTY)
    reader = ConversationReader(runs, store, "me", "c", Cursor(), heartbeat=0.05)
    async with asyncio.timeout(20), aclosing(reader.batches()) as batches:
        assert await anext(batches), "the message"
        store.away, store.reads = True, 0
        runs.feed.publish("me", Notification("changed", "c"))
        for word in "abcdefgh":
            runs.log.append(EMPTY.id, TextDelta(word))
            while (steps := await anext(batches)) is None:
                pass
            assert [step.event for step in steps] == [TextDelta(word)]
        assert await anext(batches) is None
        assert store.reads == 1
    reader = ConversationReader(runs, store, "me", "c", Cursor(), seconds=0.1)
    async with asyncio.timeout(20), aclosing(reader.batches()) as batches:
        assert [steps async for steps in batches] == []


async def test_an_answer_goes_on_while_the_database_is_slow() -> None:
    """A read that is under way holds up no word, and one that is begun is read to its end, also by a reader whose time
    ends."""
    runs, store = Runs(), Store()
    runs.log.open(EMPTY)
    reader = ConversationReader(runs, store, "me", "c", Cursor(), heartbeat=3600)
    async with asyncio.timeout(20), aclosing(reader.batches()) as batches:
        assert await anext(batches), "the message"
        store.answers.clear()
        runs.feed.publish("me", Notification("changed", "c"))
        for word in "abcdefgh":
            runs.log.append(EMPTY.id, TextDelta(word))
            steps = await anext(batches)
            assert steps is not None
            assert [step.event for step in steps] == [TextDelta(word)]
            await asyncio.sleep(0)
        assert store.reads == 2
    reader = ConversationReader(runs, store, "me", "c", Cursor(), seconds=0.05)
    asyncio.get_running_loop().call_later(0.2, store.answers.set)
    async with asyncio.timeout(20), aclosing(reader.batches()) as batches:
        steps = await anext(batches)
        assert steps is not None
        assert [step.placed.message.id for step in steps] == [EMPTY.id]


async def test_what_came_meanwhile_is_read_when_the_database_is_there_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation_reader, "PAUSE_SECONDS", 0.05)
    runs, store = Runs(), Store()
    runs.log.open(EMPTY)
    store.away = True
    reader = ConversationReader(runs, store, "me", "c", Cursor(), heartbeat=0.01)
    async with asyncio.timeout(20), aclosing(reader.batches()) as batches:
        while store.reads < 3:
            assert await anext(batches) is None
        store.away = False
        while (steps := await anext(batches)) is None:
            pass
        assert [step.placed.message.id for step in steps] == [EMPTY.id]
