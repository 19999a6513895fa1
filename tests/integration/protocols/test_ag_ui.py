"""AG-UI: any model for its front ends. Every stream is checked against the rules of AG-UI's own verifier."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from streamchat.tools import tool
from tests.integration.protocols.conftest import FAST, Api

Events = list[dict[str, Any]]
CONTENT = ("TEXT_MESSAGE_CONTENT", "REASONING_MESSAGE_CONTENT", "TOOL_CALL_ARGS")


@tool
def calculate(expression: str) -> str:
    """Calculate."""
    return f"{expression} = 42"


@tool(approve=True)
def current_time(timezone: str) -> str:
    """The time."""
    return f"noon in {timezone}"


@pytest.fixture
def tools() -> list[Any]:
    return [calculate, current_time]


def told(answer: httpx.Response) -> Events:
    """The events of a stream, in order: what is opened is closed, and the run ends once, at the end."""
    assert answer.status_code == 200, answer.text
    events = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events[0]["type"] == "RUN_STARTED"
    assert [event["type"] in ("RUN_FINISHED", "RUN_ERROR") for event in events].index(True) == len(events) - 1
    open_items: set[tuple[str, str]] = set()
    for event in events:
        kind = event["type"].rpartition("_")[0]
        item = kind.removesuffix("_MESSAGE"), event.get("toolCallId") or event.get("messageId", "")
        if event["type"] in ("TEXT_MESSAGE_START", "REASONING_MESSAGE_START", "TOOL_CALL_START"):
            assert item not in open_items
            open_items.add(item)
        elif event["type"] in CONTENT:
            assert item in open_items
            assert event["delta"]
        elif event["type"] in ("TEXT_MESSAGE_END", "REASONING_MESSAGE_END", "TOOL_CALL_END"):
            open_items.remove(item)
    assert not open_items
    check_types(events)
    return events


def check_types(events: Events) -> None:
    """The events fit the types of AG-UI's own package, if it is installed."""
    try:
        from ag_ui.core import Event  # pyrefly: ignore[missing-import]
    except ImportError:
        return
    from pydantic import TypeAdapter

    for event in events:
        TypeAdapter(Event).validate_python(event)


def text_of(events: Events, kind: str = "TEXT_MESSAGE_CONTENT") -> str:
    return "".join(event["delta"] for event in events if event["type"] == kind)


def ask(api: Api, text: str, model: str = "tour", **more: Any) -> httpx.Response:
    message = {"id": "u", "role": "user", "content": text}
    body = {"threadId": "t", "runId": "r", "state": {}, "messages": [message], "tools": [], "context": []}
    return api.http.post("/ag-ui", json=body | {"forwardedProps": {"model": f"simulator:{model}"}} | more)


def test_an_answer(api: Api) -> None:
    """Text in pieces, usage and the client's own ids; the same run again is the same answer, as is its id."""
    answer = ask(api, f"{FAST} n=5 kind=numbered")
    events = told(answer)
    assert text_of(events).split() == [f"w{n:06d}" for n in range(1, 6)]
    assert (events[0]["threadId"], events[0]["runId"]) == ("t", "r")
    assert events[-1]["outcome"] == {"type": "success"}
    assert events[-1]["usage"][0]["outputTokens"]
    run_id = answer.headers["x-run-id"]
    again = ask(api, f"{FAST} n=5 kind=numbered")
    assert again.headers["x-run-id"] == run_id
    assert text_of(told(again)) == text_of(events)
    assert text_of(told(api.http.get(f"/ag-ui/{run_id}"))) == text_of(events)
    assert [m["role"] for m in api.conversation(answer.headers["x-conversation-id"])] == ["user", "assistant"]


def test_a_thread_goes_on_and_branches(api: Api) -> None:
    """A stored thread has its history; a question after an earlier answer begins a branch there."""
    first = ask(api, f"{FAST} n=2 kind=numbered")
    told(first)
    user = {"id": "u", "role": "user", "content": "x"}
    said = {"id": first.headers["x-run-id"], "role": "assistant", "content": "w"}
    for run, messages in (("r2", [user, said, user]), ("r3", [user, said, user, said | {"id": "?"}, user])):
        answer = ask(api, "", runId=run, messages=[*messages[:-1], user | {"content": f"{FAST} n=1"}])
        told(answer)
        assert answer.headers["x-conversation-id"] == first.headers["x-conversation-id"]
    assert len(api.conversation(first.headers["x-conversation-id"])) == 6
    branch = ask(api, "", runId="r4", messages=[user, said, user | {"content": f"{FAST} n=1"}])
    told(branch)
    assert len(api.conversation(first.headers["x-conversation-id"])) == 4


