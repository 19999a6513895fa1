"""The AI SDK's own ``useChat``, from npm, in React, against a real server. Its protocol, byte by byte, besides."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streamchat import bun
from streamchat.tools import tool
from tests.integration.protocols.conftest import FAST, Api
from tests.system.npm.script import Script

VERSIONS = {
    "7": ("ai@7.0.173", "@ai-sdk/react@4.0.177"),
    "6": ("ai@6.0.326", "@ai-sdk/react@3"),
    "5": ("ai@5", "@ai-sdk/react@2"),
}
SCRIPT = Path(__file__).with_name("use_chat.mjs")
UseChat = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module", params=list(VERSIONS))
def packages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one version of the AI SDK in it."""
    folder = tmp_path_factory.mktemp("npm")
    (folder / "package.json").write_text('{"private": true}')
    (folder / SCRIPT.name).write_text(SCRIPT.read_text())
    wanted = [*VERSIONS[request.param], "react@19", "react-dom@19", "happy-dom@21"]
    command = [bun.path(), "add", *wanted]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=50)
    except subprocess.TimeoutExpired:
        pytest.skip("the npm registry does not answer in time")
    if done.returncode:
        pytest.skip(f"the npm registry does not give the AI SDK: {done.stderr[-300:]}")
    return folder


@pytest.fixture(scope="module")
def script(packages: Path) -> Iterator[Script]:
    """The front end, with that version."""
    begun = Script(packages / SCRIPT.name)
    yield begun
    begun.close()


@pytest.fixture
def use_chat(api: Api, script: Script) -> UseChat:
    """``use_chat(scenario, model, *texts)``: what the hook held in the end."""

    def run(scenario: str, model: str, *texts: str, **options: Any) -> dict[str, Any]:
        given = {"id": "chat-1", "model": f"simulator:{model}", "texts": texts, **options}
        return script.ask(url=api.url, scenario=scenario, **given)

    return run


@tool
def calculate(expression: str) -> str:
    """Calculate."""
    return f"{expression} = 42"


@tool(approve=True)
def current_time(timezone: str) -> str:
    """The time."""
    return f"noon in {timezone}"


def text_of(message: dict[str, Any]) -> str:
    return "".join(part["text"] for part in message["parts"] if part["type"] == "text")


def test_two_turns(use_chat: UseChat, api: Api):
    """Token by token, in one conversation of ours, which the page shows too."""
    held = use_chat("ask", "tour", "n=40 rate=100 ttft=0", f"n=3 {FAST}")
    assert (held["status"], held["error"]) == ("ready", None)
    user, first, _, second = held["messages"]
    assert text_of(first).split() == [f"w{n:06}" for n in range(1, 41)]
    assert text_of(second) == "w000001 w000002 w000003"
    assert second["metadata"]["usage"]["outputTokens"] == 3
    assert len({length for status, role, length in held["seen"] if status == "streaming"}) > 5
    (row,) = api.http.get("/api/conversations").json()["conversations"]
    assert first["metadata"]["conversationId"] == row["id"]
    stored = api.conversation(row["id"])
    assert [message["role"] for message in stored] == ["user", "assistant"] * 2
    assert [stored[1]["id"], stored[3]["id"]] == [first["id"], second["id"]]


def test_thinking(use_chat: UseChat):
    """As a part of its own, before the text."""
    parts = use_chat("ask", "reasoning", f"hello {FAST}")["messages"][1]["parts"]
    assert [part["type"] for part in parts] == ["step-start", "reasoning", "text"]
    assert parts[1]["text"].startswith("The user wants")
    assert {part["state"] for part in parts[1:]} == {"done"}


def test_errors(use_chat: UseChat):
    """Before the first piece and in the middle: the hook has the sentence, and the text that came."""
    held = use_chat("ask", "bad-key", f"hello {FAST}")
    assert held["status"] == "error"
    assert "key" in held["error"]
    held = use_chat("ask", "cut", f"hello {FAST}", id="chat-2")
    assert held["status"] == "error"
    assert len(text_of(held["messages"][-1]).split()) > 3


