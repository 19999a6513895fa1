"""Chat completions: OpenAI's, and those of every compatible server (vLLM, Ollama, llama.cpp, Groq …).

The official SDK makes the request; ``openai.chat_events`` reads the response. Knows nothing of runs.
What a model accepts is data (``KNOWN``), not a branch on its name.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamchat.chat.events import Event
from streamchat.chat.messages import FilePart, ImagePart, Part, ReasoningPart, TextPart, ToolCallPart
from streamchat.chat.request import ANY_TOOL, Request
from streamchat.chat.tool_results import file_text
from streamchat.providers.base import Capabilities
from streamchat.providers.endpoint import Endpoint, as_it_is, run_headers
from streamchat.providers.history import (
    CONTINUE,
    Turn,
    arguments_text,
    data_url,
    is_continuation,
    joined_text,
    known_calls,
    result_parts,
    system_text,
    turns,
    unseen,
)
from streamchat.providers.http_client import http_client
from streamchat.providers.model_capabilities import Families, Family
from streamchat.providers.openai.chat_events import ChatNormaliser
from streamchat.providers.openai.embeddings import embed
from streamchat.providers.openai.models import OPENAI_FAMILIES
from streamchat.providers.schema import answer_format, instruction
from streamchat.providers.sdk_client import SdkClient
from streamchat.providers.stream_reader import read_stream

if TYPE_CHECKING:
    import openai

LIST_TIMEOUT = 3.0
MAX_LISTED = 100
OPENAI_URL = "https://api.openai.com/v1"
# Besides OpenAI's own: families that people run on compatible servers.
KNOWN = Families(
    *OPENAI_FAMILIES,
    Family(("deepseek",), Capabilities(reasoning=True), reasoning_field="reasoning_content"),
    Family(("kimi", "moonshot", "glm-", "minimax"), Capabilities(reasoning=True), reasoning_field="reasoning_content"),
    Family(("qwen3", "magistral", "grok"), Capabilities(reasoning=True)),
    other=Capabilities(images=True),
)


class OpenAIChat:
    """A provider over chat completions.

    ``base_url``: ``None`` for OpenAI itself. ``capabilities_of``: the capabilities of a model of this name.
    ``connect_timeout``: seconds; other timeouts are the run's. ``record``: see ``http_client``.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        connect_timeout: float = 10.0,
        record: Path | None = None,
        capabilities_of: Callable[[str], Capabilities] = KNOWN.capabilities,
    ) -> None:
        self._endpoint = Endpoint("OpenAI", OPENAI_URL, base_url, api_key)
        self.capabilities_of = capabilities_of
        self._client = SdkClient(partial(openai_client, self._endpoint, connect_timeout, record))

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Yield the events of one answer. Raises ``ProviderError`` and its kinds only."""
        context = self._endpoint.error_context(request)
        body = chat_body(request, self.capabilities_of(request.model), own_limit=self._endpoint.is_vendor)
        client = await self._client.get()
        create = partial(
            client.chat.completions.with_streaming_response.create,
            **as_it_is(body, "messages", "tools"),
            extra_headers=run_headers(request),
        )
        normaliser = ChatNormaliser(known_calls(request))
        async with aclosing(read_stream(create, normaliser, context, watch=request.watch)) as events:
            async for event in events:
                yield event

    async def embed(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """See ``base.Embedder``."""
        return await embed(await self._client.get(), self._endpoint, body)

    async def warm_up(self) -> None:
        """Load the SDK, so that the first answer does not wait for it."""
        await self._client.get()

    async def list_models(self) -> list[str]:
        """Return the names of the models that the server lists, ``[]`` if it does not list any."""
        try:
            page = await (await self._client.get()).models.list(timeout=LIST_TIMEOUT)
            return [model.id for model in page.data if isinstance(model.id, str)][:MAX_LISTED]
        except Exception:  # A server without the list, or none at all: nothing to offer, and nobody to notify.
            return []

    def with_key(self, api_key: str) -> OpenAIChat:
        """Return this provider with another key, over the same connections."""
        keyed = copy(self)
        keyed._endpoint = replace(self._endpoint, api_key=api_key)
        keyed._client = self._client.derived(partial(openai_with_key, api_key=api_key))
        return keyed

    async def close(self) -> None:
        """See ``base.Provider``."""
        await self._client.close()


def openai_with_key(client: openai.AsyncOpenAI, api_key: str) -> openai.AsyncOpenAI:
    """Return the client with another key. The organization and project of the environment are not those of the key."""
    keyed = client.with_options(api_key=api_key)
    keyed.organization = keyed.project = None
    _ = keyed.chat.completions, keyed.responses
    return keyed


def openai_client(endpoint: Endpoint, connect_timeout: float, record: Path | None = None) -> openai.AsyncOpenAI:
    """Import the SDK and return its client for this address. OpenAI's environment variables apply to OpenAI only."""
    import openai

    client = openai.AsyncOpenAI(
        api_key=endpoint.sdk_key, base_url=endpoint.url, max_retries=0, http_client=http_client(connect_timeout, record)
    )
    if not endpoint.is_vendor:
        client.organization = client.project = None
    _ = client.chat.completions, client.responses  # imported by the SDK at first access
    return client


