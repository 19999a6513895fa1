"""What an adapter made of a request is what the SDK sends: nothing is looked up, changed or left out."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import httpx2
import openai
import pytest

from streamchat.chat.messages import Message, TextPart, ToolCallPart
from streamchat.chat.request import Options, Request, ToolSpec
from streamchat.providers.anthropic import messages
from streamchat.providers.endpoint import as_it_is
from streamchat.providers.openai import chat, responses

CALL = ToolCallPart("1", "weather", arguments={"city": "Oslo"}, state="done", result={"sky": "clear"})
HISTORY = (
    Message("q", "user", (TextPart("Hi 👍"),)),
    Message("a", "assistant", (TextPart("Hello"), CALL), stop_reason="stop"),
    Message("r", "user", (TextPart("And now?"),)),
)
REQUEST = Request(
    "some-model",
    HISTORY,
    system="Be brief.",
    options=Options(max_tokens=99),
    tools=(ToolSpec("weather", "Says the weather.", {"type": "object", "properties": {"city": {"type": "string"}}}),),
)


async def sent(client_type: Any, send: Any) -> dict[str, Any]:
    """The body of the one request that this client sends."""
    bodies: list[dict[str, Any]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        bodies.append(json.loads(request.content))
        return httpx2.Response(200, json={})

    http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    async with client_type(api_key="k", base_url="http://server", http_client=http, max_retries=0) as client:
        async with send(client):
            pass
    (body,) = bodies
    return body


@pytest.mark.parametrize(
    ("client_type", "body", "names", "resource"),
    [
        (
            openai.AsyncOpenAI,
            chat.chat_body(REQUEST, chat.KNOWN.capabilities("gpt-5")),
            ("messages", "tools"),
            lambda client: client.chat.completions,
        ),
        (
            openai.AsyncOpenAI,
            responses.responses_body(REQUEST, responses.KNOWN.capabilities("gpt-5")),
            ("input", "tools"),
            lambda client: client.responses,
        ),
        (
            anthropic.AsyncAnthropic,
            messages.anthropic_body(REQUEST, messages.KNOWN.capabilities("claude"))[0],
            ("messages", "system", "tools"),
            lambda client: client.messages,
        ),
    ],
    ids=["chat", "responses", "messages"],
)
async def test_the_sdk_sends_what_the_adapter_made(client_type, body, names, resource) -> None:
    keywords = as_it_is(body, *names)
    assert keywords[names[0]] == [], "the SDK has nothing to look up"
    got = await sent(client_type, lambda client: resource(client).with_streaming_response.create(**keywords))
    assert got == json.loads(json.dumps(body))
