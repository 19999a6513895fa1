"""The Responses API: OpenAI's own, and servers that implement it.

The official SDK makes the request; ``openai.responses_events`` reads the response. Knows nothing of runs.
What the provider needs again (encrypted reasoning, items of its own tools) comes back with each answer and goes out
with the next request. Nothing is stored at the provider, unless ``background`` is set: then it generates an answer that
has a tracker without us, and the answer can be read again after a broken connection.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
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
from streamchat.chat.request import ANY_TOOL, Request
from streamchat.chat.tool_results import file_text
from streamchat.errors import ProviderError
from streamchat.providers.base import Capabilities
from streamchat.providers.endpoint import Endpoint, as_it_is, run_headers
from streamchat.providers.history import (
    CONTINUE,
    Turn,
    arguments_text,
    data_url,
    is_continuation,
    known_calls,
    result_parts,
    system_text,
    turns,
    unseen,
)
from streamchat.providers.model_capabilities import Families, Family
from streamchat.providers.openai.chat import OPENAI_URL, openai_client, openai_with_key
from streamchat.providers.openai.embeddings import embed
from streamchat.providers.openai.models import OPENAI_FAMILIES
from streamchat.providers.openai.responses_events import ResponsesNormaliser
from streamchat.providers.schema import answer_format, instruction
from streamchat.providers.sdk_client import SdkClient
from streamchat.providers.stream_reader import read_stream

# This API has neither of these, whatever the model.
_REFUSES = frozenset({"stop", "seed"})
# Families for which OpenAI searches the web, by a prefix of theirs.
_SEARCHES = frozenset({"gpt-5", "gpt-4.1", "gpt-4o"})


def _in_responses(family: Family) -> Family:
    able = family.capabilities
    searches = not _SEARCHES.isdisjoint(family.prefixes)
    return replace(family, capabilities=replace(able, refuses=able.refuses | _REFUSES, web_search=searches))


KNOWN = Families(
    *map(_in_responses, OPENAI_FAMILIES),
    other=Capabilities(images=True, refuses=_REFUSES),
)
CANCEL_SECONDS = 10.0
# A response is streamed for some minutes only; later it can be read as a whole once it is complete.
_NOT_STREAMED = 400
Item = dict[str, Any]
logger = logging.getLogger(__name__)


class OpenAIResponses:
    """A provider over the Responses API.

    ``base_url``: ``None`` for OpenAI itself. ``capabilities_of``: the capabilities of a model of this name.
    ``connect_timeout``: seconds; other timeouts are the run's. ``record``: see ``http_client``. ``background``: store
    responses that have a tracker.
    """

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        connect_timeout: float = 10.0,
        record: Path | None = None,
        capabilities_of: Callable[[str], Capabilities] = KNOWN.capabilities,
        background: bool = False,
    ) -> None:
        self._endpoint = Endpoint("OpenAI", OPENAI_URL, base_url, api_key)
        self.capabilities_of = capabilities_of
        self._summaries = True
        self._background = background
        self._client = SdkClient(partial(openai_client, self._endpoint, connect_timeout, record))

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Yield the events of one answer. Raises ``ProviderError`` and its kinds only."""
        context = self._endpoint.error_context(request)
        capabilities, known = self.capabilities_of(request.model), known_calls(request)
        client = await self._client.get()
        while True:
            summaries = self._summaries
            tracker = request.tracker if self._background and request.options.stream else None
            body = responses_body(request, capabilities, summaries=summaries, background=tracker is not None)
            create = partial(
                client.responses.with_streaming_response.create,
                **as_it_is(body, "input", "tools"),
                extra_headers=run_headers(request),
            )
            try:
                normaliser = ResponsesNormaliser(known, started=tracker.started if tracker else None)
                async with aclosing(read_stream(create, normaliser, context, watch=request.watch)) as events:
                    async for event in events:
                        yield event
                return
            except ProviderError as error:
                # Some organisations may not see summaries, or may not store anything; the API then refuses the whole
                # request.
                text = str(error).lower() if error.kind == "bad-request" else ""
                if summaries and "reasoning summar" in text:
                    self._summaries = False
                elif tracker and re.search(r"\b(background|store)\b", text):
                    logger.warning("%s refuses background responses: %s", self._endpoint.url, error)
                    self._background = False
                else:
                    raise

    async def resume(self, request: Request, response_id: str, sequence: int | None) -> AsyncGenerator[Event, None]:
        """Yield the events of a stored response from its beginning: see ``base.Resumable``.

        One that cannot be streamed any more is read as a whole: a retryable ``StreamBroken`` says that it is not
        complete yet.
        """
        context = self._endpoint.error_context(request)
        responses = (await self._client.get()).responses.with_streaming_response
        after: dict[str, Any] = {} if sequence is None else {"starting_after": sequence}
        openings = (
            partial(responses.retrieve, response_id, stream=True, **after),
            partial(responses.retrieve, response_id),
        )
        for opening in openings:
            events = read_stream(opening, ResponsesNormaliser(known_calls(request)), context)
            try:
                async with aclosing(events):
                    async for event in events:
                        yield event
                return
            except ProviderError as error:
                if error.status != _NOT_STREAMED or opening is openings[-1]:
                    raise

    async def cancel(self, response_id: str) -> None:
        """Have the provider end a stored response: see ``base.Resumable``."""
        try:
            client = await self._client.get()
            await client.responses.with_raw_response.cancel(response_id, timeout=CANCEL_SECONDS)
        except Exception as error:  # It has ended, is not known, or the provider is away: there is nobody to tell.
            logger.info("the response %s was not cancelled: %s", response_id, type(error).__name__)

    async def embed(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """See ``base.Embedder``."""
        return await embed(await self._client.get(), self._endpoint, body)

    async def warm_up(self) -> None:
        """Load the SDK, so that the first answer does not wait for it."""
        await self._client.get()

    def with_key(self, api_key: str) -> OpenAIResponses:
        """Return this provider with another key, over the same connections."""
        keyed = copy(self)
        keyed._endpoint = replace(self._endpoint, api_key=api_key)
        keyed._client = self._client.derived(partial(openai_with_key, api_key=api_key))
        return keyed

    async def close(self) -> None:
        """See ``base.Provider``."""
        await self._client.close()


def responses_body(
    request: Request, capabilities: Capabilities, *, summaries: bool = True, background: bool = False
) -> dict[str, Any]:
    """Return the request in the vendor's format.

    ``summaries``: request summaries of the reasoning. ``background``: generate and store the answer also without us.
    """
    options, system = request.options, system_text(request)
    body: dict[str, Any] = {"model": request.model, "input": _input(request, capabilities), "store": background}
    if background:
        body["background"] = True
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
    if options.top_p is not None and "top_p" not in capabilities.refuses:
        body["top_p"] = options.top_p
    if request.tools and capabilities.tools:
        if options.tool_choice:
            forced = {"type": "function", "name": options.tool_choice}
            body["tool_choice"] = "required" if options.tool_choice == ANY_TOOL else forced
        if options.parallel_tool_calls is not None:
            body["parallel_tool_calls"] = options.parallel_tool_calls
        body["tools"] = [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": dict(tool.parameters),
                "strict": bool(tool.strict),
            }
            for tool in request.tools
        ]
    if options.web_search and capabilities.web_search:
        body.setdefault("tools", []).append({"type": "web_search"})
    return body


