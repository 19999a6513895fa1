"""Both clients follow a conversation without knowing its runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamchat.chat.events import Finished, TextDelta
from streamchat.client import AsyncClient, Client
from streamchat.errors import InvalidInput, NotFound
from streamchat.web import conversation_events
from tests.integration.web.conftest import Api

PATIENCE = 60


async def answered(api: Api, text: str, where: str | None = None) -> str:
    """A whole answer. Returns its conversation."""
    body = {"message": "hi"} | ({"conversation_id": where} if where else {})
    started = (await api.client.post("/api/runs", json=body)).json()
    api.provider.say(TextDelta(text), Finished("stop"))
    await api.world.ended(started["run_id"])
    return started["conversation_id"]


def texts(events: list[dict[str, Any]]) -> list[str]:
    """What was written, an answer each."""
    said: dict[str, str] = {}
    for event in events:
        if event["type"] == "text-delta":
            said[event["run_id"]] = said.get(event["run_id"], "") + event["text"]
        elif event["type"] == "snapshot":
            said[event["run_id"]] = event["message"]["text"]
    return list(said.values())


async def test_over_several_connections(api: Api, monkeypatch: pytest.MonkeyPatch):
    """The server ends each connection after a moment: every event comes once all the same, up to ``deleted``."""
    monkeypatch.setattr(conversation_events, "MAX_SECONDS", 0.0)
    where = await answered(api, "one")
    events: list[dict[str, Any]] = []
    async with asyncio.timeout(PATIENCE), AsyncClient(api.url) as client:
        async for _, event in client.follow_conversation(where):
            events.append(event)
            if event["type"] == "finished":
                if len(texts(events)) < 3:
                    await answered(api, f"again {len(texts(events))}", where)
                else:
                    await client.delete_conversation(where)
    assert texts(events) == ["one", "again 1", "again 2"]
    assert [event["type"] for event in events].count("message") == 6
    assert events[-1]["type"] == "deleted"


async def test_without_asyncio(api: Api):
    """The synchronous client yields the same, and can be left."""
    where = await answered(api, "one")

    def read() -> list[dict[str, Any]]:
        events = []
        with Client(api.url) as client:
            for _, event in client.follow_conversation(where):
                events.append(event)
                if event["type"] == "finished":
                    break
        return events

    async with asyncio.timeout(PATIENCE):
        assert texts(await asyncio.to_thread(read)) == ["one"]


async def test_what_cannot_be_followed(api: Api):
    """An unknown conversation, and what is no cursor, are errors and not waited for."""
    where = await answered(api, "one")
    async with asyncio.timeout(PATIENCE), AsyncClient(api.url) as client:
        with pytest.raises(NotFound):
            await anext(client.follow_conversation("0" * 26))
        with pytest.raises(InvalidInput):
            await anext(client.follow_conversation(where, after="x"))
