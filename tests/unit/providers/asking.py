"""Asking the adapters in tests: over loopback with the real SDKs, or with bytes in memory."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import httpx2

from streamchat.chat import events as e
from streamchat.chat.fold import Folding
from streamchat.chat.messages import Message, Part, ReasoningPart, TextPart, ToolCallPart
from streamchat.chat.request import Options, Request, ToolSpec
from streamchat.errors import ProviderError
from streamchat.providers.anthropic.events import AnthropicNormaliser
from streamchat.providers.anthropic.messages import Anthropic
from streamchat.providers.base import Provider
from streamchat.providers.event_builder import LIMITS, Limits
from streamchat.providers.openai.chat import OpenAIChat
from streamchat.providers.openai.chat_events import ChatNormaliser
from streamchat.providers.openai.responses import OpenAIResponses
from streamchat.providers.openai.responses_events import ResponsesNormaliser
from streamchat.providers.provider_errors import ErrorContext
from streamchat.providers.stream_reader import Normaliser, read_stream
from tests.support.long import LONG

KINDS = ("chat", "responses", "anthropic")
NORMALISERS: dict[str, Callable[[], Normaliser]] = {
    "chat": ChatNormaliser,
    "responses": ResponsesNormaliser,
    "anthropic": AnthropicNormaliser,
}
# In the short version: at how many places a body is cut in two, and how much of each end comes byte by byte.
MOST_CUTS = 40
CRUMBS = 1000
WEATHER = ToolSpec("weather", "The weather in a city.", {"type": "object", "properties": {"city": {"type": "string"}}})


@dataclass(slots=True)
class Heard:
    """What came of one answer."""

    events: list[e.Event] = field(default_factory=list)
    message: Message = field(default_factory=lambda: Message("a", "assistant", status="streaming"))
    error: ProviderError | None = None

    @property
    def text(self) -> str:
        return self.message.text

    @property
    def reasoning(self) -> str:
        return "".join(part.text for part in self.message.parts if isinstance(part, ReasoningPart))

    @property
    def calls(self) -> list[ToolCallPart]:
        return [part for part in self.message.parts if isinstance(part, ToolCallPart)]

    @property
    def ours(self) -> list[ToolCallPart]:
        return [call for call in self.calls if not call.by_provider]

    @property
    def reason(self) -> str | None:
        return self.message.stop_reason


EMPTY = Message("a", "assistant", status="streaming")


async def hear(events: AsyncIterator[e.Event], message: Message = EMPTY) -> Heard:
    """Fold everything into ``message``; a project error is kept, anything else is raised."""
    heard, folding = Heard(), Folding(message)
    try:
        async with aclosing(events) as source:  # pyrefly: ignore[bad-specialization]
            async for event in source:
                heard.events.append(event)
                folding.add(event)
    except ProviderError as error:
        heard.error = error
    heard.message = folding.message
    return heard


def provider_at(kind: str, url: str, **more: Any) -> Provider:
    """The adapter of this kind for a server of ours."""
    if kind == "anthropic":
        return Anthropic(base_url=url, **more)
    return (OpenAIChat if kind == "chat" else OpenAIResponses)(base_url=f"{url}/v1", **more)


async def ask(kind: str, url: str, request: Request | None = None, **more: Any) -> Heard:
    """One answer over loopback, through the real SDK."""
    provider = provider_at(kind, url, **more)
    try:
        return await hear(provider.stream(request or question()))
    finally:
        await provider.close()


def question(*messages: Message, model: str = "m", tools: tuple[ToolSpec, ...] = (), **options: Any) -> Request:
    """A request; without messages, a plain one."""
    return Request(model, messages or (user("hi"),), options=Options(**options), tools=tools)


def user(*parts: str | Part) -> Message:
    return Message("u", "user", tuple(TextPart(part) if isinstance(part, str) else part for part in parts))


def answer(*parts: str | Part, model: str = "m", **fields: Any) -> Message:
    made = tuple(TextPart(part) if isinstance(part, str) else part for part in parts)
    return Message("a", "assistant", made, model=model, **fields)


class InMemory(httpx2.AsyncByteStream):
    """An open response whose bytes are a list."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.http_response = httpx2.Response(200, stream=self, request=httpx2.Request("POST", "http://provider.test"))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


def places_to_cut(body: bytes) -> list[int]:
    """Where a body is cut in two: at every byte in the long version, else at some of those that are not between two
    letters or digits, where a reader is as it was one byte before. A kind of place is in each stream many times."""
    everywhere = range(1, len(body))
    if LONG:
        return list(everywhere)
    places = [at for at in everywhere if not (body[at - 1 : at].isalnum() and body[at : at + 1].isalnum())]
    return random.Random(len(body)).sample(places, min(len(places), MOST_CUTS))


def crumbs(body: bytes) -> list[bytes]:
    """The body byte by byte; in the short version of a long one, seven bytes at a time in its middle."""
    step = 1 if LONG else 7
    first = min(len(body), CRUMBS)
    last = max(first, len(body) - CRUMBS)
    at = [*range(first), *range(first, last, step), *range(last, len(body)), len(body)]
    return [body[a:b] for a, b in pairwise(at)]


async def read(
    kind: str,
    pieces: Iterable[bytes],
    normaliser: Normaliser | None = None,
    limits: Limits = LIMITS,
    message: Message = EMPTY,
) -> Heard:
    """What these bytes mean, without a connection."""

    @asynccontextmanager
    async def opening() -> AsyncIterator[InMemory]:
        yield InMemory(pieces)

    return await hear(
        read_stream(opening, normaliser or NORMALISERS[kind](), ErrorContext("http://provider.test"), limits), message
    )
