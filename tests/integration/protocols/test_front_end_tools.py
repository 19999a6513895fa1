"""Tools that a front end on the AI SDK declares: offered instead of ours, run there, and their outputs go on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamchat.tools import tool
from tests.integration.protocols.conftest import FAST, Api

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
BODY: dict[str, Any] = {
    "id": "a",
    "model": "simulator:tools",
    "messages": [{"id": "1", "role": "user", "parts": [{"type": "text", "text": f"hello {FAST}"}]}],
}


@tool
def calculate(expression: str) -> str:
    """Calculate."""
    return expression


@pytest.fixture
def tools() -> list[Any]:
    return [calculate]


def chunks(answer: Any) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


def call_in(found: list[dict[str, Any]]) -> dict[str, Any]:
    return next(one for one in found if one["type"] == "tool-input-available")


@pytest.mark.parametrize(
    "declared",
    [
        {"weather": {"description": "The weather.", "parameters": SCHEMA}},
        [{"name": "weather", "inputSchema": {"jsonSchema": SCHEMA}}],
    ],
    ids=["assistant-ui", "list"],
)
def test_it_goes_on_with_the_output(api: Api, declared: Any):
    """The same message, in another step; sent twice it is one answer. Only the tool of the front end is called."""
    body = {**BODY, "tools": declared}
    first = chunks(api.http.post("/api/chat", json=body))
    call, name = call_in(first), first[0]["messageId"]
    assert (call["toolName"], first[-1]["finishReason"]) == ("weather", "tool-calls")
    part = {"type": "tool-weather", "toolCallId": call["toolCallId"], "state": "output-available",
            "input": call["input"], "output": {"sky": "blue"}}  # fmt: skip
    body = {**body, "messages": [*BODY["messages"], {"id": name, "role": "assistant", "parts": [part]}]}
    answer = api.http.post("/api/chat", json=body)
    rest = chunks(answer)
    kinds = [one["type"] for one in rest if one["type"] != "text-delta"]
    assert kinds == ["start", "start-step", "text-start", "text-end", "finish-step", "finish"]
    assert rest[0]["messageId"] == name
    assert '"sky": "blue"' in "".join(one["delta"] for one in rest if one["type"] == "text-delta")
    again = api.http.post("/api/chat", json=body)
    assert again.headers["x-run-id"] == answer.headers["x-run-id"]
    assert [one for one in chunks(again) if one["type"] == "text-start"]
    stored = api.conversation(answer.headers["x-conversation-id"])
    assert [message["role"] for message in stored] == ["user", "assistant"]
    assert [part["type"] for part in stored[1]["parts"]] == ["text", "tool_call", "text"]


def test_one_that_failed(api: Api):
    """The model gets the error."""
    body = {**BODY, "tools": {"weather": {"parameters": SCHEMA}}}
    first = chunks(api.http.post("/api/chat", json=body))
    part = {"type": "dynamic-tool", "toolName": "weather", "toolCallId": call_in(first)["toolCallId"],
            "state": "output-error", "input": {}, "errorText": "no network"}  # fmt: skip
    messages = [*BODY["messages"], {"id": first[0]["messageId"], "role": "assistant", "parts": [part]}]
    rest = chunks(api.http.post("/api/chat", json={**body, "messages": messages}))
    assert "no network" in "".join(one["delta"] for one in rest if one["type"] == "text-delta")


def test_a_chat_that_is_not_stored_here(api: Api):
    """The client's messages are the history then."""
    part = {"type": "tool-weather", "toolCallId": "c1", "state": "output-available", "input": {}, "output": "sunny"}
    messages = [*BODY["messages"], {"id": "x", "role": "assistant", "parts": [part]}]
    body = {**BODY, "id": "elsewhere", "messages": messages, "tools": {"weather": {"parameters": SCHEMA}}}
    rest = chunks(api.http.post("/api/chat", json=body))
    assert rest[0]["messageId"] == "x"
    assert "sunny" in "".join(one["delta"] for one in rest if one["type"] == "text-delta")


def test_what_is_refused(api: Api):
    """An output of no call, one that nobody waits for, settings that nothing honours: nothing is begun."""
    declared = {"weather": {"parameters": SCHEMA}}
    first = chunks(api.http.post("/api/chat", json={**BODY, "tools": declared}))

    def output(call_id: str) -> list[dict[str, Any]]:
        part = {"type": "tool-weather", "toolCallId": call_id, "state": "output-available", "input": {}, "output": "x"}
        return [*BODY["messages"], {"id": first[0]["messageId"], "role": "assistant", "parts": [part]}]

    wrong: list[dict[str, Any]] = [
        {"messages": output("nobody"), "tools": declared},
        {"topK": 3},
        {"callSettings": {"presencePenalty": 1}},
        {"config": {"apiKey": "sk-1"}},
        {"tools": declared, "toolChoice": {"type": "tool", "toolName": "other"}},
        {"tools": [{"description": "no name"}]},
    ]
    count = len(api.http.get("/api/conversations").json()["conversations"])
    for number, more in enumerate(wrong):
        place = {} if "messages" in more else {"id": f"w{number}"}
        answer = api.http.post("/api/chat", json={**BODY, **place, **more})
        assert answer.status_code == 422, (more, answer.text)
        assert answer.json()["error"]["message"]
    ours = {**BODY, "id": "ours", "messages": [{**BODY["messages"][0], "id": "2"}]}
    done = chunks(api.http.post("/api/chat", json=ours))
    call = call_in(done)
    assert call["toolName"] == "calculate"  # without tools of the front end, ours
    part = {"type": "tool-calculate", "toolCallId": call["toolCallId"], "state": "output-available", "output": "x"}
    again = {
        **ours,
        "messages": [*ours["messages"], {"id": done[0]["messageId"], "role": "assistant", "parts": [part]}],
    }
    assert "waits for no output" in api.http.post("/api/chat", json=again).text
    assert len(api.http.get("/api/conversations").json()["conversations"]) == count + 1


def test_without_tools(api: Api):
    """``none`` offers neither the front end's nor ours; assistant-ui's choice of a model is taken."""
    body = {**BODY, "id": "n", "toolChoice": "none", "model": None, "config": {"modelName": "simulator:tour"}}
    found = chunks(api.http.post("/api/chat", json=body))
    assert not [one for one in found if one["type"].startswith("tool-")]
    assert found[0]["messageMetadata"]["model"] == "simulator:tour"