def test_reasoning(api: Api) -> None:
    """Thinking is apart from the text, and is closed before it."""
    events = told(ask(api, FAST, "reasoning"))
    assert text_of(events, "REASONING_MESSAGE_CONTENT")
    types = [event["type"] for event in events]
    assert types.index("REASONING_END") < types.index("TEXT_MESSAGE_START")


def test_tools_of_the_server(api: Api) -> None:
    """They run here: call, arguments, result; the text after it is another message."""
    events = told(ask(api, f"{FAST} calls=1 tools=calculate", "tools"))
    types = [event["type"] for event in events]
    assert types.count("TOOL_CALL_RESULT") == 1
    (result,) = (event for event in events if event["type"] == "TOOL_CALL_RESULT")
    assert "42" in result["content"]
    start = next(event for event in events if event["type"] == "TOOL_CALL_START")
    last_text = [event["messageId"] for event in events if event["type"] == "TEXT_MESSAGE_START"][-1]
    assert last_text != start["parentMessageId"]


def test_tools_of_the_front_end_are_returned(api: Api) -> None:
    """They are never run here; the client's result continues the answer."""
    tool_in = {"name": "confirm", "description": "Ask.", "parameters": {"type": "object", "properties": {}}}
    question = {"id": "u", "role": "user", "content": f"{FAST} calls=1 tools=confirm"}
    first = ask(api, "", "tools", messages=[question], tools=[tool_in])
    events = told(first)
    (call,) = (event for event in events if event["type"] == "TOOL_CALL_START")
    assert call["toolCallName"] == "confirm"
    assert not any(event["type"] == "TOOL_CALL_RESULT" for event in events)
    arguments = text_of(events, "TOOL_CALL_ARGS")
    asked = {"id": call["toolCallId"], "type": "function", "function": {"name": "confirm", "arguments": arguments}}
    messages = [
        question,
        {"id": call["parentMessageId"], "role": "assistant", "toolCalls": [asked]},
        {"id": "x", "role": "tool", "toolCallId": call["toolCallId"], "content": "surely confirmed"},
    ]
    for thread in ("t", "elsewhere"):  # stored here, or only at the client
        events = told(ask(api, "", "tools", runId="r2", threadId=thread, messages=messages, tools=[tool_in]))
        assert "surely confirmed" in text_of(events)
        assert not any(event["type"] == "TOOL_CALL_START" for event in events)


@pytest.mark.parametrize("approved", [True, False])
def test_an_approval_is_an_interrupt(api: Api, approved: bool) -> None:
    """The run ends with it; the next one brings the decision, and the answer goes on without a second start."""
    question = f"{FAST} calls=1 tools=current_time"
    events = told(ask(api, question, "tools"))
    assert events[-1]["outcome"]["type"] == "interrupt"
    (interrupt,) = events[-1]["outcome"]["interrupts"]
    (call,) = (event for event in events if event["type"] == "TOOL_CALL_START")
    assert (interrupt["reason"], interrupt["toolCallId"]) == ("tool_call", call["toolCallId"])
    payload = {"approved": approved, "editedArgs": {"timezone": "Rome"}} if approved else {"approved": False}
    resume = [{"interruptId": interrupt["id"], "status": "resolved", "payload": payload}]
    for run in ("r2", "r3"):  # a resume may be repeated
        events = told(ask(api, "", runId=run, parentRunId="r", messages=[], resume=resume))
        assert events[0]["parentRunId"] == "r"
        types = [event["type"] for event in events]
        assert "TOOL_CALL_START" not in types
        (result,) = (event for event in events if event["type"] == "TOOL_CALL_RESULT")
        assert ("noon in Rome" in result["content"]) is approved
        assert events[-1]["outcome"] == {"type": "success"}
        assert text_of(events)


RESUME: dict[str, list[dict[str, Any]]] = {
    "twice": [{"status": "resolved", "payload": {"approved": True}}, {"status": "cancelled"}],
    "arguments-that-do-not-fit": [{"status": "resolved", "payload": {"approved": True, "editedArgs": {"timezone": 5}}}],
    "arguments-that-are-none": [{"status": "resolved", "payload": {"approved": True, "editedArgs": [1]}}],
    "another-besides": [{"status": "cancelled"}, {"status": "cancelled", "interruptId": "x:y"}],
}


