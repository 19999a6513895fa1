"""Each parameter of each protocol is in the request to the model's server, whatever its API, or refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from streamchat.processes.subprocess_server import Address
from streamchat.providers.anthropic.messages import Anthropic
from streamchat.providers.base import Capabilities
from streamchat.providers.catalog import Catalog, Source
from streamchat.providers.openai.chat import OpenAIChat
from streamchat.providers.openai.responses import OpenAIResponses
from tests.integration.protocols.conftest import FAST, Api, serving_api
from tests.support.loop import LoopThread

ADAPTERS: dict[str, Any] = {"chat": OpenAIChat, "responses": OpenAIResponses, "messages": Anthropic}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TEXT = f"n=2 {FAST}"
QUESTION = [{"role": "user", "content": TEXT}]
FUNCTION = {"name": "weather", "description": "", "parameters": SCHEMA}
CHAT_TOOLS = [{"type": "function", "function": FUNCTION}]
RESPONSES_TOOLS = [{"type": "function", **FUNCTION}]
MESSAGES_TOOLS = [{"name": "weather", "input_schema": SCHEMA}]
UI = {"id": "c", "messages": [{"id": "1", "role": "user", "parts": [{"type": "text", "text": TEXT}]}]}
UI_TOOLS = {"weather": {"description": "", "parameters": SCHEMA}}
# Path, body, and of each parameter its fields and our name.
PROTOCOLS: dict[str, tuple[str, dict[str, Any], list[tuple[dict[str, Any], str]]]] = {
    "chat": ("/v1/chat/completions", {"messages": QUESTION}, [
        ({"temperature": 0.5}, "temperature"), ({"top_p": 0.9}, "top_p"), ({"max_tokens": 99}, "max_tokens"),
        ({"max_completion_tokens": 99}, "max_tokens"), ({"seed": 7}, "seed"), ({"stop": "zzz"}, "stop"),
        ({"reasoning_effort": "high"}, "reasoning_effort"),
        ({"tools": CHAT_TOOLS, "tool_choice": "required"}, "tool_choice"),
        ({"tools": CHAT_TOOLS, "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"response_format": {"type": "json_object"}}, "schema"),
    ]),
    "responses": ("/v1/responses", {"input": QUESTION}, [
        ({"temperature": 0.5}, "temperature"), ({"top_p": 0.9}, "top_p"), ({"max_output_tokens": 99}, "max_tokens"),
        ({"reasoning": {"effort": "high"}}, "reasoning_effort"),
        ({"tools": RESPONSES_TOOLS, "tool_choice": "required"}, "tool_choice"),
        ({"tools": RESPONSES_TOOLS, "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"text": {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}}}, "schema"),
    ]),
    "messages": ("/v1/messages", {"messages": QUESTION, "max_tokens": 77}, [
        ({"temperature": 0.5}, "temperature"), ({"top_p": 0.9}, "top_p"), ({"max_tokens": 99}, "max_tokens"),
        ({"stop_sequences": ["zzz"]}, "stop"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "reasoning_effort"),
        ({"tools": MESSAGES_TOOLS, "tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": MESSAGES_TOOLS, "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
         "parallel_tool_calls"),
        ({"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}}, "schema"),
    ]),
    "AI SDK": ("/api/chat", UI, [
        ({"temperature": 0.5}, "temperature"), ({"topP": 0.9}, "top_p"), ({"maxOutputTokens": 99}, "max_tokens"),
        ({"seed": 7}, "seed"), ({"stopSequences": ["zzz"]}, "stop"), ({"reasoning": "high"}, "reasoning_effort"),
        ({"callSettings": {"temperature": 0.5, "maxTokens": 99}}, "temperature"),
        ({"tools": UI_TOOLS, "toolChoice": {"type": "tool", "toolName": "weather"}}, "tool_choice"),
    ]),
    "ours": ("/api/runs", {"message": TEXT}, [
        ({"options": {"temperature": 0.5}}, "temperature"), ({"options": {"max_tokens": 99}}, "max_tokens"),
        ({"options": {"reasoning_effort": "high"}}, "reasoning_effort"), ({"options": {"schema": SCHEMA}}, "schema"),
        ({"options": {"web_search": True}}, "web_search"),
    ]),
}  # fmt: skip
# What the request of each API has then; ``None``: it is obeyed here.
WIRES: dict[str, dict[str, Any]] = {
    "chat": {"max_tokens": "max_tokens", "schema": "response_format", "parallel_tool_calls": "parallel_tool_calls"},
    "responses": {"max_tokens": "max_output_tokens", "schema": "text", "stop": None},
    "messages": {"stop": "stop_sequences", "schema": None, "parallel_tool_calls": "tool_choice"},
}


@pytest.fixture
def api(tmp_path: Path, loop: LoopThread, simulated: Address) -> Iterator[Api]:
    """Each API by the adapter for it, as a server of the operator is asked; and a model that takes nothing."""

    async def build() -> Catalog:
        sources = []
        for name, adapter in ADAPTERS.items():
            url = simulated.url if name == "messages" else f"{simulated.url}/v1"
            provider = adapter(base_url=url, api_key=simulated.api_key)
            sources.append(Source(name, provider, open_ended=True, capabilities_of=provider.capabilities_of))
        able = Capabilities(tools=False, refuses=frozenset({"temperature", "top_p", "max_tokens", "seed"}))
        provider = OpenAIChat(base_url=f"{simulated.url}/v1", api_key=simulated.api_key, capabilities_of=lambda _: able)
        return Catalog([*sources, Source("nothing", provider, open_ended=True, capabilities_of=lambda _: able)])

    serving = serving_api(tmp_path, loop.run(build()), loop, [])
    api = loop.run(serving.__aenter__())
    yield api
    for client in api.open:
        client.close()
    loop.run(serving.__aexit__(None, None, None))


def asked(simulated: Address, after: int = 0) -> list[dict[str, Any]]:
    """What the simulator was asked since."""
    headers = {"Authorization": f"Bearer {simulated.api_key}"}
    answer = httpx.get(f"{simulated.url}/_log?after={after}&limit=200", headers=headers, trust_env=False)
    return answer.json()["requests"]


def send(api: Api, protocol: str, model: str, fields: dict[str, Any]) -> httpx.Response:
    """Send it, and wait until the answer has ended."""
    path, body, _ = PROTOCOLS[protocol]
    answer = api.http.post(path, json={"model": model, **body, **fields})
    if answer.is_success and protocol == "ours":
        api.run(answer.json()["run_id"])
    return answer


@pytest.mark.parametrize("wire", list(ADAPTERS))
@pytest.mark.parametrize("protocol", list(PROTOCOLS))
def test_a_parameter_reaches_the_request_or_is_refused(api: Api, simulated: Address, protocol: str, wire: str):
    """One by one, as the server of the model was asked."""
    for number, (fields, name) in enumerate(PROTOCOLS[protocol][2]):
        before = [record["id"] for record in asked(simulated)][-1:] or [0]
        change = {"id": f"c{number}"} if protocol == "AI SDK" else {}
        answer = send(api, protocol, f"{wire}:tour", {**fields, **change})
        records = asked(simulated, before[0])
        if not answer.is_success:
            assert answer.status_code in (400, 422), answer.text
            message = answer.json()["error"]["message"]
            given = [key for key in fields if key != "tools"][-1]
            assert given.lower() in message.lower() or name in message or "web search" in message, (fields, message)
            assert records == []
            # What is refused here is what the API has no field for, or the model no ability.
            assert (name, wire) in {("seed", "responses"), ("seed", "messages")} or name in (
                "reasoning_effort",
                "web_search",
            )
            continue
        (record,) = records
        field = WIRES[wire].get(name, name)
        if field is not None:
            assert record["asked"].get(field) not in (None, [], {}), (name, record["asked"])
        if name in ("temperature", "top_p", "seed", "max_tokens"):
            assert (
                record["asked"][field] in {"temperature": [0.5], "top_p": [0.9], "seed": [7], "max_tokens": [99]}[name]
            )


@pytest.mark.parametrize("protocol", list(PROTOCOLS))
def test_a_model_that_takes_nothing(api: Api, simulated: Address, protocol: str):
    """Every parameter is refused in the shape of the protocol, but those that are obeyed here."""
    for fields, name in PROTOCOLS[protocol][2]:
        answer = send(api, protocol, "nothing:tour", fields)
        if name in ("stop", "schema") or (protocol, name) == ("messages", "max_tokens"):  # which each request must have
            assert answer.is_success, answer.text
            continue
        assert answer.status_code in (400, 422), (fields, answer.text)
        error = answer.json()["error"]
        assert error["message"]
        if protocol in ("chat", "responses", "messages"):
            assert error["type"] == "invalid_request_error"


def test_what_the_conversation_keeps_is_said(api: Api, simulated: Address):
    """Options of a conversation whose model was changed are no parameters: the answer says what was left out."""
    begun = api.http.post("/api/runs", json={"message": TEXT, "model": "chat:tour", "options": {"temperature": 0.5}})
    conversation = begun.json()["conversation_id"]
    api.run(begun.json()["run_id"])
    body = {"message": TEXT, "model": "nothing:tour"}
    second = api.http.post(f"/api/conversations/{conversation}/messages", json=body)
    assert second.status_code == 201, second.text
    parts = api.run(second.json()["run_id"])["message"]["parts"]
    assert [part["data"] for part in parts if part["type"] == "notice"] == [{"options": ["temperature"]}]
    assert "temperature" not in asked(simulated)[-1]["asked"]


def test_the_simulator_obeys(api: Api):
    """A forced tool is called, one at a time if that is asked for, and a seed changes what is said."""
    client, tools = api.openai(), [*CHAT_TOOLS, {"type": "function", "function": {**FUNCTION, "name": "time"}}]
    question: Any = {"model": "chat:tour", "messages": QUESTION, "tools": tools}
    forced = client.chat.completions.create(
        **question, tool_choice={"type": "function", "function": {"name": "time"}}, parallel_tool_calls=False
    )
    assert [call.function.name for call in forced.choices[0].message.tool_calls or []] == ["time"]
    markdown: Any = {"model": "chat:tour", "messages": [{"role": "user", "content": f"kind=markdown n=40 {FAST}"}]}
    texts = [client.chat.completions.create(**markdown, seed=seed).choices[0].message.content for seed in (1, 2, 2)]
    assert texts[0] != texts[1] == texts[2]
