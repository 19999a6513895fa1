"""Agents that speak AG-UI, on loopback: our own ``/ag-ui``, scripted streams, and a framework if it is installed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from streamchat.chat import events as e
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message, NoticePart, ReasoningPart, TextPart, ToolCallPart
from streamchat.chat.request import Request, ToolSpec
from streamchat.errors import ProviderError, SettingsError
from streamchat.providers.ag_ui.agent import AgUiAgent, run_input
from streamchat.providers.catalog import Catalog, Source
from streamchat.settings import load_settings
from streamchat.simulator.provider import MODELS, Simulator
from streamchat.wiring.build_models import build_catalog
from tests.integration.runs.conftest import make_world
from tests.integration.web.conftest import PAGE, serving

USER = Message("u", "user", (TextPart("hello"),))
EMPTY = Message("a", "assistant", status="streaming")
START = {"type": "RUN_STARTED", "threadId": "t", "runId": "r"}
END = {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"}


def text(delta: str, message_id: str = "m") -> dict[str, Any]:
    return {"type": "TEXT_MESSAGE_CONTENT", "messageId": message_id, "delta": delta}


def call(kind: str, call_id: str = "c", **more: Any) -> dict[str, Any]:
    return {"type": f"TOOL_CALL_{kind}", "toolCallId": call_id, **more}


@asynccontextmanager
async def agent(*script: dict[str, Any], silent: bool = False) -> AsyncIterator[tuple[AgUiAgent, list[Any]]]:
    """An agent that sends these events to every run, and what it was sent. ``silent``: it then keeps the line."""
    sent: list[Any] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        sent.append(json.loads(await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for event in script:
            writer.write(b"data: " + json.dumps(event).encode() + b"\n\n")
        if silent:
            await reader.read()  # until the other side is gone
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    provider = AgUiAgent(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/run")
    try:
        yield provider, sent
    finally:
        await provider.close()
        server.close()


async def answer_of(*script: dict[str, Any], request: Request | None = None) -> Message:
    async with agent(*script) as (provider, _):
        return fold(EMPTY, [event async for event in provider.stream(request or Request("agent", (USER,)))])


async def test_text_reasoning_calls_state_and_usage() -> None:
    """All parts of an answer; the agent's own tool is a call with its result, ours is left to the agent loop."""
    script = [
        START,
        {"type": "REASONING_MESSAGE_CONTENT", "messageId": "r", "delta": "Hm. "},
        {"type": "TEXT_MESSAGE_START", "messageId": "m", "role": "assistant"},
        text("One. "),
        {"type": "TEXT_MESSAGE_END", "messageId": "m"},
        call("START", toolCallName="search"),
        call("ARGS", delta='{"q": '),
        call("ARGS", delta='"x"}'),
        call("END"),
        call("RESULT", messageId="t", content='{"hits": 2}'),
        {"type": "STATE_SNAPSHOT", "snapshot": {"step": 1}},
        {"type": "SOMETHING_NEW", "value": 1},
        text("Two.", "m2"),
        END | {"usage": [{"inputTokens": 3, "outputTokens": 4}, {"inputTokens": 1}]},
    ]
    message = await answer_of(*script)
    assert (message.text, message.stop_reason, message.usage) == ("One. Two.", "stop", e.UsageReported(4, 4))
    assert [p.text for p in message.parts if isinstance(p, ReasoningPart)] == ["Hm. "]
    (tool,) = (p for p in message.parts if isinstance(p, ToolCallPart))
    assert (tool.name, tool.state, tool.result, tool.by_provider) == ("search", "done", {"hits": 2}, True)
    assert [p.kind for p in message.parts if isinstance(p, NoticePart)] == ["agent-state"]
    assert run_input(Request("agent", (USER, message, USER)))["state"] == {"step": 1}
    sent = run_input(Request("agent", (USER, message, USER)))["messages"]
    assert [one["role"] for one in sent] == ["user", "assistant", "tool", "assistant", "user"]


async def test_our_tools_are_ours_to_run() -> None:
    """A call of a tool that we declared ends the answer with ``tool-calls``."""
    request = Request("agent", (USER,), tools=(ToolSpec("double", "Twice.", {"type": "object"}),))
    script = [START, call("START", toolCallName="double"), call("ARGS", delta='{"n": 1}'), call("END"), END]
    message = await answer_of(*script, request=request)
    (tool,) = (p for p in message.parts if isinstance(p, ToolCallPart))
    assert (message.stop_reason, tool.state, tool.by_provider) == ("tool-calls", "ready", False)


def test_results_are_what_a_model_reads() -> None:
    """A picture is shown to the person, and is not sent as text."""
    picture = {"$view": "image", "media_type": "image/png", "data": "QUJD", "name": "cat.png"}
    parts = (
        ToolCallPart("a", "draw", arguments={"what": "ü"}, state="done", result=picture),
        ToolCallPart("b", "count", state="done", result={"hits": 2}),
        ToolCallPart("c", "send", state="denied", error="Denied."),
    )
    question, *sent = run_input(Request("agent", (USER, Message("a", "assistant", parts))))["messages"]
    assert question["content"] == "hello"
    assert [one["function"]["arguments"] for one in sent[0]["toolCalls"]] == ['{"what": "ü"}', "{}", "{}"]
    drawn, counted, denied = sent[1:]
    assert "cat.png" in drawn["content"]
    assert "QUJD" not in drawn["content"]
    assert (counted["content"], denied["content"], denied["error"]) == ('{"hits": 2}', "Denied.", "Denied.")