@pytest.mark.parametrize("name", RESUME)
def test_a_bad_resume_decides_nothing(api: Api, name: str) -> None:
    """It is refused, the call waits as before, and a good one goes on."""
    events = told(ask(api, f"{FAST} calls=1 tools=current_time", "tools"))
    (interrupt,) = events[-1]["outcome"]["interrupts"]
    resume = [{"interruptId": interrupt["id"], **one} for one in RESUME[name]]
    assert ask(api, "", runId="r2", messages=[], resume=resume).status_code == 422
    good = [{"interruptId": interrupt["id"], "status": "cancelled"}]
    events = told(ask(api, "", runId="r3", messages=[], resume=good))
    (result,) = (event for event in events if event["type"] == "TOOL_CALL_RESULT")
    assert "noon" not in result["content"]


@pytest.mark.parametrize("scene", ["bad-key", "cut", "overloaded-after"])
def test_errors_end_the_run(api: Api, scene: str) -> None:
    """With the message and the kind, after what came was closed."""
    events = told(ask(api, FAST, scene))
    assert events[-1]["type"] == "RUN_ERROR"
    assert events[-1]["message"]
    assert events[-1]["code"]


def test_stop_by_the_run_id(api: Api) -> None:
    """The answer's id is in a header: whoever has it stops the answer, which ends the stream as finished."""
    message = {"id": "u", "role": "user", "content": "rate=50 n=5000"}
    body = {"threadId": "t", "runId": "r", "messages": [message], "forwardedProps": {"model": "simulator:tour"}}
    with api.http.stream("POST", "/ag-ui", json=body) as answer:
        lines = answer.iter_lines()
        while "TEXT_MESSAGE_CONTENT" not in next(lines):
            pass
        assert api.http.delete(f"/api/runs/{answer.headers['x-run-id']}").status_code < 300
        rest = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert (rest[-1]["outcome"], rest[-1]["result"]) == ({"type": "cancelled"}, {"reason": "stopped"})


BAD: dict[str, tuple[dict[str, Any], int]] = {
    "no-message": ({"messages": []}, 422),
    "last-is-the-answer": ({"messages": [{"id": "a", "role": "assistant", "content": "x"}]}, 422),
    "unknown-model": ({"forwardedProps": {"model": "no:such"}}, 404),
    "audio": (
        {"messages": [{"id": "u", "role": "user", "content": [
            {"type": "audio", "source": {"type": "data", "value": "eA==", "mimeType": "audio/wav"}}]}]},
        422,
    ),
    "url": (
        {"messages": [{"id": "u", "role": "user", "content": [
            {"type": "image", "source": {"type": "url", "value": "http://127.0.0.1/x.png"}}]}]},
        422,
    ),
    "part-without-type": ({"messages": [{"id": "u", "role": "user", "content": [{"text": "x"}]}]}, 422),
    "result-without-id": ({"messages": [{"id": "u", "role": "tool", "content": "x"}]}, 422),
    "result-of-no-call": ({"messages": [{"id": "u", "role": "tool", "toolCallId": "c", "content": "x"}]}, 422),
    "no-thread": ({"threadId": ""}, 422),
    "resume-of-nothing": ({"resume": [{"interruptId": "x:y", "status": "cancelled"}]}, 404),
    "resume-that-says-nothing": ({"resume": [{"interruptId": "x:y", "status": "resolved", "payload": {}}]}, 422),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused(api: Api, name: str) -> None:
    """With a status and a sentence, before a run is begun."""
    more, status = BAD[name]
    answer = ask(api, "hi", **more)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]


def test_what_the_front_end_tells_reaches_the_model(api: Api) -> None:
    """Context and state are part of the system prompt; pictures and texts in a message are parts of it."""
    content = [
        {"type": "text", "text": f"{FAST} n=1"},
        {"type": "document", "source": {"type": "data", "value": "aGk=", "mimeType": "text/plain"}},
    ]
    message = {"id": "u", "role": "user", "content": content}
    context = [{"description": "The user's city", "value": "Oslo"}]
    answer = ask(api, "", messages=[message], context=context, state={"step": 2})
    told(answer)
    conversation = answer.headers["x-conversation-id"]
    assert [part["type"] for part in api.conversation(conversation)[0]["parts"]] == ["text", "file"]
