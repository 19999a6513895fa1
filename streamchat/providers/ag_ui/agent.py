"""An agent that speaks AG-UI, as a provider: the conversation out as ``RunAgentInput``, its events in."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2

from streamchat.chat.events import Event
from streamchat.chat.messages import FilePart, ImagePart, Message, TextPart, ToolCallPart
from streamchat.chat.request import Request
from streamchat.providers import provider_errors
from streamchat.providers.ag_ui.events import AgUiNormaliser
from streamchat.providers.endpoint import run_headers
from streamchat.providers.history import arguments_text, file_text, known_calls, largest_attachment, result_text
from streamchat.providers.http_client import http_client
from streamchat.providers.provider_errors import ErrorContext
from streamchat.providers.stream_reader import read_stream

Json = dict[str, Any]


class AgUiAgent:
    """Implements ``Provider``. ``url``: where the agent takes runs. ``connect_timeout``: seconds.

    ``record``: see ``http_client``.
    """

    def __init__(self, url: str, *, connect_timeout: float = 10.0, record: Path | None = None) -> None:
        self._url = url
        self._connect_timeout = connect_timeout
        self._record = record
        self._client: httpx2.AsyncClient | None = None

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Yield the events of one answer. Raises ``ProviderError`` and its kinds only."""
        client = self._client = self._client or http_client(self._connect_timeout, self._record)
        context = ErrorContext(self._url, request.model, (), largest_attachment(request), "")
        body = run_input(request)

        @asynccontextmanager
        async def opening() -> AsyncIterator[Any]:
            headers = {"Accept": "text/event-stream", **run_headers(request)}
            async with client.stream("POST", self._url, json=body, headers=headers) as response:
                if response.status_code >= 300:
                    content = (await response.aread()).decode(errors="replace")
                    raise provider_errors.from_status(response.status_code, content, response.headers, context)
                yield SimpleNamespace(http_response=response)

        normaliser = AgUiNormaliser(known_calls(request), {tool.name for tool in request.tools})
        async with aclosing(read_stream(opening, normaliser, context, watch=request.watch)) as events:
            async for event in events:
                yield event

    async def close(self) -> None:
        """See ``base.Provider``."""
        if self._client is not None:
            await self._client.aclose()


def run_input(request: Request) -> Json:
    """Return the conversation as AG-UI's ``RunAgentInput``."""
    messages: list[Json] = [{"id": "system", "role": "system", "content": request.system}] if request.system else []
    kept: Json = {}
    for number, message in enumerate(request.messages):
        message_id = message.id or f"m{number}"
        if message.role == "user":
            messages.append({"id": message_id, "role": "user", "content": _user_content(message)})
        elif message.role == "assistant":
            messages += _answer(message, message_id)
            kept = dict((message.opaque or {}).get("ag_ui") or {})
    cancelled = [{"interruptId": interrupt, "status": "cancelled"} for interrupt in kept.get("interrupts") or ()]
    return {
        "threadId": request.conversation_id or uuid.uuid4().hex,
        "runId": uuid.uuid4().hex,
        "state": kept.get("state") or {},
        "messages": messages,
        "tools": [{"name": t.name, "description": t.description, "parameters": t.parameters} for t in request.tools],
        "context": [],
        "forwardedProps": {},
        **({"resume": cancelled} if cancelled else {}),
    }


def _answer(message: Message, message_id: str) -> list[Json]:
    """Return an answer as messages: text and calls, their results, text and calls again."""
    out: list[Json] = []
    current: Json = {}
    results: list[Json] = []

    def close() -> None:
        nonlocal current, results
        if current:
            out.extend([current, *results])
        current, results = {}, []

    for part in message.parts:
        if isinstance(part, TextPart):
            if "toolCalls" in current:
                close()
            current = current or {"id": f"{message_id}:{len(out)}", "role": "assistant", "content": ""}
            current["content"] += part.text
        elif isinstance(part, ToolCallPart):
            current = current or {"id": f"{message_id}:{len(out)}", "role": "assistant", "content": ""}
            function = {"name": part.name, "arguments": arguments_text(part)}
            current.setdefault("toolCalls", []).append({"id": part.id, "type": "function", "function": function})
            results.append({"id": f"{message_id}:{part.id}", "role": "tool", "toolCallId": part.id} | _result(part))
    close()
    return out


def _result(part: ToolCallPart) -> Json:
    if part.state == "done":
        return {"content": result_text(part)}
    error = part.error or "It was not run."
    return {"content": error, "error": error}


def _user_content(message: Message) -> str | list[Json]:
    content: list[Json] = []
    for part in message.parts:
        if isinstance(part, TextPart):
            content.append({"type": "text", "text": part.text})
        elif isinstance(part, FilePart):
            content.append({"type": "text", "text": file_text(part)})
        elif isinstance(part, ImagePart):
            source = {"type": "data", "value": part.data, "mimeType": part.media_type}
            content.append({"type": "image", "source": source})
    if all(part["type"] == "text" for part in content):
        return "\n\n".join(part["text"] for part in content)
    return content