def test_another_answer(use_chat: UseChat, api: Api):
    """``regenerate`` writes another answer to the same question, beside the first."""
    held = use_chat("again", "tour", f"n=3 {FAST}")
    assert [message["role"] for message in held["messages"]] == ["user", "assistant"]
    (row,) = api.http.get("/api/conversations").json()["conversations"]
    stored = api.loop.run(api.world.store.conversation("local", row["id"]))
    answer = held["messages"][1]["id"]
    assert stored.messages[-1].id == answer
    assert len(stored.siblings[answer]) == 2


def test_a_reload_goes_on(use_chat: UseChat):
    """The first hook is gone in the middle of the answer; another one with the chat's id gets all of it."""
    held = use_chat("resume", "tour", "n=150 rate=100 ttft=0")
    (answer,) = held["messages"]
    assert (answer["role"], held["status"]) == ("assistant", "ready")
    assert text_of(answer).split() == [f"w{n:06}" for n in range(1, 151)]


def test_stop(use_chat: UseChat, api: Api):
    """``stop()`` closes the connection; the answer ends too where the transport has the header for it."""
    held = use_chat("stop", "tour", "n=5000 rate=50 ttft=0")
    assert held["status"] == "ready"
    run = api.run(held["messages"][1]["id"])
    assert run["status"] == "stopped"
    assert run["message"]["text"].startswith(text_of(held["messages"][1]))


class TestTools:
    """Our own tools, which run on the server."""

    @pytest.fixture
    def tools(self) -> list[Any]:
        return [calculate, current_time]

    def test_they_run_here(self, use_chat: UseChat):
        """Input as it comes, then output, then what the model makes of it in another step."""
        held = use_chat("ask", "tools", f"calls=1 {FAST}")
        parts = held["messages"][1]["parts"]
        assert [part["type"] for part in parts] == ["step-start", "text", "tool-calculate", "step-start", "text"]
        assert (parts[2]["state"], parts[2]["output"]) == ("output-available", "(17 + 4) * 2 = 42")
        assert parts[2]["input"] == {"expression": "(17 + 4) * 2"}

    @pytest.mark.parametrize("approved", [True, False])
    def test_a_call_that_asks(self, use_chat: UseChat, api: Api, packages: Path, approved: bool):
        """The hook is asked, its answer decides, and the same message goes on."""
        version = json.loads((packages / "node_modules/ai/package.json").read_text())["version"]
        if version.startswith("5."):
            pytest.skip("this version of the protocol has no approvals: the run waits for the page")
        held = use_chat("approve", "tools", f"calls=2 {FAST}", approved=approved, reason="not now")
        assert len(held["messages"]) == 2
        message = held["messages"][1]
        call = next(part for part in message["parts"] if part["type"] == "tool-current_time")
        assert call["state"] == ("output-available" if approved else "output-denied")
        assert call.get("output") == ("noon in Asia/Tokyo" if approved else None)
        assert "That is all I needed to know." in text_of(message)
        assert text_of(message).count("Let me look that up.") == 1
        run = api.run(message["id"])
        assert run["status"] == "finished"
        assert run["message"]["text"] == text_of(message)


def test_a_tool_of_the_front_end(use_chat: UseChat, api: Api):
    """It is offered, called and run there; its output goes on in the same message, and the answer is one of ours."""
    declared = {"look_up": {"description": "Look up.", "inputSchema": {"type": "object", "properties": {"query": {}}}}}
    held = use_chat("tools", "tools", f"hello {FAST}", body={"model": "simulator:tools", "tools": declared})
    assert (held["status"], held["error"]) == ("ready", None)
    assert [message["role"] for message in held["messages"]] == ["user", "assistant"]
    parts = [part for part in held["messages"][1]["parts"] if part["type"] != "step-start"]
    assert [part["type"] for part in parts] == ["text", "tool-look_up", "text"]
    assert parts[1]["state"] == "output-available"
    assert '"answer": 42' in parts[2]["text"]
    (row,) = api.http.get("/api/conversations").json()["conversations"]
    stored = api.conversation(row["id"])
    assert [message["role"] for message in stored] == ["user", "assistant"]
    assert [part["type"] for part in stored[1]["parts"]] == ["text", "tool_call", "text"]


