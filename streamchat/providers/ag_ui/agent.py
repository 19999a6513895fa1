"""An agent that speaks AG-UI, as a provider: the conversation out as ``RunAgentInput``, its events in."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2

from streamchat.chat.events import Event
from streamchat.chat.messages import FilePart, ImagePart, Message, TextPart, ToolCallPart
from streamchat.chat.request import Request
from streamchat.chat.tool_results import file_text
from streamchat.providers import provider_errors
from streamchat.providers.ag_ui import interrupts
from streamchat.providers.ag_ui.events import OWN, AgUiNormaliser
from streamchat.providers.base import Capabilities
from streamchat.providers.endpoint import run_headers
from streamchat.providers.history import arguments_text, known_calls, largest_attachment, result_text
from streamchat.providers.http_client import http_client
from streamchat.providers.provider_errors import ErrorContext
from streamchat.providers.schema import instruction
from streamchat.providers.stream_reader import read_stream

Json = dict[str, Any]
# The protocol has no options: how the agent's own model is asked is the agent's business.
_OPTIONS = ("temperature", "max_tokens", "reasoning_effort", "top_p", "seed", "tool_choice", "parallel_tool_calls")
CAPABILITIES = Capabilities(reasoning=True, images=True, schema=False, refuses=frozenset(_OPTIONS))


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
        last = request.messages[-1] if request.messages else None

        @asynccontextmanager
        async def opening() -> AsyncIterator[Any]:
            headers = {"Accept": "text/event-stream", **run_headers(request)}
            async with client.stream("POST", self._url, json=body, headers=headers) as response:
                if response.status_code >= 300:
                    content = (await response.aread()).decode(errors="replace")
                    raise provider_errors.from_status(response.status_code, content, response.headers, context)
                yield SimpleNamespace(http_response=response)

        normaliser = AgUiNormaliser(
            known_calls(request),
            {tool.name for tool in request.tools},
            run_id=body["runId"],
            state=body["state"],
            before=last.text if last and last.role == "assistant" else "",
            open_calls=interrupts.decided_calls(last),
        )
        async with aclosing(read_stream(opening, normaliser, context, watch=request.watch)) as events:
            async for event in events:
                yield event

    async def close(self) -> None:
        """See ``base.Provider``."""
        if self._client is not None:
            await self._client.aclose()


def run_input(request: Request) -> Json:
    """Return the conversation as AG-UI's ``RunAgentInput``. Its parent is the agent's run before, in this branch."""
    system = request.system or ""
    if request.options.schema is not None:
        system = f"{system}\n\n{instruction(request.options.schema)}".strip()
    messages: list[Json] = [{"id": "system", "role": "system", "content": system}] if system else []
    kept: Json = {}
    resume: list[Json] = []
    for number, message in enumerate(request.messages):
        message_id = message.id or f"m{number}"
        if message.role == "user":
            messages.append({"id": message_id, "role": "user", "content": _user_content(message)})
        elif message.role == "assistant":
            now, resume = interrupts.open_interrupts(message)
            kept = now or kept
            is_last = not any(one.role == "assistant" for one in request.messages[number + 1 :])
            asked = {one["call"] for one in now.get("interrupts") or ()} if is_last else ()
            messages += _answer(message, message_id, asked)
    return {
        "threadId": request.conversation_id or uuid.uuid4().hex,
        "runId": uuid.uuid4().hex,
        **({"parentRunId": kept["run"]} if kept.get("run") else {}),
        "state": kept.get("state") or {},
        "messages": messages,
        "tools": [{"name": t.name, "description": t.description, "parameters": t.parameters} for t in request.tools],
        "context": [],
        "forwardedProps": {},
        **({"resume": resume} if resume else {}),
    }


def _answer(message: Message, message_id: str, asked: Collection[str]) -> list[Json]:
    """Return an answer as messages: text and calls, their results, text and calls again.

    ``asked``: calls whose decisions go with these messages, so that the agent has yet to settle them.
    """
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
        elif isinstance(part, ToolCallPart) and not (part.by_provider and (part.opaque or {}).get(OWN)):
            current = current or {"id": f"{message_id}:{len(out)}", "role": "assistant", "content": ""}
            function = {"name": part.name, "arguments": arguments_text(part)}
            current.setdefault("toolCalls", []).append({"id": part.id, "type": "function", "function": function})
            if part.id not in asked:
                head = {"id": f"{message_id}:{part.id}", "role": "tool", "toolCallId": part.id}
                results.append(head | _result(part))
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