async def test_an_interrupt_is_told_and_cancelled_by_the_next_question() -> None:
    """It cannot be answered here: so that the thread is not blocked, the next run says so."""
    outcome = {"type": "interrupt", "interrupts": [{"id": "i", "reason": "confirmation", "message": "Really?"}]}
    message = await answer_of(START, END | {"outcome": outcome})
    (notice,) = (p for p in message.parts if isinstance(p, NoticePart))
    assert "Really?" in notice.text
    resume = run_input(Request("agent", (USER, message, USER)))["resume"]
    assert resume == [{"interruptId": "i", "status": "cancelled"}]


async def test_a_snapshot_alone_is_the_answer() -> None:
    """Some agents stream nothing else."""
    messages = [{"id": "u", "role": "user", "content": "x"}, {"id": "a", "role": "assistant", "content": "All."}]
    assert (await answer_of(START, {"type": "MESSAGES_SNAPSHOT", "messages": messages}, END)).text == "All."


BAD = {
    "gone": ([START, text("Some. ")], "cut"),
    "result-of-no-call": ([START, text("Some. "), call("RESULT", content="x"), END], "bad-event"),
    "arguments-of-no-call": ([START, text("Some. "), call("ARGS", delta="{}"), END], "bad-event"),
    "two-runs-at-once": ([START, text("Some. "), START, END], "spliced"),
    "no-type": ([START, text("Some. "), {"delta": "x"}, END], "bad-event"),
    "text-of-a-number": ([START, text("Some. "), text(3), END], "bad-event"),  # pyright: ignore[reportArgumentType]
    "error": ([START, text("Some. "), {"type": "RUN_ERROR", "message": "The library is closed."}], "error-event"),
    "nothing": ([], "empty"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_broken_stream(name: str) -> None:
    """One error, after what came."""
    script, kind = BAD[name]
    async with agent(*script) as (provider, _):
        seen: list[e.Event] = []
        with pytest.raises(ProviderError) as caught:
            async for event in provider.stream(Request("agent", (USER,))):
                seen.append(event)
    assert caught.value.kind == kind
    assert fold(EMPTY, seen).text == ("Some. " if script else "")


async def test_what_follows_the_end_is_not_read() -> None:
    """A second end, more text, or a line that stays open."""
    async with agent(START, text("Some."), END, END, text(" More."), silent=True) as (provider, _):
        message = fold(EMPTY, [event async for event in provider.stream(Request("agent", (USER,)))])
    assert (message.text, message.status) == ("Some.", "finished")


async def test_an_agent_that_is_not_there() -> None:
    """The message names its host."""
    provider = AgUiAgent("http://127.0.0.1:9/run")
    with pytest.raises(ProviderError, match=r"127\.0\.0\.1:9"):
        [event async for event in provider.stream(Request("agent", (USER,)))]
    await provider.close()


async def test_our_own_endpoint_is_an_agent(tmp_path: Path) -> None:
    """What we serve over AG-UI, we can read: text, reasoning and usage arrive."""
    import socket

    from streamchat.settings import Settings
    from streamchat.web.app import guard, mount
    from streamchat.wiring import ServiceHolder, Services

    catalog = Catalog([Source("simulator", Simulator(), MODELS)])
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        async with make_world(tmp_path, None, catalog) as world:
            settings = Settings.model_validate({"PORT": str(port), "STREAMCHAT_DATA_DIR": str(tmp_path)})
            holder = ServiceHolder(Services(settings, catalog, world.store, world.runs))
            async with serving(guard(mount(PAGE, holder), holder), sock):
                provider = AgUiAgent(f"http://127.0.0.1:{port}/ag-ui?model=simulator:reasoning")
                question = Message("u", "user", (TextPart("rate=0 ttft=0"),))
                message = fold(EMPTY, [event async for event in provider.stream(Request("agent", (question,)))])
                await provider.close()
    assert message.status == "finished"
    assert message.text
    assert message.usage is not None
    assert any(isinstance(part, ReasoningPart) for part in message.parts)


async def test_an_agent_of_pydantic_ai() -> None:
    """A real framework with the real encoder: its tool call with the result, and its text."""
    pytest.importorskip("ag_ui")
    pydantic_ai = pytest.importorskip("pydantic_ai")
    adapter = pytest.importorskip("pydantic_ai.ui.ag_ui")
    import socket

    from starlette.applications import Starlette
    from starlette.requests import Request as HttpRequest
    from starlette.routing import Route

    clever = pydantic_ai.Agent("test")

    @clever.tool_plain
    def length(text: str) -> int:
        return len(text)

    async def run(request: HttpRequest) -> Any:
        return await adapter.AGUIAdapter.dispatch_request(request, agent=clever)

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        async with serving(Starlette(routes=[Route("/", run, methods=["POST"])]), sock):
            provider = AgUiAgent(f"http://127.0.0.1:{sock.getsockname()[1]}/")
            message = fold(EMPTY, [event async for event in provider.stream(Request("agent", (USER,)))])
            again = (USER, message, USER)
            more = fold(EMPTY, [event async for event in provider.stream(Request("agent", again))])
            await provider.close()
    (tool,) = (p for p in message.parts if isinstance(p, ToolCallPart))
    assert (tool.name, tool.state, str(tool.result)) == ("length", "done", "1")
    assert message.text
    assert (message.status, more.status) == ("finished", "finished")


def test_agents_are_models_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """``name=url`` gives the model ``name:agent``; what is no address stops the start."""
    monkeypatch.setenv("STREAMCHAT_AGENTS", "travel=http://127.0.0.1:9/run,home=https://agents.example/x")
    catalog = build_catalog(load_settings())
    assert {"travel:agent", "home:agent"} <= set(catalog.offered)
    assert (catalog.info("travel:agent").remote, catalog.info("home:agent").remote) == (False, True)
    monkeypatch.setenv("STREAMCHAT_AGENTS", "travel")
    with pytest.raises(SettingsError, match="STREAMCHAT_AGENTS"):
        load_settings()
