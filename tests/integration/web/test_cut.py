"""An answer is forked at any of its events: by another answer that goes on from there, and in a copy."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from streamchat.chat.events import (
    Event,
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolCallReady,
    ToolCallStarted,
    ToolResult,
)
from streamchat.chat.messages import Message, NoticePart, TextPart
from tests.integration.web.conftest import Api

SAID: list[Event] = [
    ReasoningDelta("Hm. "),
    TextDelta("One "),
    TextDelta("two "),
    ToolCallStarted("c", "look", True),
    ToolCallReady("c", {}),
    ToolResult("c", "done", 3),
    TextDelta("three."),
    Finished(),
]


def texts(message: Message) -> list[str]:
    return [part.text for part in message.parts if isinstance(part, TextPart)]


async def branch(api: Api, run_id: str, after: int, **more: Any) -> str:
    answer = await api.client.post(f"/api/messages/{run_id}/regenerate", json={"after": after, **more})
    assert answer.status_code == 201, answer.text
    return answer.json()["run_id"]


@pytest.mark.parametrize("after", range(len(SAID) + 1))
async def test_an_answer_goes_on_from_any_event(api: Api, after: int):
    """The model gets what was said up to there, and nothing of the rest; the first answer stays as it was."""
    run_id = await api.said(*SAID)
    before = await api.world.stored(run_id)
    other = await branch(api, run_id, after, client_message_id="f")
    while len(api.provider.requests) < 2:
        await asyncio.sleep(0.005)
    sent = api.provider.requests[-1].messages
    kept = {2: ["One "], 3: ["One two "], 4: ["One two "], 5: ["One two "], 6: ["One two "]}.get(after, [])
    kept = ["One two ", "three."] if after > 6 else kept
    assert [text for message in sent if message.role == "assistant" for text in texts(message)] == kept
    api.provider.say(TextDelta("else."), Finished())
    message = await api.world.ended(other)
    assert "".join(texts(message)) == "".join(kept) + "else."
    (forked,) = (part for part in message.parts if isinstance(part, NoticePart) and part.kind == "forked")
    assert forked.data == {"run_id": run_id, "seq": after}
    assert await api.world.stored(run_id) == before
    assert await api.world.stored(other) == message
    again = await api.client.post(f"/api/messages/{run_id}/regenerate", json={"after": after, "client_message_id": "f"})
    assert (again.status_code, again.json()["run_id"]) == (200, other)


async def test_a_branch_of_a_branch(api: Api):
    """What it began with counts as before its first event."""
    first = await api.said(TextDelta("One "), TextDelta("two."), Finished())
    second = await branch(api, first, 1)
    api.provider.say(TextDelta("zwei, "), TextDelta("drei."), Finished())
    await api.world.ended(second)
    third = await branch(api, second, 0)
    api.provider.say(TextDelta("deux."), Finished())
    assert (await api.world.ended(third)).text == "One deux."


async def test_a_copy_ends_at_the_event(api: Api):
    """A new conversation with the answer up to there, which is continued and shared as any other."""
    run_id = await api.said(*SAID)
    answer = await api.client.post(f"/api/messages/{run_id}/fork", json={"after": 3})
    assert answer.status_code == 201
    copy = answer.json()["conversation_id"]
    shown = (await api.client.get(f"/api/conversations/{copy}")).json()["messages"]
    assert [(one["text"], one["status"]) for one in shown] == [("hello", "finished"), ("One two ", "stopped")]
    link = (await api.client.post(f"/api/conversations/{copy}/share", json={})).json()
    public = (await api.client.get(f"/api/shares/{link['share_id']}")).json()["messages"]
    assert [one["text"] for one in public] == ["hello", "One two "]


@pytest.mark.parametrize("path", ["regenerate", "fork"])
async def test_where_an_answer_cannot_be_forked(api: Api, path: str):
    """Behind its end, at no number, in progress, or once its events are not kept any more."""
    run_id = await api.said(TextDelta("One."), Finished())
    for after, status in ((3, 422), (-1, 422), ("x", 422), (1.5, 422)):
        answer = await api.client.post(f"/api/messages/{run_id}/{path}", json={"after": after})
        assert answer.status_code == status, answer.text
    api.world.log.forget(run_id)
    gone = await api.client.post(f"/api/messages/{run_id}/{path}", json={"after": 1})
    assert gone.status_code == 404
    assert "not kept" in gone.json()["error"]["message"]
