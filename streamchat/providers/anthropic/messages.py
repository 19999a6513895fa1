"""Anthropic's Messages API, and servers that implement it.

The official SDK makes the request; ``anthropic.events`` reads the response. Knows nothing of runs.
What a model accepts is data (``KNOWN``), not a branch on its name.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamchat.chat.events import Event
from streamchat.chat.request import ANY_TOOL, Options, Request
from streamchat.providers.anthropic.events import AnthropicNormaliser
from streamchat.providers.anthropic.history import anthropic_messages
from streamchat.providers.base import Capabilities
from streamchat.providers.endpoint import Endpoint, as_it_is, run_headers
from streamchat.providers.history import known_calls, system_text
from streamchat.providers.http_client import http_client
from streamchat.providers.model_capabilities import Families, Family
from streamchat.providers.schema import instruction
from streamchat.providers.sdk_client import SdkClient
from streamchat.providers.stream_reader import read_stream

if TYPE_CHECKING:
    import anthropic

ANTHROPIC_URL = "https://api.anthropic.com"
BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16_384, "xhigh": 24_576, "max": 28_672}
LEAST_BUDGET = 1024
ROOM_FOR_TEXT = 4096
CACHE = {"type": "ephemeral"}
# The version that every model with a search takes; newer ones need the vendor's code execution too.
WEB_SEARCH = {"type": "web_search_20250305", "name": "web_search"}

# This API has no seed, whatever the model. No thinking goes with a forced tool, and no temperature with thinking.
_REFUSES = frozenset({"seed"})
_EXCLUDES = (("tool_choice", "reasoning_effort"), ("reasoning_effort", "temperature"))


def _in_messages(family: Family) -> Family:
    able = family.capabilities
    return replace(family, capabilities=replace(able, refuses=able.refuses | _REFUSES, excludes=_EXCLUDES))


_OLD = Capabilities(images=True, schema=False, context=200_000, continues="prefill")
_FAMILIES = (
    Family(("claude-3-haiku", "claude-3-opus", "claude-3-sonnet"), _OLD, output=4096),
    Family(("claude-3-5",), replace(_OLD, documents=True)),
    Family(
        (
            "claude-3-7",
            "claude-sonnet-4-0",
            "claude-sonnet-4-2",
            "claude-opus-4-0",
            "claude-opus-4-1",
            "claude-opus-4-2",
        ),
        Capabilities(
            reasoning=True,
            images=True,
            documents=True,
            web_search=True,
            schema=False,
            context=200_000,
            continues="prefill",
        ),
        output=32_000,
        thinking="budget",
    ),
    Family(
        ("claude-sonnet-4-5", "claude-opus-4-5", "claude-haiku-4-5"),
        Capabilities(
            reasoning=True, images=True, documents=True, web_search=True, context=200_000, continues="prefill"
        ),
        output=32_000,
        thinking="budget",
    ),
    Family(
        ("claude-opus-4-6", "claude-sonnet-4-6"),
        Capabilities(reasoning=True, images=True, documents=True, web_search=True, context=200_000),
        output=32_000,
    ),
    Family(
        ("claude",),
        Capabilities(
            reasoning=True,
            images=True,
            documents=True,
            web_search=True,
            context=200_000,
            refuses=frozenset({"temperature", "top_p"}),
        ),
        output=32_000,
    ),
)
KNOWN = Families(
    *map(_in_messages, _FAMILIES),
    other=Capabilities(images=True, schema=False, refuses=_REFUSES, excludes=_EXCLUDES),
)


class Anthropic:
    """A provider over the Messages API.

    ``base_url``: ``None`` for Anthropic itself. ``capabilities_of``: the capabilities of a model of this name.
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
        self._endpoint = Endpoint("Anthropic", ANTHROPIC_URL, base_url, api_key)
        self.capabilities_of = capabilities_of
        self._client = SdkClient(partial(anthropic_client, self._endpoint, connect_timeout, record))

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Yield the events of one answer. Raises ``ProviderError`` and its kinds only."""
        context = self._endpoint.error_context(request)
        body, trimmed = anthropic_body(request, self.capabilities_of(request.model))
        client = await self._client.get()
        create = partial(
            client.messages.with_streaming_response.create,
            **as_it_is(body, "messages", "system", "tools"),
            extra_headers=run_headers(request),
        )
        normaliser = AnthropicNormaliser(known_calls(request), trimmed=trimmed)
        async with aclosing(read_stream(create, normaliser, context, watch=request.watch)) as events:
            async for event in events:
                yield event

    async def warm_up(self) -> None:
        """Load the SDK, so that the first answer does not wait for it."""
        await self._client.get()

    def with_key(self, api_key: str) -> Anthropic:
        """Return this provider with another key, over the same connections."""
        keyed = copy(self)
        keyed._endpoint = replace(self._endpoint, api_key=api_key)
        keyed._client = self._client.derived(partial(anthropic_with_key, api_key=api_key))
        return keyed

    async def close(self) -> None:
        """See ``base.Provider``."""
        await self._client.close()


def anthropic_with_key(client: anthropic.AsyncAnthropic, api_key: str) -> anthropic.AsyncAnthropic:
    """Return the client with another key, which replaces whatever the other one authenticates with."""
    keyed = client.with_options(api_key=api_key)
    _ = keyed.messages
    return keyed


def anthropic_client(
    endpoint: Endpoint, connect_timeout: float, record: Path | None = None
) -> anthropic.AsyncAnthropic:
    """Import the SDK and return its client for this address."""
    import anthropic

    client = anthropic.AsyncAnthropic(
        api_key=endpoint.sdk_key, base_url=endpoint.url, max_retries=0, http_client=http_client(connect_timeout, record)
    )
    _ = client.messages  # imported by the SDK at first access
    return client


def anthropic_body(request: Request, capabilities: Capabilities) -> tuple[dict[str, Any], str]:
    """Return the request in the vendor's format, and the white space cut from the end of a partial answer."""
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
    if options.stop:
        body["stop_sequences"] = list(options.stop)
    effort = options.reasoning_effort
    # The API takes no thinking with a prefilled answer, which goes on as text at once, nor with a forced tool.
    if effort and effort != "none" and capabilities.reasoning and not prefilled and not options.tool_choice:
        _set_thinking(body, effort, family, limited=limit == options.max_tokens)
    if sampling := _sampling(options, capabilities, thinking="thinking" in body):
        body["extra_body"] = sampling
    if request.tools and capabilities.tools:
        if (choice := _tool_choice(options)) is not None:
            body["tool_choice"] = choice
        body["tools"] = [
            {
                "name": tool.name,
                "description": tool.description,
                "input_schema": dict(tool.parameters),
                **({"strict": True} if tool.strict and capabilities.schema else {}),
            }
            for tool in request.tools
        ]
    if options.web_search and capabilities.web_search:
        body.setdefault("tools", []).append(WEB_SEARCH)
    return body, trimmed


