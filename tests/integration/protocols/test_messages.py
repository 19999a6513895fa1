"""Anthropic's Messages API with its own SDK, against a real server, answered by the simulator."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest

from tests.integration.protocols.conftest import FAST, Api
from tests.support.made_files import PICTURE

WEATHER: dict[str, Any] = {
    "name": "weather",
    "description": "The weather of a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def ask(text: str, scene: str = "tour", **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": f"{text} {FAST}"}]
    return {"model": f"simulator:{scene}", "max_tokens": 100_000, "messages": messages, **more}


def test_an_answer_in_one_piece(api: Api):
    """Text, stop reason and usage as the SDK reads them; the run is there for every other client."""
    raw = api.anthropic().messages.with_raw_response.create(**ask("n=5", system="Be brief."))
    message = raw.parse()
    assert [block.to_dict() for block in message.content] == [
        {"type": "text", "text": "w000001 w000002 w000003 w000004 w000005"}
    ]
    assert (message.stop_reason, message.model, message.role) == ("end_turn", "simulator:tour", "assistant")
    assert message.usage.output_tokens == 5
    run = api.run(raw.headers["x-run-id"])
    assert (message.id, run["message"]["status"]) == (f"msg_{run['run_id']}", "finished")


@pytest.mark.parametrize("scene", ["tour", "reasoning", "split-emoji", "parallel-tools", "tools", "refusal"])
def test_a_stream_adds_up_to_the_whole(api: Api, scene: str):
    """The SDK's reader makes of the events what the same request in one piece gives."""
    client = api.anthropic()
    headers = {"Idempotency-Key": scene}
    with client.messages.stream(**ask("hello", scene), extra_headers=headers) as stream:
        kinds = [event.type for event in stream]
        final = stream.get_final_message()
    whole = client.messages.create(**ask("hello", scene), extra_headers=headers)
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == len(whole.content)
    assert final.to_dict(exclude_unset=True) == whole.to_dict(exclude_unset=True)


def test_tokens_of_the_input_at_the_start(api: Api):
    """An estimate that is that of ``count_tokens``, until the end has what the provider counted."""
    client, question = api.anthropic(), ask("n=3 " + "word " * 500)
    estimate = client.messages.count_tokens(model=question["model"], messages=question["messages"]).input_tokens
    started, ended = [], []
    for event in client.messages.create(**question, stream=True):
        if event.type == "message_start":
            started.append(event.message.usage.input_tokens)
        elif event.type == "message_delta":
            ended.append(event.usage.input_tokens)
    assert started == [estimate]
    assert 500 < ended[0] <= estimate


async def test_asynchronously(api: Api):
    """The same with the asynchronous SDK."""
    async with api.async_anthropic() as client:
        whole = await client.messages.create(**ask("n=7"))
        async with client.messages.stream(**ask("n=7")) as stream:
            text = [piece async for piece in stream.text_stream]
        assert whole.content[0].type == "text"
        assert "".join(text) == whole.content[0].text


def test_thinking_is_a_block_of_its_own(api: Api):
    """With something in the place of a signature, and never in the text."""
    message = api.anthropic().messages.create(**ask("hello", "reasoning"))
    kinds = [block.type for block in message.content]
    assert kinds[0] == "thinking"
    assert kinds[-1] == "text"
    assert message.content[0].type == "thinking"
    assert message.content[0].thinking.startswith("The user wants")
    assert message.content[0].signature


