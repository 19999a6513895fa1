"""The Responses API: OpenAI's own, and servers that speak it.

The official SDK makes the request; ``openai_responses_events`` reads what comes. Knows nothing of runs.
Nothing is stored at the provider: what it needs to see again (encrypted reasoning, items of its own
tools) comes back with each answer and goes out with the next request.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from functools import partial
from typing import Any

from streamchat.chat.events import Event
from streamchat.chat.messages import (
    FilePart,
    ImagePart,
    NoticePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from streamchat.chat.request import Request
from streamchat.errors import ProviderError
from streamchat.providers.base import Capabilities
from streamchat.providers.endpoint import Endpoint
from streamchat.providers.families import Families
from streamchat.providers.history import (
    CONTINUE,
    Turn,
    arguments_text,
    file_text,
    is_continuation,
    known_calls,
    result_text,
    system_text,
    turns,
)
from streamchat.providers.openai_chat import OPENAI_URL, openai_client
from streamchat.providers.openai_models import OPENAI_FAMILIES
from streamchat.providers.openai_responses_events import ResponsesNormaliser
from streamchat.providers.schema import answer_format, instruction
from streamchat.providers.transport import speak

KNOWN = Families(*OPENAI_FAMILIES, other=Capabilities(images=True))
Item = dict[str, Any]


class OpenAIResponses:
    """A provider over the Responses API.

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
        self._summaries = True
        self._client = openai_client(self._endpoint, connect_timeout)

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Events of one answer. Raises ``ProviderError`` and its kinds only."""
        place = self._endpoint.place(request)
        capabilities, known = self.capabilities_of(request.model), known_calls(request)
        while True:
            summaries = self._summaries
            body = responses_body(request, capabilities, summaries=summaries)
            create = partial(self._client.responses.with_streaming_response.create, **body)
            try:
                async with aclosing(speak(create, ResponsesNormaliser(known), place)) as events:
                    async for event in events:
                        yield event
                return
            except ProviderError as error:
                # Some organisations may not see summaries; the API then refuses the whole request.
                if not (summaries and error.kind == "bad-request" and "reasoning summar" in str(error).lower()):
                    raise
                self._summaries = False

    async def close(self) -> None:
        await self._client.close()


def responses_body(request: Request, capabilities: Capabilities, *, summaries: bool = True) -> dict[str, Any]:
    """The request in the vendor's shape."""
    options, system = request.options, system_text(request)
    body: dict[str, Any] = {"model": request.model, "input": _input(request, capabilities), "store": False}
    if options.stream:
        body["stream"] = True
    if options.temperature is not None and "temperature" not in capabilities.refuses:
        body["temperature"] = options.temperature
    if options.max_tokens is not None and "max_tokens" not in capabilities.refuses:
        body["max_output_tokens"] = options.max_tokens
    if capabilities.reasoning:
        body["include"] = ["reasoning.encrypted_content"]
        reasoning = {"summary": "auto"} if summaries else {}
        if options.reasoning_effort and "reasoning_effort" not in capabilities.refuses:
            reasoning["effort"] = options.reasoning_effort
        body |= {"reasoning": reasoning} if reasoning else {}
    if options.schema is not None and capabilities.schema:
        body["text"] = {"format": {"type": "json_schema", **answer_format(options.schema)}}
    elif options.schema is not None:
        system = f"{system}\n\n{instruction(options.schema)}".strip()
    if system:
        body["instructions"] = system
    if request.tools and capabilities.tools:
        body["tools"] = [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters),
                "strict": False,
            }
            for tool in request.tools
        ]
    return body


def _input(request: Request, capabilities: Capabilities) -> list[Item]:
    result: list[Item] = []
    for turn in turns(request):
        if turn.role == "user":
            content = [block for part in turn.parts if (block := _asked(part, capabilities.images))]
            result.append({"role": "user", "content": content})
        elif turn.role == "tools":
            result += [
                {"type": "function_call_output", "call_id": part.id, "output": result_text(part)}
                for part in turn.parts
                if isinstance(part, ToolCallPart)
            ]
        else:
            result += _answer(turn)
    if is_continuation(request) and capabilities.continues == "ask":
        result.append({"role": "user", "content": [{"type": "input_text", "text": CONTINUE}]})
    return result


def _asked(part: Part, images: bool) -> Item | None:
    if isinstance(part, TextPart):
        return {"type": "input_text", "text": part.text}
    if isinstance(part, FilePart):
        return {"type": "input_text", "text": file_text(part)}
    if isinstance(part, ImagePart) and images:
        url = f"data:{part.media_type};base64,{part.data}"
        return {"type": "input_image", "image_url": url, "detail": "auto"}
    if isinstance(part, ImagePart):
        return {"type": "input_text", "text": f"[an image that this model cannot see: {part.name or 'unnamed'}]"}
    return None


def _answer(turn: Turn) -> list[Item]:
    """The items of an answer in their order. Reasoning goes back only before what it led to."""
    result: list[Item] = []
    thoughts: list[Item] = []
    for part in turn.parts:
        own = (getattr(part, "opaque", None) or {}).get("responses") if turn.own else None
        said: list[Item] = []
        if isinstance(part, ReasoningPart):
            thoughts += own or ()
        elif isinstance(part, TextPart) and part.text:
            said = [{"role": "assistant", "content": part.text}]
        elif isinstance(part, ToolCallPart) and not part.by_provider:
            call = {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": arguments_text(part)}
            said = [{**own[0], **call} if own else call]
        elif own and (
            isinstance(part, NoticePart) or (isinstance(part, ToolCallPart) and part.state in ("done", "error"))
        ):
            said = list(own)
        if said:
            result += [*thoughts, *said]
            thoughts = []
    return result
