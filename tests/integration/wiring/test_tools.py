"""Tools from the settings to the answer: real store, threads and MCP server; only the model is a script."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest

from streamchat.chat.messages import Message, TextPart, ToolCallPart
from streamchat.chat.request import NewRun
from streamchat.errors import SettingsError
from streamchat.identity import LOCAL_OWNER
from streamchat.runs.approvals import Decision
from streamchat.settings import load_settings
from streamchat.wiring import Services, running_services

PATIENCE = 50
TIME_SERVER = f"time={shlex.join([sys.executable, '-m', 'mcp_server_time', '--local-timezone', 'UTC'])}"


@asynccontextmanager
async def serving(monkeypatch: pytest.MonkeyPatch, folder: Path, **settings: str) -> AsyncIterator[Services]:
    for name, value in {"DATA_DIR": str(folder), "MODELS": "simulator:tools", **settings}.items():
        monkeypatch.setenv(f"STREAMCHAT_{name}", value)
    async with running_services(load_settings()) as services:
        async with asyncio.timeout(PATIENCE):
            while any(state.state == "connecting" for state in services.tools.servers()):
                await asyncio.sleep(0.02)
        yield services


async def ask(services: Services, text: str) -> Message:
    """The answer, when it has ended or waits for a person."""
    begun = await services.runs.start(
        LOCAL_OWNER, NewRun(client_message_id=f"c{abs(hash(text))}", parts=[TextPart(text)], model="simulator:tools")
    )
    return await close_open_calls(services, begun.run_id)


async def close_open_calls(services: Services, run_id: str) -> Message:
    async with asyncio.timeout(PATIENCE):
        while True:
            _, snapshot = await services.runs.get(LOCAL_OWNER, run_id)
            if snapshot.message.status != "streaming":
                return snapshot.message
            await asyncio.sleep(0.02)


def calls(message: Message) -> list[ToolCallPart]:
    return [part for part in message.parts if isinstance(part, ToolCallPart)]


async def test_a_real_server_answers_in_a_run(monkeypatch, tmp_path: Path) -> None:
    """The model calls its tool, the person agrees, the server answers, the model goes on: one answer."""
    async with serving(monkeypatch, tmp_path, MCP=TIME_SERVER) as services:
        answer = await ask(services, "tools=time__get_current_time")
        (call,) = calls(answer)
        assert (answer.status, call.state, call.name) == ("waiting", "awaiting-approval", "time__get_current_time")
        decision = Decision(approve=True, arguments={"timezone": "Asia/Kolkata"})
        await services.runs.decide(LOCAL_OWNER, answer.id, call.id, decision)
        answer = await close_open_calls(services, answer.id)
        (call,) = calls(answer)
        assert (answer.status, call.state, call.error) == ("finished", "done", None)
        assert datetime.fromisoformat(call.result["datetime"]).utcoffset() is not None
        assert "The tools answered" in answer.text


async def test_a_trusted_server_does_not_ask(monkeypatch, tmp_path: Path) -> None:
    """By a setting that names it."""
    async with serving(monkeypatch, tmp_path, MCP=TIME_SERVER, TRUST="time") as services:
        answer = await ask(services, "tools=time__get_current_time")
        assert (answer.status, [call.state for call in calls(answer)]) == ("finished", ["done"])


async def test_a_broken_server_is_no_broken_chat(monkeypatch, tmp_path: Path) -> None:
    """The app starts, answers, and its other tools work."""
    async with serving(monkeypatch, tmp_path, MCP="bad=no-such-program") as services:
        (state,) = services.tools.servers()
        assert (state.state, state.sentence) == ("failed", "The command 'no-such-program' cannot be run.")
        answer = await ask(services, "tools=calculate")
        assert (answer.status, [call.result for call in calls(answer)]) == ("finished", ["42"])


async def test_the_search_finds_what_this_person_said(monkeypatch, tmp_path: Path) -> None:
    """In the real store, from the tool's own thread."""
    async with serving(monkeypatch, tmp_path) as services:
        await ask(services, "tools=calculate server-sent events and token streaming and resumable streams")
        answer = await ask(services, "tools=search_conversations")
        (call,) = calls(answer)
        assert (call.state, call.error) == ("done", None)
        assert "streaming" in str(call.result["rows"])


@pytest.mark.parametrize(
    ("name", "value"),
    [("TOOLS", "no_such_module"), ("APPROVE", "no_such_tool"), ("TRUST", "no_such_tool"), ("MCP", "no-name")],
)
async def test_a_setting_that_cannot_work_stops_the_start(monkeypatch, tmp_path: Path, name: str, value: str) -> None:
    """With one sentence that names it, before anything is opened."""
    with pytest.raises(SettingsError, match=f"STREAMCHAT_{name}"):
        async with serving(monkeypatch, tmp_path / "data", **{name: value}):
            pass
    assert not (tmp_path / "data").exists()