def test_seals_stay_here_and_are_found_again(api: Api):
    """The provider's signature and hidden thoughts never leave; when the client's blocks come back, they are there."""
    client = api.anthropic()
    first = client.messages.create(**ask("wire=anthropic", "reasoning"))
    assert [block.type for block in first.content] == ["thinking", "redacted_thinking", "text"]
    assert "c2lnbmVkLWJ5LXRoZS1zaW11bGF0b3I=" not in first.to_json()
    history: list[Any] = [
        *ask("wire=anthropic")["messages"],
        {"role": "assistant", "content": [block.to_dict() for block in first.content]},
        {"role": "user", "content": f"n=1 {FAST}"},
    ]
    raw = client.messages.with_raw_response.create(**ask("", "reasoning", messages=history))
    run_id = raw.headers["x-run-id"]
    _, answer, _ = api.loop.run(api.world.store.question_branch("local", run_id))
    seals = [part.opaque for part in answer.parts if part.type == "reasoning"]  # pyrefly: ignore[missing-attribute]
    assert [seal["anthropic"].get("signature") or seal["anthropic"]["data"] for seal in seals if seal] == [
        "c2lnbmVkLWJ5LXRoZS1zaW11bGF0b3I=",
        "aGlkZGVuLXRob3VnaHRz",
    ]
    history[1]["content"][0]["thinking"] += "!"
    raw = client.messages.with_raw_response.create(**ask("", "reasoning", messages=history))
    _, answer, _ = api.loop.run(api.world.store.question_branch("local", raw.headers["x-run-id"]))
    assert [part.opaque for part in answer.parts if part.type == "reasoning"][0] is None  # pyrefly: ignore[missing-attribute]


def test_a_clients_tools(api: Api):
    """They come back as calls and are not run; with their results, the answer goes on."""
    client = api.anthropic()
    asked = ask("calls=2", "tools", tools=[WEATHER])
    first = client.messages.create(**asked)
    assert first.stop_reason == "tool_use"
    calls = [block for block in first.content if block.type == "tool_use"]
    assert [call.input for call in calls] == [{"city": "Paris"}, {"city": "Tokyo"}]
    results = [
        {"type": "tool_result", "tool_use_id": calls[0].id, "content": "rain"},
        {"type": "tool_result", "tool_use_id": calls[1].id, "content": "no such city", "is_error": True},
    ]
    history: list[Any] = [
        *asked["messages"],
        {"role": "assistant", "content": [block.to_dict() for block in first.content]},
        {"role": "user", "content": results},
    ]
    raw = client.messages.with_raw_response.create(**(asked | {"messages": history}))
    (text,) = raw.parse().content
    assert text.type == "text"
    assert "`rain`" in text.text
    parts = api.run(raw.headers["x-run-id"])["message"]["parts"]
    assert [(p["type"], p.get("state")) for p in parts] == [
        ("text", None), ("tool_call", "done"), ("tool_call", "error"), ("text", None),
    ]  # fmt: skip


def test_an_answer_that_the_client_began(api: Api):
    """A last message of the assistant's is the beginning: only what is added comes back."""
    asked = ask("n=6")
    asked["messages"].append({"role": "assistant", "content": "w000001 w000002"})
    raw = api.anthropic().messages.with_raw_response.create(**asked)
    (text,) = raw.parse().content
    assert text.type == "text"
    run = api.run(raw.headers["x-run-id"])
    assert run["message"]["text"] == "w000001 w000002" + text.text
    assert "w000001" not in text.text
    assert "w000006" in text.text


def test_other_ends(api: Api):
    """The token limit and a refusal in the vendor's words."""
    client = api.anthropic()
    assert client.messages.create(**ask("n=50", max_tokens=4)).stop_reason == "max_tokens"
    refused = client.messages.create(**ask("", "refusal"))
    assert (refused.stop_reason, refused.content) == ("refusal", [])
    assert refused.stop_details is not None
    assert refused.stop_details.explanation == "I can't help with that request."