def _sampling(options: Options, capabilities: Capabilities, *, thinking: bool) -> dict[str, Any]:
    """Return the sampling options. The SDK's newer versions have no parameters for them; the API takes them."""
    sampling = {"temperature": options.temperature, "top_p": options.top_p}
    if thinking:  # only the default temperature is allowed then
        del sampling["temperature"]
    return {name: value for name, value in sampling.items() if value is not None and name not in capabilities.refuses}


def _tool_choice(options: Options) -> dict[str, Any] | None:
    choice: dict[str, Any] = {"type": "auto"}
    if options.tool_choice:
        choice = {"type": "any"} if options.tool_choice == ANY_TOOL else {"type": "tool", "name": options.tool_choice}
    elif options.parallel_tool_calls is not False:
        return None
    return choice if options.parallel_tool_calls is not False else choice | {"disable_parallel_tool_use": True}


def _set_thinking(body: dict[str, Any], effort: str, family: Family, *, limited: bool) -> None:
    if family.thinking == "effort":
        # Newer models leave their thinking out of the stream unless a summary is requested.
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
        body.setdefault("output_config", {})["effort"] = "low" if effort == "minimal" else effort
    else:
        # The limit of tokens holds for thinking too. The API refuses one that leaves no room for the least budget.
        budget = BUDGETS.get(effort, BUDGETS["medium"])
        if limited:
            budget = max(LEAST_BUDGET, min(budget, body["max_tokens"] - ROOM_FOR_TEXT, body["max_tokens"] // 2))
        else:
            body["max_tokens"] = max(body["max_tokens"], budget + ROOM_FOR_TEXT)
        body["thinking"] = {"type": "enabled", "budget_tokens": budget}