def chat_body(request: Request, capabilities: Capabilities, *, own_limit: bool = False) -> dict[str, Any]:
    """Return the request in the vendor's format. ``own_limit``: use OpenAI's newer name of the token limit."""
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
    if options.top_p is not None and "top_p" not in capabilities.refuses:
        body["top_p"] = options.top_p
    if options.stop and "stop" not in capabilities.refuses:
        body["stop"] = list(options.stop)
    if options.seed is not None:
        body["seed"] = options.seed
    if request.tools and capabilities.tools:
        if options.tool_choice:
            forced = {"type": "function", "function": {"name": options.tool_choice}}
            body["tool_choice"] = "required" if options.tool_choice == ANY_TOOL else forced
        if options.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = options.parallel_tool_calls
        body["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": dict(tool.parameters),
                    **({} if tool.strict is None else {"strict": tool.strict}),
                },
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
            messages += _results(turn, capabilities.images)
        elif message := _assistant(turn, field if index > loop else None):
            messages.append(message)
    if is_continuation(request) and capabilities.continues == "ask":
        messages.append({"role": "user", "content": CONTINUE})
    return messages


def _results(turn: Turn, images: bool) -> list[dict[str, Any]]:
    """Return the results of a turn. This API has texts in them only: pictures follow as a message of the user's."""
    messages: list[dict[str, Any]] = []
    pictures: list[dict[str, Any]] = []
    for part in turn.parts:
        if not isinstance(part, ToolCallPart):
            continue
        texts = []
        for one in result_parts(part, images):
            if isinstance(one, ImagePart):
                pictures += [
                    {"type": "text", "text": f"A picture of the result of {part.name} ({part.id}):"},
                    {"type": "image_url", "image_url": {"url": data_url(one)}},
                ]
                texts.append("[a picture, in the next message]")
            else:
                texts.append(one)
        messages.append({"role": "tool", "tool_call_id": part.id, "content": "\n".join(texts)})
    return [*messages, {"role": "user", "content": pictures}] if pictures else messages


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
        # In a tool loop these models want their reasoning back; at any other time it is refused or ignored.
        message[reasoning_field] = thought
    return message


def _content(parts: tuple[Part, ...], images: bool) -> str | list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, TextPart):
            content.append({"type": "text", "text": part.text})
        elif isinstance(part, FilePart) and part.data:
            content.append({"type": "file", "file": {"filename": part.name, "file_data": data_url(part)}})
        elif isinstance(part, FilePart):
            content.append({"type": "text", "text": file_text(part)})
        elif isinstance(part, ImagePart) and images:
            content.append({"type": "image_url", "image_url": {"url": data_url(part)}})
        elif isinstance(part, ImagePart):
            content.append({"type": "text", "text": unseen(part)})
    if all(item["type"] == "text" for item in content):
        return "\n\n".join(item["text"] for item in content)
    return content