FAULTS = {
    "rate-limited": (anthropic.RateLimitError, "rate_limit_error"),
    "overloaded": (anthropic.APIStatusError, "overloaded_error"),
    "bad-key": (anthropic.AuthenticationError, "authentication_error"),
    "context-too-long": (anthropic.BadRequestError, "invalid_request_error"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("scene", FAULTS)
def test_what_fails_before_the_first_piece_has_a_status(api: Api, scene: str, stream: bool):
    """The SDK's own exception with the vendor's type, streaming or not; and no client asks again by itself."""
    kind, word = FAULTS[scene]
    with pytest.raises(kind) as caught:
        api.anthropic().messages.create(**ask("hello", scene), stream=stream)
    assert caught.value.body["error"]["type"] == word  # pyrefly: ignore[bad-index, unsupported-operation]
    assert len(api.http.get("/api/conversations").json()["conversations"]) == 1


@pytest.mark.parametrize("scene", ["overloaded-after", "cut"])
def test_what_breaks_in_the_middle_never_looks_complete(api: Api, scene: str):
    """An ``error`` event after the text that came, and no ``message_stop``."""
    kinds = []
    with pytest.raises(anthropic.APIStatusError):
        for event in api.anthropic().messages.create(**ask("", scene), stream=True):
            kinds.append(event.type)
    assert "content_block_delta" in kinds
    assert not {"message_delta", "message_stop"} & set(kinds)
    with pytest.raises(anthropic.APIStatusError):
        api.anthropic(max_retries=0).messages.create(**ask("", scene))


def test_what_is_asked_wrongly(api: Api):
    """400 and 404 in the vendor's shape, and nothing was begun."""
    client = api.anthropic()
    with pytest.raises(anthropic.NotFoundError):
        client.messages.create(**ask("n=1", "nobody"))
    url = {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}
    wrong: dict[str, Any]
    for wrong in (
        {"messages": []},
        {"extra_body": {"temperature": 2}},
        {"messages": [{"role": "user", "content": [url]}]},
    ):
        with pytest.raises(anthropic.BadRequestError):
            client.messages.create(**ask("n=1", **wrong))
    answer = api.http.post("/v1/messages", content=b"{", headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (400, "error")
    assert api.http.get("/api/conversations").json()["conversations"] == []


def test_pictures_files_and_formats(api: Api):
    """Pictures and text files travel inside; a schema is kept to."""
    client = api.anthropic()
    content = [
        {"type": "text", "text": f"n=1 {FAST}"},
        {
            "type": "image",
            "source": {
                "type": "base64",
                "media_type": "image/png",
                "data": PICTURE,
            },
        },
        {"type": "document", "title": "a.txt", "source": {"type": "text", "media_type": "text/plain", "data": "hello"}},
    ]
    raw = client.messages.with_raw_response.create(**ask("", messages=[{"role": "user", "content": content}]))
    question = api.conversation(raw.headers["x-conversation-id"])[0]
    assert [part["type"] for part in question["parts"]] == ["text", "image", "file"]
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    told = client.messages.create(**ask("x", output_config={"format": {"type": "json_schema", "schema": schema}}))
    assert told.content[0].type == "text"
    assert json.loads(told.content[0].text) == {"city": "Paris"}


def test_tokens_are_estimated(api: Api):
    """Before anything is asked; more text is more tokens, and nothing is begun."""
    client = api.anthropic()
    short, long = (
        client.messages.count_tokens(model="simulator:tour", messages=[{"role": "user", "content": "word " * n}])
        for n in (10, 1000)
    )
    assert 10 <= short.input_tokens < 40
    assert 1000 <= long.input_tokens < 4000
    with pytest.raises(anthropic.NotFoundError):
        client.messages.count_tokens(model="nobody", messages=[{"role": "user", "content": "word"}])
    assert api.http.get("/api/conversations").json()["conversations"] == []


def test_models(api: Api):
    """In this vendor's shape, page by page."""
    client = api.anthropic()
    ids = [model.id for model in client.models.list(limit=7)]
    assert "simulator:tour" in ids
    assert ids == [model["id"] for model in api.http.get("/v1/models").json()["data"]]
    assert client.models.retrieve("simulator:tour").display_name == "Simulator: tour"
