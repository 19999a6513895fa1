"""AG-UI's own client, from npm, against a real server: its verifier refuses every event out of place."""

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

SCRIPT = Path(__file__).with_name("ag_ui.mjs")
Run = Callable[..., dict[str, Any]]


@tool
def calculate(expression: str) -> str:
    """Calculate."""
    return f"{expression} = 42"


@tool(approve=True)
def send(to: str) -> str:
    """Send."""
    return f"sent to {to}"


@pytest.fixture
def tools() -> list[Any]:
    return [calculate, send]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the client in it."""
    folder = tmp_path_factory.mktemp("npm")
    (folder / "package.json").write_text('{"private": true}')
    (folder / SCRIPT.name).write_text(SCRIPT.read_text())
    try:
        done = subprocess.run(
            [bun.path(), "add", "@ag-ui/client"], cwd=folder, capture_output=True, text=True, timeout=50
        )
    except subprocess.TimeoutExpired:
        pytest.skip("the npm registry does not answer in time")
    if done.returncode:
        pytest.skip(f"the npm registry does not give the client: {done.stderr[-300:]}")
    return folder


@pytest.fixture(scope="module")
def script(packages: Path) -> Iterator[Script]:
    """The program with the client."""
    begun = Script(packages / SCRIPT.name)
    yield begun
    begun.close()


@pytest.fixture
def run(api: Api, script: Script) -> Run:
    """``run(model, *texts, …)``: what the client held in the end."""

    def call(model: str, *texts: str, **options: Any) -> dict[str, Any]:
        return script.ask(url=api.url, texts=texts, model=f"simulator:{model}", **options)

    return call


def test_a_thread_of_questions(run: Run) -> None:
    """Text and thinking are messages of the client; the thread goes on."""
    held = run("reasoning", FAST, f"{FAST} again")
    roles = [message["role"] for message in held["messages"]]
    assert roles == ["user", "reasoning", "assistant"] * 2
    assert all(message["content"] for message in held["messages"])
    assert held["seen"].count("RUN_FINISHED") == 2


def test_tools_of_the_server(run: Run) -> None:
    """The call, its result, and the text after it, as messages of their own."""
    held = run("tools", f"calls=1 tools=calculate {FAST}")
    roles = [message["role"] for message in held["messages"]]
    assert roles[-2:] == ["tool", "assistant"]
    assert "42" in held["messages"][-2]["content"]
    (call,) = (call for message in held["messages"] for call in message.get("toolCalls") or ())
    assert json.loads(call["function"]["arguments"])


def test_tools_of_the_front_end(run: Run) -> None:
    """They are returned, the client runs them, and its result continues the answer."""
    confirm = {"name": "confirm", "description": "Ask.", "parameters": {"type": "object", "properties": {}}}
    held = run("tools", f"calls=1 tools=confirm {FAST}", tools=[confirm], results={"confirm": "surely confirmed"})
    assert held["messages"][-1]["role"] == "assistant"
    assert "surely confirmed" in held["messages"][-1]["content"]
    assert "TOOL_CALL_RESULT" not in held["seen"]


DECISIONS: dict[str, tuple[dict[str, Any], str]] = {
    "approved": ({"status": "resolved", "payload": {"approved": True}}, "sent to"),
    "with-the-form": (
        {"status": "resolved", "payload": {"approved": True, "editedArgs": {"to": "Grace"}}},
        "sent to Grace",
    ),
    "denied": ({"status": "resolved", "payload": {"approved": False, "reason": "surely not"}}, "surely not"),
    "cancelled": ({"status": "cancelled"}, ""),
}


@pytest.mark.parametrize("name", DECISIONS)
def test_an_approval(run: Run, name: str) -> None:
    """The run is interrupted, with the form of the arguments; what the client resumes it with settles the call, and
    the answer goes on to its end."""
    decision, result = DECISIONS[name]
    held = run("tools", f"calls=1 tools=send {FAST}", decisions=[decision])
    (interrupt,) = held["interrupts"]
    form = interrupt["responseSchema"]["properties"]
    assert form["approved"]["type"] == "boolean"
    assert form["editedArgs"]["properties"]["to"]["type"] == "string"
    assert (held["outcomes"], held["left"]) == (["interrupt", "success"], [])
    assert held["seen"].count("TOOL_CALL_START") == held["seen"].count("TOOL_CALL_RESULT") == 1
    told, last = held["messages"][-2:]
    assert ("sent to" in told["content"]) is (name in ("approved", "with-the-form"))
    assert result in told["content"]
    assert (told["role"], last["role"], bool(last["content"])) == ("tool", "assistant", True)


def test_an_approval_goes_on_to_the_next_question(run: Run) -> None:
    """The thread is open again after it."""
    held = run("tools", f"calls=1 tools=send {FAST}", f"calls=0 {FAST}", decisions=[{"status": "cancelled"}])
    assert held["outcomes"] == ["interrupt", "success", "success"]
    assert [message["role"] for message in held["messages"]].count("user") == 2


def test_stopped_by_the_run_id(run: Run) -> None:
    """The client is told that the run was cancelled, with the text so far."""
    held = run("tour", "rate=50 n=5000 kind=numbered", stop=True)
    assert held["outcomes"] == ["cancelled"]
    assert held["messages"][-1]["content"].startswith("w000001")
