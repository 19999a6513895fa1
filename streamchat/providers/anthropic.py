"""Anthropic's Messages API, and servers that speak it.

The official SDK makes the request; ``anthropic_events`` reads what comes. Knows nothing of runs.
What a model takes is data (``KNOWN``), not a branch on its name.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

import anthropic

from streamchat.chat.events import Event
from streamchat.chat.request import Request
from streamchat.providers.anthropic_events import AnthropicNormaliser
from streamchat.providers.anthropic_history import anthropic_messages
from streamchat.providers.base import Capabilities
from streamchat.providers.client import http_client
from streamchat.providers.endpoint import Endpoint
from streamchat.providers.families import Families, Family
from streamchat.providers.history import known_calls, system_text
from streamchat.providers.schema import instruction
from streamchat.providers.transport import speak

ANTHROPIC_URL = "https://api.anthropic.com"
BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 24_576, "max": 28_672}
ROOM_FOR_TEXT = 4096
CACHE = {"type": "ephemeral"}

_OLD = Capabilities(images=True, schema=False, context=200_000, continues="prefill")
KNOWN = Families(
    Family(("claude-3-haiku", "claude-3-opus", "claude-3-sonnet"), _OLD, output=4096),
    Family(("claude-3-5",), _OLD),
    Family(
        (
            "claude-3-7",
            "claude-sonnet-4-0",
            "claude-sonnet-4-2",
            "claude-opus-4-0",
            "claude-opus-4-1",
            "claude-opus-4-2",
        ),
        Capabilities(reasoning=True, images=True, schema=False, context=200_000, continues="prefill"),
        output=32_000,
        thinking="budget",
    ),
    Family(
        ("claude-sonnet-4-5", "claude-opus-4-5", "claude-haiku-4-5"),
        Capabilities(reasoning=True, images=True, context=200_000, continues="prefill"),
        output=32_000,
        thinking="budget",
    ),
    Family(
        ("claude-opus-4-6", "claude-sonnet-4-6"),
        Capabilities(reasoning=True, images=True, context=200_000),
        output=32_000,
    ),
    Family(
        ("claude",),
        Capabilities(reasoning=True, images=True, context=200_000, refuses=frozenset({"temperature"})),
        output=32_000,
    ),
    other=Capabilities(images=True, schema=False),
)


class Anthropic:
    """A provider over the Messages API.

    ``base_url``: ``None`` for Anthropic itself. ``capabilities_of``: what a model of this name takes.
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
        self._endpoint = Endpoint("Anthropic", ANTHROPIC_URL, base_url, api_key)
        self.capabilities_of = capabilities_of
        self._client = anthropic.AsyncAnthropic(
            api_key=self._endpoint.sdk_key,
            base_url=self._endpoint.url,
            max_retries=0,
            http_client=http_client(connect_timeout),
        )

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Events of one answer. Raises ``ProviderError`` and its kinds only."""
        place = self._endpoint.place(request)
        body, trimmed = anthropic_body(request, self.capabilities_of(request.model))
        create = partial(self._client.messages.with_streaming_response.create, **body)
        normaliser = AnthropicNormaliser(known_calls(request), trimmed=trimmed)
        async with aclosing(speak(create, normaliser, place)) as events:
            async for event in events:
                yield event

    async def close(self) -> None:
        await self._client.close()


def anthropic_body(request: Request, capabilities: Capabilities) -> tuple[dict[str, Any], str]:
    """The request in the vendor's shape, and the white space cut from the end of a partial answer."""
    options, family = request.options, KNOWN.find(request.model)
    messages, trimmed, prefilled = anthropic_messages(request, capabilities, CACHE)
    limit = options.max_tokens if options.max_tokens and "max_tokens" not in capabilities.refuses else family.output
    body: dict[str, Any] = {"model": request.model, "messages": messages, "max_tokens": limit}
    system = system_text(request)
    if options.schema is not None:
        if capabilities.schema:
            body["output_config"] = {"format": {"type": "json_schema", "schema": dict(options.schema)}}
        else:
            system = f"{system}\n\n{instruction(options.schema)}".strip()
    if system:
        body["system"] = [{"type": "text", "text": system, "cache_control": CACHE}]
    if options.stream:
        body["stream"] = True
    if options.temperature is not None and "temperature" not in capabilities.refuses:
        body["temperature"] = options.temperature
    effort = options.reasoning_effort
    # A prefilled answer goes on as text at once: the API takes no thinking then.
    if effort and effort != "none" and capabilities.reasoning and not prefilled:
        _think(body, effort, family)
    if request.tools and capabilities.tools:
        body["tools"] = [
            {"name": tool.name, "description": tool.description, "input_schema": dict(tool.parameters)}
            for tool in request.tools
        ]
    return body, trimmed


def _think(body: dict[str, Any], effort: str, family: Family) -> None:
    body.pop("temperature", None)  # only the default is allowed beside thinking
    if family.thinking == "effort":
        # Newer models leave their thinking out of the stream unless asked for a summary.
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
        body.setdefault("output_config", {})["effort"] = "low" if effort == "minimal" else effort
    else:
        budget = BUDGETS.get(effort, BUDGETS["medium"])
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}
        body["max_tokens"] = max(body["max_tokens"], budget + ROOM_FOR_TEXT)
