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
from streamchat.providers.base import ModelInfo
from streamchat.providers.catalog import Catalog, Source
from streamchat.runs.approvals import Decision
from streamchat.runs.coalesce import Deadlines
from streamchat.runs.retries import Policy
from streamchat.settings import load_settings
from streamchat.simulator.provider import MODELS, Simulator
from streamchat.wiring.build_models import build_catalog
from tests.integration.runs.conftest import World, make_world
from tests.integration.web.conftest import PAGE, serving

USER = Message("u", "user", (TextPart("hello"),))
EMPTY = Message("a", "assistant", status="streaming")
START = {"type": "RUN_STARTED", "threadId": "t", "runId": "r"}
END = {"type": "RUN_FINISHED", "threadId": "t", "runId": "r"}


def text(delta: str, message_id: str = "m") -> dict[str, Any]:
    return {"type": "TEXT_MESSAGE_CONTENT", "messageId": message_id, "delta": delta}


def call_event(kind: str, call_id: str = "c", **more: Any) -> dict[str, Any]:
    return {"type": f"TOOL_CALL_{kind}", "toolCallId": call_id, **more}


@asynccontextmanager
async def agent(
    *script: dict[str, Any], silent: bool = False, later: list[list[dict[str, Any]]] | None = None
) -> AsyncIterator[tuple[AgUiAgent, list[Any]]]:
    """An agent that sends these events to every run, and what it was sent. ``silent``: it then keeps the line.

    ``later``: what it sends to the runs after the first, if that differs.
    """
    sent: list[Any] = []
    scripts = [list(script), *(later or [])]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        sent.append(json.loads(await reader.readexactly(length)))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        for event in scripts[min(len(sent), len(scripts)) - 1] if later else script:
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
        call_event("START", toolCallName="search"),
        call_event("ARGS", delta='{"q": '),
        call_event("ARGS", delta='"x"}'),
        call_event("END"),
        call_event("RESULT", messageId="t", content='{"hits": 2}'),
        {"type": "STATE_SNAPSHOT", "snapshot": {"step": 1}},
        {"type": "SOMETHING_NEW", "value": 1},
        text("Two.", "m2"),
        END | {"usage": [{"inputTokens": 3, "outputTokens": 4}, {"inputTokens": 1}]},
    ]
    message = await answer_of(*script)
    assert (message.text, message.stop_reason, message.usage) == ("One. Two.", "stop", e.UsageReported(4, 4))
    assert [p.text for p in message.parts if isinstance(p, ReasoningPart)] == ["Hm. "]
    tool, state = (p for p in message.parts if isinstance(p, ToolCallPart))
    assert (tool.name, tool.state, tool.result, tool.by_provider) == ("search", "done", {"hits": 2}, True)
    assert (state.name, state.state, state.arguments, state.result) == ("state", "done", {"step": 1}, {"step": 1})
    assert run_input(Request("agent", (USER, message, USER)))["state"] == {"step": 1}
    sent = run_input(Request("agent", (USER, message, USER)))["messages"]
    assert [one["role"] for one in sent] == ["user", "assistant", "tool", "assistant", "user"]


async def test_our_tools_are_ours_to_run() -> None:
    """A call of a tool that we declared ends the answer with ``tool-calls``."""
    request = Request("agent", (USER,), tools=(ToolSpec("double", "Twice.", {"type": "object"}),))
    script = [
        START,
        call_event("START", toolCallName="double"),
        call_event("ARGS", delta='{"n": 1}'),
        call_event("END"),
        END,
    ]
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


async def test_state_is_a_panel_with_its_changes() -> None:
    """The first snapshot, a line for each change, and the state in the end, which the next run begins with."""
    script = [
        START,
        {"type": "STATE_SNAPSHOT", "snapshot": {"steps": ["a"], "n": 1}},
        {"type": "STATE_SNAPSHOT", "snapshot": {"steps": ["a"], "n": 1}},
        {"type": "STATE_DELTA", "delta": [{"op": "add", "path": "/steps/-", "value": "b"}]},
        {"type": "STATE_DELTA", "delta": [{"op": "replace", "path": "/n", "value": 2}, {"op": "remove", "path": "/n"}]},
        {"type": "STATE_SNAPSHOT", "snapshot": {"steps": [], "messages": [{"id": "u"}]}},
        text("Done."),
        END,
    ]
    message = await answer_of(*script)
    (panel,) = (p for p in message.parts if isinstance(p, ToolCallPart))
    assert (panel.name, panel.arguments, panel.result) == ("state", {"steps": ["a"], "n": 1}, {"steps": []})
    assert panel.progress == ('add /steps/- "b"', "replace /n 2", "remove /n", '{"steps": []}')
    sent = run_input(Request("agent", (USER, message, USER)))
    assert sent["state"] == {"steps": []}
    assert "toolCalls" not in str(sent["messages"])