def told(answer: Any) -> list[dict[str, Any]]:
    """The chunks of a stream; its end mark is checked, and left out."""
    assert answer.status_code == 200, answer.text
    blocks = [block for block in answer.text.removesuffix("\n\n").split("\n\n") if not block.startswith(":")]
    assert blocks.pop() == "data: [DONE]"
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


class TestDecisions:
    """A call that asks, without a client of the SDK in between."""

    @pytest.fixture
    def tools(self) -> list[Any]:
        return [calculate, current_time]

    @pytest.mark.parametrize("elsewhere", [False, True])
    def test_the_rest_of_the_answer_comes_with_the_decision(self, api: Api, elsewhere: bool):
        """From where the client's stream ended, each thing once: also where the page had decided already."""
        question = {"id": "1", "role": "user", "parts": [{"type": "text", "text": f"calls=2 {FAST}"}]}
        body: dict[str, Any] = {"id": "a", "messages": [question], "model": "simulator:tools"}
        first = told(api.http.post("/api/chat", json=body))
        asked = next(one for one in first if one["type"] == "tool-approval-request")
        assert first[-1] == first[-1] | {"type": "finish", "finishReason": "tool-calls"}
        again = told(api.http.get("/api/chat/a/stream"))
        assert [one for one in again if one["type"] == "tool-approval-request"] == [asked]
        run_id, call_id = first[0]["messageId"], asked["toolCallId"]
        if elsewhere:
            api.http.post(f"/api/runs/{run_id}/decisions", json={"call_id": call_id, "approve": True})
            assert api.run(run_id)["status"] == "finished"
        approval = {"id": asked["approvalId"], "approved": True}
        part = {"type": "tool-current_time", "toolCallId": call_id, "state": "approval-responded", "approval": approval}
        body["messages"].append({"id": run_id, "role": "assistant", "parts": [part]})
        rest = told(api.http.post("/api/chat", json=body))
        kinds = [one["type"] for one in rest if one["type"] != "text-delta"]
        assert kinds == [
            "start", "tool-output-available", "finish-step",
            "start-step", "text-start", "text-end", "finish-step", "finish",
        ]  # fmt: skip
        assert (rest[0]["messageId"], rest[1]["toolCallId"]) == (run_id, call_id)


def test_the_stream_byte_by_byte(api: Api):
    """The header by which the protocol is known, one JSON object an event, starts and ends in order, ``[DONE]``."""
    body = {"id": "a", "messages": [{"id": "1", "role": "user", "parts": [{"type": "text", "text": f"n=2 {FAST}"}]}],
            "model": "simulator:tour"}  # fmt: skip
    answer = api.http.post("/api/chat", json=body)
    assert answer.headers["x-vercel-ai-ui-message-stream"] == "v1"
    chunks = told(answer)
    kinds = [one["type"] for one in chunks if one["type"] != "text-delta"]
    assert kinds == ["start", "start-step", "text-start", "text-end", "finish-step", "finish"]
    assert chunks[-1]["finishReason"] == "stop"
    assert chunks[-1]["messageMetadata"]["usage"]["outputTokens"] == 2
    assert api.http.post("/api/chat", json=body).headers["x-run-id"] == answer.headers["x-run-id"]


def test_nothing_to_resume(api: Api):
    """204 for a chat that is not known, and for one in which nothing is being answered."""
    assert api.http.get("/api/chat/nobody/stream").status_code == 204
    body = {"id": "a", "message": {"id": "1", "role": "user", "parts": [{"type": "text", "text": f"n=1 {FAST}"}]},
            "model": "simulator:tour"}  # fmt: skip
    assert api.http.post("/api/chat", json=body).status_code == 200
    assert api.http.get("/api/chat/a/stream").status_code == 204


@pytest.mark.parametrize(
    "body",
    [{}, {"id": "a"}, {"id": "a", "messages": []}, {"id": "a", "messages": [{"role": "assistant", "parts": []}]}],
)
def test_what_is_asked_wrongly(api: Api, body: dict[str, Any]):
    """A sentence and 422, and nothing was begun."""
    answer = api.http.post("/api/chat", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["message"]
    assert api.http.get("/api/conversations").json()["conversations"] == []
