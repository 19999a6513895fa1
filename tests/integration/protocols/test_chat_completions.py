"""Chat completions with OpenAI's own SDK, against a real server, answered by the simulator."""

from __future__ import annotations

import http.client
import json
import time
from typing import Any

import openai
import pytest

from streamchat.web.streaming import streams
from tests.integration.protocols.conftest import FAST, Api
from tests.support.made_files import PICTURE

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def ask(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "simulator:tour", "messages": [{"role": "user", "content": f"{text} {FAST}"}], **more}


def test_an_answer_in_one_piece(api: Api):
    """Text, stop reason and usage as the SDK reads them; the run is there for every other client."""
    raw = api.openai().chat.completions.with_raw_response.create(**ask("n=5"))
    answer = raw.parse()
    assert answer.choices[0].message.content == "w000001 w000002 w000003 w000004 w000005"
    assert (answer.choices[0].finish_reason, answer.model, answer.object) == (
        "stop",
        "simulator:tour",
        "chat.completion",
    )
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5
    run = api.run(raw.headers["x-run-id"])
    assert (run["message"]["text"], run["conversation_id"]) == (
        answer.choices[0].message.content,
        raw.headers["x-conversation-id"],
    )
    assert answer.id == f"chatcmpl-{run['run_id']}"


@pytest.mark.parametrize(
    ("stop", "expected"),
    [
        ("w000003", "w000001 w000002 "),
        (["nothing", "02 w0"], "w000001 w0000"),
        (["000002", "w000002"], "w000001 "),
        ("w000001", None),
        ("not there", "w000001 w000002 w000003 w000004 w000005"),
    ],
)
def test_an_answer_ends_before_a_stop_text(api: Api, stop, expected: str | None):
    """Streamed or not, also where the text is in several pieces."""
    answer = api.openai().chat.completions.create(**ask("n=5"), stop=stop)
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (expected, "stop")
    chunks = list(api.openai().chat.completions.create(**ask("n=5"), stop=stop, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == (expected or "")
    if expected is not None:
        message = api.anthropic().messages.create(
            **ask("n=5"), max_tokens=99, stop_sequences=[stop] if isinstance(stop, str) else stop
        )
        assert [block.text for block in message.content if block.type == "text"] == [expected]


@pytest.mark.parametrize(
    "more",
    [
        {"tool_choice": "required"},
        {"tool_choice": {"type": "function", "function": {"name": "other"}}, "tools": [WEATHER]},
        {"tool_choice": {"type": "allowed_tools"}, "tools": [WEATHER]},
        {"tool_choice": "sometimes", "tools": [WEATHER]},
        {"top_p": 1.5},
        {"stop": ""},
        {"stop": ["a"] * 100},
        {"seed": 2**70},
    ],
)
def test_what_cannot_be_kept_is_refused(api: Api, more: dict):
    """With a 400 that names the field, in the vendor's shape."""
    with pytest.raises(openai.BadRequestError) as raised:
        api.openai().chat.completions.create(**ask("n=1"), extra_body=more)
    assert next(iter(more)) in str(raised.value)


def test_a_forced_tool_is_asked_for(api: Api):
    """One that is declared; its call goes to the client."""
    more = {"tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False, "seed": 3, "top_p": 0.5}
    answer = api.openai().chat.completions.create(**ask("tools=weather"), extra_body=more)
    assert answer.choices[0].finish_reason == "tool_calls"


def test_a_stream(api: Api):
    """Piece by piece, one finish reason at the end, and usage only for who asks for it."""
    chunks = list(api.openai().chat.completions.create(**ask("n=200"), stream=True))
    assert chunks[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text.split() == [f"w{n:06}" for n in range(1, 201)]
    assert [c.choices[0].finish_reason for c in chunks if c.choices[0].finish_reason] == ["stop"]
    assert all(chunk.usage is None for chunk in chunks)
    more = list(api.openai().chat.completions.create(**ask("n=3"), stream=True, stream_options={"include_usage": True}))
    assert (more[-1].choices, more[-1].usage and more[-1].usage.completion_tokens) == ([], 3)
    assert all(chunk.usage is None for chunk in more[:-1])


async def test_asynchronously_and_with_the_strict_reader(api: Api):
    """The SDK's own accumulator, which raises on what is out of order, reads each kind of answer."""
    async with api.async_openai() as client:
        for scene in ("tour", "reasoning", "split-emoji", "parallel-tools"):
            asked = ask("hello", model=f"simulator:{scene}")
            async with client.chat.completions.stream(**asked, stream_options={"include_usage": True}) as stream:
                kinds = [event.type async for event in stream]
                final = await stream.get_final_completion()
            assert "content.delta" in kinds
            assert final.choices[0].finish_reason == ("tool_calls" if scene == "parallel-tools" else "stop")
            assert final.usage is not None


def test_thinking_is_told_apart(api: Api):
    """As ``reasoning_content``, in a stream and in one piece, and never in the text."""
    client = api.openai()
    whole = client.chat.completions.create(**ask("hello", model="simulator:reasoning")).choices[0].message
    chunks = client.chat.completions.create(**ask("hello", model="simulator:reasoning"), stream=True)
    pieces = [chunk.choices[0].delta for chunk in chunks]
    thinking = "".join(getattr(delta, "reasoning_content", None) or "" for delta in pieces)
    assert thinking == getattr(whole, "reasoning_content", None)
    assert thinking.startswith("The user wants")
    assert "The user wants" not in (whole.content or "")


def test_a_clients_tools(api: Api):
    """They come back as calls and are not run; with their results, the answer goes on, with what was said before."""
    client = api.openai()
    asked = ask("calls=2", model="simulator:tools", tools=[WEATHER])
    first = client.chat.completions.create(**asked)
    message = first.choices[0].message
    assert (first.choices[0].finish_reason, message.content) == ("tool_calls", "Let me look that up.")
    calls = message.tool_calls or []
    assert [call.function.name for call in calls] == ["weather", "weather"]
    assert json.loads(calls[0].function.arguments) == {"city": "Paris"}
    results = [{"role": "tool", "tool_call_id": call.id, "content": f"rain {n}"} for n, call in enumerate(calls)]
    history = [*asked["messages"], message.model_dump(exclude_none=True), *results]
    raw = client.chat.completions.with_raw_response.create(**(asked | {"messages": history}))
    text = raw.parse().choices[0].message.content or ""
    assert "`rain 0`" in text
    assert "Let me look" not in text
    run = api.run(raw.headers["x-run-id"])
    kinds = [(part["type"], part.get("state")) for part in run["message"]["parts"]]
    assert kinds == [("text", None), ("tool_call", "done"), ("tool_call", "done"), ("text", None)]


def test_calls_in_a_stream_come_one_after_the_other(api: Api):
    """Also where the model told the arguments of several side by side."""
    stream = api.openai().chat.completions.create(
        **ask("calls=3", model="simulator:tools", tools=[WEATHER]), stream=True
    )
    told: dict[int, str] = {}
    order = []
    for chunk in stream:
        for call in chunk.choices[0].delta.tool_calls or ():
            told[call.index] = told.get(call.index, "") + ((call.function and call.function.arguments) or "")
            order.append(call.index)
    assert order == sorted(order)
    assert [json.loads(text)["city"] for text in told.values()] == ["Paris", "Tokyo", "Lima"]


def test_a_conversation_goes_on(api: Api):
    """With the header, only the last message counts: the server knows what was said."""
    client = api.openai()
    first = client.chat.completions.with_raw_response.create(**ask("n=2"))
    headers = {"X-Conversation-Id": first.headers["x-conversation-id"]}
    second = client.chat.completions.with_raw_response.create(**ask("n=3"), extra_headers=headers)
    assert second.headers["x-conversation-id"] == headers["X-Conversation-Id"]
    assert [m["role"] for m in api.conversation(headers["X-Conversation-Id"])] == ["user", "assistant"] * 2


def test_results_in_a_stored_conversation(api: Api):
    """The answer goes on where the calls were made, in the slot of that answer."""
    client = api.openai()
    asked = ask("calls=1", model="simulator:tools", tools=[WEATHER])
    first = client.chat.completions.with_raw_response.create(**asked)
    (call,) = first.parse().choices[0].message.tool_calls or []
    headers = {"X-Conversation-Id": first.headers["x-conversation-id"]}
    result = [{"role": "tool", "tool_call_id": call.id, "content": "sun"}]
    answer = client.chat.completions.create(**(asked | {"messages": result}), extra_headers=headers)
    assert "`sun`" in (answer.choices[0].message.content or "")
    user, told = api.conversation(headers["X-Conversation-Id"])
    assert (user["role"], [part["type"] for part in told["parts"]]) == ("user", ["text", "tool_call", "text"])
    stray = [{"role": "tool", "tool_call_id": "call_stray", "content": "sun"}]
    with pytest.raises(openai.BadRequestError, match="call_stray"):
        client.chat.completions.create(**(asked | {"messages": stray}), extra_headers=headers)


def test_a_history_is_stored_with_the_question(api: Api):
    """What the client remembers is a conversation like any other, with its title."""
    history = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": "First question"},
        {"role": "assistant", "content": "First answer"},
    ]
    asked = ask("n=1")
    raw = api.openai().chat.completions.with_raw_response.create(**(asked | {"messages": history + asked["messages"]}))
    messages = api.conversation(raw.headers["x-conversation-id"])
    assert [m["text"] for m in messages][:2] == ["First question", "First answer"]
    assert len(messages) == 4


def test_pictures_files_and_formats(api: Api):
    """Pictures and text files travel inside; a schema is kept to; an address that is not public is not fetched."""
    client = api.openai()
    image = {
        "type": "image_url",
        "image_url": {"url": f"data:image/png;base64,{PICTURE}"},
    }
    file = {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,aGVsbG8="}}
    content = [{"type": "text", "text": f"n=1 {FAST}"}, image, file]
    raw = client.chat.completions.with_raw_response.create(
        model="simulator:tour",
        messages=[{"role": "user", "content": content}],  # pyrefly: ignore[bad-argument-type]
    )
    (question, _) = api.conversation(raw.headers["x-conversation-id"])
    assert [part["type"] for part in question["parts"]] == ["text", "image", "file"]
    assert question["parts"][2]["text"] == "hello"
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    told = client.chat.completions.create(**ask("x", response_format=form)).choices[0].message.content
    assert json.loads(told or "") == {"city": "Paris"}
    content[1] = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/a.png"}}
    with pytest.raises(openai.BadRequestError, match="not a public address"):
        client.chat.completions.create(model="simulator:tour", messages=[{"role": "user", "content": content}])  # pyrefly: ignore[bad-argument-type]


FAULTS = {
    "rate-limited": (openai.RateLimitError, "rate_limit_exceeded"),
    "overloaded": (openai.InternalServerError, "overloaded"),
    "bad-key": (openai.AuthenticationError, "invalid_api_key"),
    "context-too-long": (openai.BadRequestError, "context_length_exceeded"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("scene", FAULTS)
def test_what_fails_before_the_first_piece_has_a_status(api: Api, scene: str, stream: bool):
    """The SDK's own exception with the vendor's code, streaming or not; and no client asks again by itself."""
    kind, code = FAULTS[scene]
    with pytest.raises(kind) as caught:
        api.openai().chat.completions.create(**ask("hello", model=f"simulator:{scene}"), stream=stream)
    assert caught.value.code == code
    assert caught.value.response.headers["x-run-id"]
    assert len(api.http.get("/api/conversations").json()["conversations"]) == 1


@pytest.mark.parametrize("scene", ["overloaded-after", "cut", "reset", "bad-json"])
def test_what_breaks_in_the_middle_never_looks_complete(api: Api, scene: str):
    """An error in the stream after the text that came, no finish reason, no end mark; in one piece, a status."""
    pieces, reasons = [], []
    with pytest.raises(openai.APIError):
        for chunk in api.openai().chat.completions.create(**ask("", model=f"simulator:{scene}"), stream=True):
            pieces.append(chunk.choices[0].delta.content or "")
            reasons.append(chunk.choices[0].finish_reason)
    assert len("".join(pieces).split()) > 3
    assert set(reasons) == {None}
    body = ask("", model=f"simulator:{scene}", stream=True)
    raw = api.http.post("/v1/chat/completions", json=body).text
    assert "[DONE]" not in raw
    with pytest.raises(openai.APIStatusError) as caught:
        api.openai().chat.completions.create(**ask("", model=f"simulator:{scene}"))
    assert caught.value.status_code in (502, 503)


def test_other_ends(api: Api):
    """The token limit, a refusal and a content filter are said in the vendor's words."""
    client = api.openai()
    cut = client.chat.completions.create(**ask("n=50", max_tokens=4))
    assert (cut.choices[0].finish_reason, len((cut.choices[0].message.content or "").split())) == ("length", 4)
    filtered = client.chat.completions.create(**ask("", model="simulator:content-filter"))
    assert filtered.choices[0].finish_reason == "content_filter"
    refused = client.chat.completions.create(**ask("", model="simulator:refusal")).choices[0]
    assert (refused.finish_reason, refused.message.content) == ("stop", None)
    assert refused.message.refusal == "I can't help with that request."
    chunks = client.chat.completions.create(**ask("", model="simulator:refusal"), stream=True)
    assert "".join(chunk.choices[0].delta.refusal or "" for chunk in chunks) == refused.message.refusal


def test_what_is_asked_wrongly(api: Api):
    """400 and 404 in the vendor's shape, and nothing was begun."""
    client = api.openai()
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(**ask("n=1", model="simulator:nobody"))
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    for wrong in ({"messages": []}, {"temperature": 9}, {"n": 2}, {"response_format": {"type": "xml"}}):
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(**ask("n=1", **wrong))
    for body in (b"{", b"[]", b"null", b'"x"'):
        answer = api.http.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["type"] == "invalid_request_error"
    nowhere = api.http.get("/v1/nothing")
    assert (nowhere.status_code, nowhere.json()["error"]["type"]) == (404, "invalid_request_error")
    assert api.http.get("/api/conversations").json()["conversations"] == []


def test_the_same_key_again_is_the_same_run(api: Api):
    """A retry with ``Idempotency-Key`` reads the run that was begun, from its beginning."""
    client = api.openai()
    headers = {"Idempotency-Key": "once"}
    raw = [client.chat.completions.with_raw_response.create(**ask("n=4"), extra_headers=headers) for _ in range(2)]
    assert raw[0].headers["x-run-id"] == raw[1].headers["x-run-id"]
    assert raw[0].parse().choices == raw[1].parse().choices
    stream = client.chat.completions.create(**ask("n=4"), stream=True, extra_headers=headers)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == raw[0].parse().choices[0].message.content


def test_a_client_that_goes_away_does_not_stop_the_run(api: Api):
    """It is answered to the end, for whoever reads it."""
    stream = api.openai().chat.completions.with_raw_response.create(
        model="simulator:tour", messages=[{"role": "user", "content": "n=60 rate=100 ttft=0"}], stream=True
    )
    next(iter(stream.parse()))
    stream.parse().close()
    run = api.run(stream.headers["x-run-id"])
    assert run["status"] == "finished"
    assert len(run["message"]["text"].split()) == 60


def test_models(api: Api):
    """The list and each of it, by our ids."""
    client = api.openai()
    ids = [model.id for model in client.models.list()]
    assert "simulator:tour" in ids
    assert client.models.retrieve("simulator:tour").owned_by == "simulator"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("simulator:nobody")


def test_who_waits_for_a_whole_answer_counts_as_a_reader(api: Api):
    """One whose client is gone counts no more, at once, though its run goes on."""
    asked = {"model": "simulator:tour", "messages": [{"role": "user", "content": "n=5000 rate=50 ttft=0"}]}
    connection = http.client.HTTPConnection("127.0.0.1", api.port)
    connection.request("POST", "/v1/chat/completions", json.dumps(asked), {"Content-Type": "application/json"})
    deadline = time.monotonic() + 60
    while not (streams.reads("127.0.0.1") and api.world.runs.running("local")):
        assert time.monotonic() < deadline, "it never became a reader"
        time.sleep(0.01)
    connection.close()
    while streams.reads("127.0.0.1"):
        assert time.monotonic() < deadline, "it still counts"
        time.sleep(0.01)
    (run,) = api.world.runs.running("local")
    assert api.http.delete(f"/api/runs/{run.run_id}").json()["status"] == "stopped"


def test_a_client_that_reads_too_many_streams(api: Api):
    """429 in the vendor's shape with ``Retry-After``, and nothing was begun."""
    slots = [streams.take_for("127.0.0.1", 64) for _ in range(64)]
    try:
        with pytest.raises(openai.RateLimitError) as caught:
            api.openai(max_retries=0).chat.completions.create(**ask("n=1"))
    finally:
        for slot in slots:
            slot.release()
    assert caught.value.code == "too_many_streams"
    assert caught.value.response.headers["retry-after"]
    assert api.http.get("/api/conversations").json()["conversations"] == []