async def test_runs_of_a_thread_have_their_parents() -> None:
    """Each names the agent's run before it in this branch; a branch from the first question has none."""
    async with agent(START, text("Yes."), END) as (provider, sent):
        messages: tuple[Message, ...] = (USER,)
        for _ in range(3):
            request = Request("agent", messages, conversation_id="c")
            messages += (fold(EMPTY, [event async for event in provider.stream(request)]), USER)
        async for _ in provider.stream(Request("agent", (USER,), conversation_id="c")):
            pass
    assert {one["threadId"] for one in sent} == {"c"}
    assert len({one["runId"] for one in sent}) == 4
    assert [one.get("parentRunId") for one in sent] == [None, sent[0]["runId"], sent[1]["runId"], None]


def asks(**interrupt: Any) -> dict[str, Any]:
    """The end of a run that waits for a person."""
    return END | {"outcome": {"type": "interrupt", "interrupts": [{"id": "i", "reason": "confirmation", **interrupt}]}}


@asynccontextmanager
async def asking(
    path: Path, interrupt: dict[str, Any], *before: dict[str, Any], after: list[dict[str, Any]] | None = None
) -> AsyncIterator[tuple[World, list[Any], Message]]:
    """A world whose agent has asked: what it was sent, and the answer that waits."""
    then = [after or [START, text("Then so."), END]]
    async with agent(START, text("May I? "), *before, asks(**interrupt), later=then) as (provider, sent):
        catalog = Catalog([Source("a", provider, [ModelInfo("a:agent", "A")])])
        async with make_world(path, catalog=catalog) as world:
            world.model = "a:agent"
            begun = await world.start()
            yield world, sent, await world.reached(begun.run_id, "waiting")


def call_of(message: Message) -> ToolCallPart:
    (found,) = (part for part in message.parts if isinstance(part, ToolCallPart))
    return found


NUMBER = {"type": "integer", "minimum": 1}
AMOUNT = {"type": "object", "properties": {"amount": NUMBER, "note": {"type": "string"}}, "required": ["amount"]}
ASKED = {"type": "object", "properties": {"approved": {"type": "boolean"}, "amount": NUMBER}, "required": ["approved"]}
# name: responseSchema, the fields of the form, the decision, what the agent gets
DECISIONS: dict[str, tuple[Any, list[str], Decision, dict[str, Any]]] = {
    "no-schema": (None, [], Decision(True), {"status": "resolved", "payload": {"approved": True}}),
    "no-schema-denied": (None, [], Decision(False), {"status": "resolved", "payload": {"approved": False}}),
    "form": (
        AMOUNT,
        ["amount", "note"],
        Decision(True, {"amount": 3}),
        {"status": "resolved", "payload": {"amount": 3}},
    ),
    "form-denied": (AMOUNT, ["amount", "note"], Decision(False), {"status": "cancelled"}),
    "approved": (
        *(ASKED, ["amount"], Decision(True, {"amount": 3})),
        {"status": "resolved", "payload": {"approved": True, "amount": 3}},
    ),
    "yes": ({"type": "boolean"}, [], Decision(True), {"status": "resolved", "payload": True}),
    "no": ({"type": "boolean"}, [], Decision(False), {"status": "resolved", "payload": False}),
    "a-text": (
        *({"type": "string", "enum": ["red", "blue"]}, ["answer"], Decision(True, {"answer": "red"})),
        {"status": "resolved", "payload": "red"},
    ),
}


@pytest.mark.parametrize("name", DECISIONS)
async def test_an_interrupt_waits_for_a_person(tmp_path: Path, name: str) -> None:
    """A form of its schema, the decision goes back to the agent, and the same answer goes on."""
    schema, fields, decision, expected = DECISIONS[name]
    async with asking(tmp_path, {"message": "Really?", "responseSchema": schema}) as (world, sent, message):
        assert "Really?" in next(part.text for part in message.parts if isinstance(part, NoticePart))
        call = call_of(message)
        assert call.schema is not None
        assert sorted(call.schema["properties"]) == sorted(fields)
        await world.runs.decide("local", message.id, call.id, decision)
        ended = await world.ended(message.id)
        assert (ended.status, ended.text) == ("finished", "May I? Then so.")
        assert call_of(ended).state == ("done" if decision.approve else "denied")
        assert sent[1]["resume"] == [{"interruptId": "i", **expected}]
        assert sent[1]["parentRunId"] == sent[0]["runId"]
        assert await world.stored(message.id) == ended
        await world.ended(
            (await world.start(conversation_id=await world.runs.conversation_of("local", message.id))).run_id
        )
        assert "resume" not in sent[2]