def _input(request: Request, capabilities: Capabilities) -> list[Item]:
    result: list[Item] = []
    for turn in turns(request):
        if turn.role == "user":
            content = [block for part in turn.parts if (block := _user_content(part, capabilities.images))]
            result.append({"role": "user", "content": content})
        elif turn.role == "tools":
            result += [
                {"type": "function_call_output", "call_id": part.id, "output": _result(part, capabilities.images)}
                for part in turn.parts
                if isinstance(part, ToolCallPart)
            ]
        else:
            result += _assistant_items(turn)
    if is_continuation(request) and capabilities.continues == "ask":
        result.append({"role": "user", "content": [{"type": "input_text", "text": CONTINUE}]})
    return result


def _result(part: ToolCallPart, images: bool) -> str | list[Item]:
    parts = result_parts(part, images)
    if len(parts) == 1 and isinstance(parts[0], str):
        return parts[0]
    return [
        {"type": "input_text", "text": one}
        if isinstance(one, str)
        else {"type": "input_image", "image_url": data_url(one), "detail": "auto"}
        for one in parts
    ]


def _user_content(part: Part, images: bool) -> Item | None:
    if isinstance(part, TextPart):
        return {"type": "input_text", "text": part.text}
    if isinstance(part, FilePart) and part.data:
        return {"type": "input_file", "filename": part.name, "file_data": data_url(part)}
    if isinstance(part, FilePart):
        return {"type": "input_text", "text": file_text(part)}
    if isinstance(part, ImagePart) and images:
        return {"type": "input_image", "image_url": data_url(part), "detail": "auto"}
    if isinstance(part, ImagePart):
        return {"type": "input_text", "text": unseen(part)}
    return None


def _assistant_items(turn: Turn) -> list[Item]:
    """Return the items of an answer in their order. Reasoning goes back only before what it led to."""
    result: list[Item] = []
    reasoning: list[Item] = []
    for part in turn.parts:
        own = (getattr(part, "opaque", None) or {}).get("responses") if turn.own else None
        items: list[Item] = []
        if isinstance(part, ReasoningPart):
            reasoning += own or ()
        elif isinstance(part, TextPart) and part.text:
            items = [{"role": "assistant", "content": part.text}]
        elif isinstance(part, ToolCallPart) and not part.by_provider:
            call = {"type": "function_call", "call_id": part.id, "name": part.name, "arguments": arguments_text(part)}
            items = [{**own[0], **call} if own else call]
        elif own and (
            isinstance(part, NoticePart) or (isinstance(part, ToolCallPart) and part.state in ("done", "error"))
        ):
            items = list(own)
        if items:
            result += [*reasoning, *items]
            reasoning = []
    return result
