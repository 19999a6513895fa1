"""Chat completions: OpenAI's, and those of every server that speaks them (vLLM, Ollama, llama.cpp, Groq …).

The official SDK makes the request; ``openai_chat_events`` reads what comes. Knows nothing of runs.
What a model takes is data (``KNOWN``), not a branch on its name.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

import openai

from streamchat.chat.events import Event
from streamchat.chat.messages import FilePart, ImagePart, Part, ReasoningPart, TextPart, ToolCallPart
from streamchat.chat.request import Request
from streamchat.providers.base import Capabilities
from streamchat.providers.client import http_client
from streamchat.providers.endpoint import Endpoint
from streamchat.providers.families import Families, Family
from streamchat.providers.history import (
    CONTINUE,
    Turn,
    arguments_text,
    file_text,
    is_continuation,
    joined_text,
    known_calls,
    result_text,
    system_text,
    turns,
)
from streamchat.providers.openai_chat_events import ChatNormaliser
from streamchat.providers.openai_models import OPENAI_FAMILIES
from streamchat.providers.schema import answer_format, instruction
from streamchat.providers.transport import speak

LIST_TIMEOUT = 3.0
MAX_LISTED = 100
OPENAI_URL = "https://api.openai.com/v1"
# Beside OpenAI's own: families that people run on servers of this dialect.
KNOWN = Families(
    *OPENAI_FAMILIES,
    Family(("deepseek",), Capabilities(reasoning=True), reasoning_field="reasoning_content"),
    Family(("kimi", "moonshot", "glm-", "minimax"), Capabilities(reasoning=True), reasoning_field="reasoning_content"),
    Family(("qwen3", "magistral", "grok"), Capabilities(reasoning=True)),
    other=Capabilities(images=True),
)


class OpenAIChat:
    """A provider over chat completions.

    ``base_url``: ``None`` for OpenAI itself. ``capabilities_of``: what a model of this name takes.
    ``connect_timeout``: seconds; other deadlines are the run's.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        connect_timeout: float = 10.0,
        capabilities_of: Callable[[str], Capabilities] = KNOWN.capabilities,
    ) -> None:
        self._endpoint = Endpoint("OpenAI", OPENAI_URL, base_url, api_key)
        self.capabilities_of = capabilities_of
        self._client = openai_client(self._endpoint, connect_timeout)

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Events of one answer. Raises ``ProviderError`` and its kinds only."""
        place = self._endpoint.place(request)
        body = chat_body(request, self.capabilities_of(request.model), own_limit=self._endpoint.is_vendor)
        create = partial(self._client.chat.completions.with_streaming_response.create, **body)
        async with aclosing(speak(create, ChatNormaliser(known_calls(request)), place)) as events:
            async for event in events:
                yield event

    async def names(self) -> list[str]:
        """The models that the server lists, ``[]`` where it does not answer like one."""
        try:
            page = await self._client.models.list(timeout=LIST_TIMEOUT)
            return [model.id for model in page.data if isinstance(model.id, str)][:MAX_LISTED]
        except Exception:  # A server without the list, or none at all: nothing to offer, and nobody to tell.
            return []

    async def close(self) -> None:
        await self._client.close()


def openai_client(endpoint: Endpoint, connect_timeout: float) -> openai.AsyncOpenAI:
    """The SDK's client for this address. What the environment says of OpenAI is for OpenAI only."""
    client = openai.AsyncOpenAI(
        api_key=endpoint.sdk_key, base_url=endpoint.url, max_retries=0, http_client=http_client(connect_timeout)
    )
    if not endpoint.is_vendor:
        client.organization = client.project = None
    return client


def chat_body(request: Request, capabilities: Capabilities, *, own_limit: bool = False) -> dict[str, Any]:
    """The request in the vendor's shape. ``own_limit``: OpenAI's newer name of the token limit."""
    options = request.options
    body: dict[str, Any] = {"model": request.model, "messages": _messages(request, capabilities)}
    if options.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if options.temperature is not None and "temperature" not in capabilities.refuses:
        body["temperature"] = options.temperature
    if options.max_tokens is not None and "max_tokens" not in capabilities.refuses:
        body["max_completion_tokens" if own_limit else "max_tokens"] = options.max_tokens
    if options.reasoning_effort and capabilities.reasoning and "reasoning_effort" not in capabilities.refuses:
        body["reasoning_effort"] = options.reasoning_effort
    if options.schema is not None and capabilities.schema:
        body["response_format"] = {"type": "json_schema", "json_schema": answer_format(options.schema)}
    if request.tools and capabilities.tools:
        body["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)},
            }
            for tool in request.tools
        ]
    return body


def _messages(request: Request, capabilities: Capabilities) -> list[dict[str, Any]]:
    field = KNOWN.find(request.model).reasoning_field
    messages: list[dict[str, Any]] = []
    system = system_text(request)
    if request.options.schema is not None and not capabilities.schema:
        system = f"{system}\n\n{instruction(request.options.schema)}".strip()
    if system:
        messages.append({"role": "system", "content": system})
    all_turns = turns(request)
    loop = max((i for i, turn in enumerate(all_turns) if turn.role == "user"), default=-1)
    for index, turn in enumerate(all_turns):
        if turn.role == "user":
            messages.append({"role": "user", "content": _content(turn.parts, capabilities.images)})
        elif turn.role == "tools":
            messages += [
                {"role": "tool", "tool_call_id": part.id, "content": result_text(part)}
                for part in turn.parts
                if isinstance(part, ToolCallPart)
            ]
        elif message := _assistant(turn, field if index > loop else None):
            messages.append(message)
    if is_continuation(request) and capabilities.continues == "ask":
        messages.append({"role": "user", "content": CONTINUE})
    return messages


def _assistant(turn: Turn, reasoning_field: str | None) -> dict[str, Any] | None:
    calls = [
        {"id": part.id, "type": "function", "function": {"name": part.name, "arguments": arguments_text(part)}}
        for part in turn.parts
        if isinstance(part, ToolCallPart) and not part.by_provider
    ]
    text = joined_text(turn.parts)
    if not text and not calls:
        return None
    message: dict[str, Any] = {"role": "assistant", "content": text or None}
    if calls:
        message["tool_calls"] = calls
    thoughts = [part for part in turn.parts if isinstance(part, ReasoningPart)] if turn.own else []
    details = [d for part in thoughts for d in (part.opaque or {}).get("chat", {}).get("reasoning_details", ())]
    if details:
        message["reasoning_details"] = details
    elif reasoning_field and calls and (thought := "".join(part.text for part in thoughts)):
        # In a tool loop these models want their thinking back; at any other time it is refused or ignored.
        message[reasoning_field] = thought
    return message


def _content(parts: tuple[Part, ...], images: bool) -> str | list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, TextPart):
            content.append({"type": "text", "text": part.text})
        elif isinstance(part, FilePart):
            content.append({"type": "text", "text": file_text(part)})
        elif isinstance(part, ImagePart) and images:
            content.append({"type": "image_url", "image_url": {"url": f"data:{part.media_type};base64,{part.data}"}})
        elif isinstance(part, ImagePart):
            content.append({"type": "text", "text": f"[an image that this model cannot see: {part.name or 'unnamed'}]"})
    if all(item["type"] == "text" for item in content):
        return "\n\n".join(item["text"] for item in content)
    return content