async def test_a_call_of_the_agent_waits_for_a_person(tmp_path: Path) -> None:
    """Its own arguments are the form; what was changed goes back, and the agent's result ends the same call."""
    schema = {
        "type": "object",
        "properties": {
            "approved": {"type": "boolean"},
            "editedArgs": {"type": "object", "properties": {"to": {"type": "string"}}},
        },
    }
    interrupt = {"reason": "tool_call", "toolCallId": "c", "responseSchema": schema}
    call = [call_event("START", toolCallName="send"), call_event("ARGS", delta='{"to": "a"}'), call_event("END")]
    after = [START, *call, call_event("RESULT", messageId="t", content="sent"), text("Sent."), END]
    async with asking(tmp_path, interrupt, *call, after=after) as (world, sent, message):
        waiting = call_of(message)
        assert (waiting.id, waiting.name, waiting.arguments) == ("c", "send", {"to": "a"})
        assert waiting.schema == {"type": "object", "properties": {"to": {"type": "string"}}}
        await world.runs.decide("local", message.id, "c", Decision(True, {"to": "b"}))
        ended = await world.ended(message.id)
        assert (call_of(ended).state, call_of(ended).result, ended.text) == ("done", "sent", "May I? Sent.")
        payload = {"approved": True, "editedArgs": {"to": "b"}}
        assert sent[1]["resume"] == [{"interruptId": "i", "status": "resolved", "payload": payload}]
        assert [one["role"] for one in sent[1]["messages"]] == ["user", "assistant"]  # without a result


async def test_an_interrupt_that_nobody_answers_is_cancelled(tmp_path: Path) -> None:
    """The answer is stopped while it waits: the next question tells the agent, so that its thread is not blocked."""
    async with asking(tmp_path, {}) as (world, sent, message):
        await world.runs.cancel("local", message.id)
        conversation_id = await world.runs.conversation_of("local", message.id)
        await world.ended((await world.start(conversation_id=conversation_id)).run_id)
    assert sent[1]["resume"] == [{"interruptId": "i", "status": "cancelled"}]


async def test_an_agent_that_asks_again(tmp_path: Path) -> None:
    """Each time only the open questions are answered."""
    after = [START, END | {"outcome": {"type": "interrupt", "interrupts": [{"id": "j", "reason": "input_required"}]}}]
    async with asking(tmp_path, {}, after=after) as (world, sent, message):
        await world.runs.decide("local", message.id, call_of(message).id, Decision(False))
        while len(calls := [p for p in (await world.stored(message.id)).parts if isinstance(p, ToolCallPart)]) < 2:
            await asyncio.sleep(0.01)
        await world.reached(message.id, "waiting")
        await world.runs.decide("local", message.id, calls[1].id, Decision(True))
        while len(sent) < 3:
            await asyncio.sleep(0.01)
        await world.runs.cancel("local", message.id)
    assert [one["interruptId"] for one in sent[2]["resume"]] == ["j"]


async def test_a_snapshot_alone_is_the_answer() -> None:
    """Some agents stream nothing else."""
    messages = [{"id": "u", "role": "user", "content": "x"}, {"id": "a", "role": "assistant", "content": "All."}]
    assert (await answer_of(START, {"type": "MESSAGES_SNAPSHOT", "messages": messages}, END)).text == "All."


BAD = {
    "gone": ([START, text("Some. ")], "cut"),
    "result-of-no-call": ([START, text("Some. "), call_event("RESULT", content="x"), END], "bad-event"),
    "arguments-of-no-call": ([START, text("Some. "), call_event("ARGS", delta="{}"), END], "bad-event"),
    "two-runs-at-once": ([START, text("Some. "), START, END], "spliced"),
    "no-type": ([START, text("Some. "), {"delta": "x"}, END], "bad-event"),
    "text-of-a-number": ([START, text("Some. "), text(3), END], "bad-event"),  # pyrefly: ignore[bad-argument-type]
    "change-of-no-state": (
        [START, text("Some. "), {"type": "STATE_DELTA", "delta": [{"op": "remove", "path": "/a"}]}, END],
        "bad-event",
    ),
    "a-question-without-id": (
        [START, text("Some. "), END | {"outcome": {"type": "interrupt", "interrupts": [{"reason": "x"}]}}],
        "bad-event",
    ),
    "error": ([START, text("Some. "), {"type": "RUN_ERROR", "message": "The library is closed."}], "error-event"),
    "cancelled": ([START, text("Some. "), END | {"outcome": {"type": "cancelled"}}], "incomplete"),
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


async def test_an_agent_that_never_ends(tmp_path: Path) -> None:
    """The deadline for silence ends the answer; what came is kept."""
    async with agent(START, text("Some."), silent=True) as (provider, _):
        catalog = Catalog([Source("a", provider, [ModelInfo("a:agent", "A")])])
        async with make_world(tmp_path, Policy(deadlines=Deadlines(idle=0.2)), catalog) as world:
            world.model = "a:agent"
            message = await world.ended((await world.start()).run_id)
    assert (message.status, message.text) == ("interrupted", "Some.")


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
    with socket.socket(proto=socket.IPPROTO_TCP) as sock:
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


def test_agents_are_models_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """``name=url`` gives the model ``name:agent``; what is no address stops the start."""
    monkeypatch.setenv("STREAMCHAT_AGENTS", "travel=http://127.0.0.1:9/run,home=https://agents.example/x")
    catalog = build_catalog(load_settings())
    assert {"travel:agent", "home:agent"} <= set(catalog.offered)
    assert (catalog.info("travel:agent").remote, catalog.info("home:agent").remote) == (False, True)
    monkeypatch.setenv("STREAMCHAT_AGENTS", "travel")
    with pytest.raises(SettingsError, match="STREAMCHAT_AGENTS"):
        load_settings()
