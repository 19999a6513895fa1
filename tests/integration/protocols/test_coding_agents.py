"""Requests as coding agents send them (Claude Code, Codex, aider): taken whole, with tools and history."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.integration.protocols.conftest import FAST, Api

SCHEMA = {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"],
          "additionalProperties": False}  # fmt: skip
EPHEMERAL = {"type": "ephemeral"}


def claude_code(model: str, text: str) -> dict[str, Any]:
    reminder = {"type": "text", "text": "<system-reminder>Be careful.</system-reminder>"}
    return {
        "model": model,
        "messages": [
            {"role": "user", "content": [reminder, {"type": "text", "text": text, "cache_control": EPHEMERAL}]}
        ],
        "system": [
            {"type": "text", "text": "You are a coding agent.", "cache_control": EPHEMERAL},
            {"type": "text", "text": "The working directory is /src.", "cache_control": EPHEMERAL},
        ],
        "tools": [
            {"name": "Bash", "description": "Run a command.", "input_schema": SCHEMA},
            {"name": "Read", "description": "Read a file.", "input_schema": SCHEMA, "cache_control": EPHEMERAL},
        ],
        "metadata": {"user_id": "user_1"},
        "max_tokens": 32_000,
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "stream": True,
    }


def codex(model: str, text: str) -> dict[str, Any]:
    def message(role: str, content: str) -> dict[str, Any]:
        return {"type": "message", "role": role, "content": [{"type": "input_text", "text": content}]}

    return {
        "model": model,
        "instructions": "You are a coding agent.",
        "input": [message("developer", "<permissions>"), message("user", "<environment>"), message("user", text)],
        "tools": [
            {"type": "function", "name": "shell", "description": "Run.", "strict": False, "parameters": SCHEMA},
            {"type": "web_search", "external_web_access": False},
        ],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "reasoning": None,
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "01a",
        "text": {"verbosity": "medium"},
    }


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("model", ["simulator:tools", "simulator:parallel-tools"])
def test_claude_code(api: Api, model: str):
    """A turn with calls, and the next one with their results, as blocks and with a picture that it read."""
    headers = {
        "anthropic-version": "2023-06-01",
        "anthropic-beta": "context-management-2025-06-27",
        "x-api-key": "none",
    }
    body = claude_code(model, f"hello {FAST}")
    first = events(api.http.post("/v1/messages?beta=true", json=body, headers=headers))
    assert first[0]["message"]["usage"]["input_tokens"] > 0
    calls = [one["content_block"] for one in first if one["type"] == "content_block_start"
             and one["content_block"]["type"] == "tool_use"]  # fmt: skip
    assert {call["name"] for call in calls} <= {"Bash", "Read"}
    results = [
        {"type": "tool_result", "tool_use_id": call["id"], "content": [{"type": "text", "text": "done"}]}
        for call in calls
    ]
    body["messages"] += [
        {"role": "assistant", "content": [{**call, "input": {"command": "ls"}} for call in calls]},
        {"role": "user", "content": [*results, {"type": "text", "text": "<system-reminder>Go on.</system-reminder>"}]},
    ]
    second = events(api.http.post("/v1/messages?beta=true", json=body, headers=headers))
    assert second[-1]["type"] == "message_stop"
    count = {name: body[name] for name in ("model", "messages", "system", "tools", "thinking")}
    assert api.http.post("/v1/messages/count_tokens?beta=true", json=count, headers=headers).json()["input_tokens"] > 9


def test_codex(api: Api):
    """A turn with a call, and the next one with its output; nothing is stored."""
    body = codex("simulator:tools", f"hello {FAST}")
    first = events(api.http.post("/v1/responses", json=body))
    output = first[-1]["response"]["output"]
    (call,) = [item for item in output if item["type"] == "function_call"]
    assert call["name"] == "shell"
    result = {"type": "function_call_output", "call_id": call["call_id"], "output": "Exit code: 0"}
    body["input"] += [*output, result]
    second = events(api.http.post("/v1/responses", json=body))
    assert second[-1]["type"] == "response.completed"
    assert "Exit code: 0" in json.dumps(second[-1]["response"]["output"])
    assert api.http.get("/api/conversations").json()["conversations"] == []


def test_aider(api: Api):
    """It reminds of its format with a system message at the end, and asks at temperature 0."""
    messages = [
        {"role": "system", "content": "Act as an expert software developer."},
        {"role": "user", "content": "I have added these files."},
        {"role": "assistant", "content": "Ok."},
        {"role": "user", "content": f"n=3 {FAST}"},
        {"role": "system", "content": "Use search and replace blocks."},
    ]
    body = {"model": "simulator:tour", "messages": messages, "temperature": 0, "stream": True}
    chunks = events(api.http.post("/v1/chat/completions", json=body))
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks if chunk["choices"])
    assert text == "w000001 w000002 w000003"
