"""``/v1``: the endpoints that OpenAI's and Anthropic's SDKs call, and everything built on these.

Thin: a request is read by its ``*_request``, answered by ``serving``, told by its ``*_writer``. A key that is sent is
neither needed nor looked at.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from streamchat.chat.messages import Message, TextPart
from streamchat.runs.context import estimate
from streamchat.web.encoding import json_bytes
from streamchat.web.problems import SHAPES
from streamchat.web.vendors.begin import check_model
from streamchat.web.vendors.chat_request import ChatRequest
from streamchat.web.vendors.chat_writer import ChatWriter
from streamchat.web.vendors.faults import anthropic_answer, openai_answer
from streamchat.web.vendors.messages_request import CountRequest, MessagesRequest
from streamchat.web.vendors.messages_writer import MessagesWriter
from streamchat.web.vendors.responses_request import ResponsesRequest
from streamchat.web.vendors.responses_writer import ResponsesWriter
from streamchat.web.vendors.serving import serve
from streamchat.wiring import services

router = APIRouter(prefix="/v1", tags=["vendor-shaped"])
SHAPES["/v1/messages"] = anthropic_answer
SHAPES["/v1/"] = openai_answer
Conversation = Annotated[
    str | None, Header(description="Go on in this conversation: only the last message counts then.")
]
Key = Annotated[str | None, Header(description="The same key again gets the same run.", max_length=100)]


def _responses(vendor: str) -> dict[int | str, dict[str, Any]]:
    error = {"description": f"An error in {vendor}'s shape.", "content": {"application/json": {}}}
    stream = {"text/event-stream": {"schema": {"type": "string"}}, "application/json": {}}
    told = {"description": "The answer, or with `stream` its events; `X-Run-Id` names the run.", "content": stream}
    answers: dict[int | str, dict[str, Any]] = {200: told}
    return answers | {status: error for status in (400, 401, 403, 404, 408, 413, 415, 422, 429, 500, 502, 503, 504)}


@router.post("/chat/completions", responses=_responses("OpenAI"))
async def chat_completions(
    request: Request, body: ChatRequest, x_conversation_id: Conversation = None, idempotency_key: Key = None
) -> Response:
    """Chat completions, as OpenAI's SDK asks for them."""
    include_usage = body.stream_options is not None and body.stream_options.include_usage
    return await serve(request, body.asked(), ChatWriter(body.model, include_usage=include_usage))


@router.post("/responses", responses=_responses("OpenAI"))
async def responses(
    request: Request, body: ResponsesRequest, x_conversation_id: Conversation = None, idempotency_key: Key = None
) -> Response:
    """Responses, as OpenAI's SDK asks for them. `previous_response_id` goes on from an answer that is stored here."""
    return await serve(request, body.asked(), ResponsesWriter(body.model, body.echo()))


@router.post("/messages", responses=_responses("Anthropic"))
async def messages(
    request: Request, body: MessagesRequest, x_conversation_id: Conversation = None, idempotency_key: Key = None
) -> Response:
    """Messages, as Anthropic's SDK asks for them."""
    return await serve(request, body.asked(body.max_tokens), MessagesWriter(body.model))


@router.post("/messages/count_tokens", responses=_responses("Anthropic"))
async def count_tokens(body: CountRequest) -> Response:
    """About how many tokens a request has: an estimate from its characters, on the careful side."""
    asked = body.asked()
    check_model(services(), asked.model)
    tools = [Message("", "system", (TextPart(f"{t.name} {t.description} {t.parameters}"),)) for t in asked.tools]
    said = [Message("", "system", (TextPart(asked.system),))] if asked.system else []
    count = sum(map(estimate, [*said, *tools, *asked.turns]))
    return Response(json_bytes({"input_tokens": count}), media_type="application/json")
