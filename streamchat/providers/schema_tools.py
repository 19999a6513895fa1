"""Tools for a model that has none of its own: its whole answer is held to a schema, a tool call or a reply.

Wraps another provider; knows no vendor. Rules:

* Without tools in the request, or if an answer is only to be continued, nothing is changed.
* Earlier calls and their results are written as text, since the model has no other form for them.
* One call per answer: the model is called again with its result.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from secrets import token_hex
from typing import Any

from streamchat.chat import events as e
from streamchat.chat.messages import Message, Part, TextPart, ToolCallPart
from streamchat.chat.request import Request, ToolSpec
from streamchat.providers.base import Provider
from streamchat.providers.history import arguments_text, is_continuation, result_text
from streamchat.providers.schema_reply import ReplyReader


class SchemaTools:
    """Implements ``base.Provider``."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    async def stream(self, request: Request) -> AsyncGenerator[e.Event, None]:
        """See ``base.Provider``."""
        reader = None
        if request.tools and request.options.schema is None and not is_continuation(request):
            reader = ReplyReader(f"call_{token_hex(8)}")
            request = with_schema(request)
        async with aclosing(self._provider.stream(request)) as events:
            async for event in events:
                if reader is None:
                    yield event
                elif isinstance(event, e.TextDelta):
                    for reply_event in reader.add(event.text):
                        yield reply_event
                elif isinstance(event, e.Finished):
                    for reply_event in reader.end():
                        yield reply_event
                    yield e.Finished("tool-calls") if reader.is_call and event.reason == "stop" else event
                else:
                    yield event

    async def close(self) -> None:
        """See ``base.Provider``."""
        await self._provider.close()


def with_schema(request: Request) -> Request:
    """Return the request without tools: their description in the system prompt, their schema as that of the answer."""
    system = "\n\n".join(text for text in (request.system, _instruction(request.tools)) if text)
    options = replace(request.options, schema=_schema(request.tools))
    messages = tuple(one for message in request.messages for one in _in_words(message))
    return replace(request, messages=messages, system=system, options=options, tools=())


def _instruction(tools: Sequence[ToolSpec]) -> str:
    lines = [f"- {tool.name}: {tool.description} Arguments: {json.dumps(tool.parameters)}" for tool in tools]
    return (
        "You can use these tools:\n" + "\n".join(lines) + "\n\n"
        'Answer with one JSON object. To use a tool: {"tool": "its name", "arguments": {…}}; its result comes back to '
        'you. To answer the person: {"reply": "your answer"}. Use a tool only if you need it.'
    )


def _schema(tools: Sequence[ToolSpec]) -> dict[str, Any]:
    calls = [_object({"tool": {"const": tool.name}, "arguments": dict(tool.parameters)}) for tool in tools]
    return {"anyOf": [*calls, _object({"reply": {"type": "string"}})]}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _in_words(message: Message) -> Iterator[Message]:
    """Yield a message with calls as text messages: the model's calls, and their results from the user."""
    parts: list[Part] = []
    for part in message.parts:
        if not isinstance(part, ToolCallPart) or part.by_provider:
            parts.append(part)
            continue
        call = f'{{"tool": {json.dumps(part.name)}, "arguments": {arguments_text(part)}}}'
        result = f"The result of {part.name}, not said by the person: {result_text(part)}"
        yield replace(message, parts=(*parts, TextPart(call)), status="finished")
        yield Message(f"{message.id}-{part.id}", "user", (TextPart(result),))
        parts = []
    if parts or not message.parts:
        yield replace(message, parts=tuple(parts))
