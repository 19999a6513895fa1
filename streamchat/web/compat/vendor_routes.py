"""``/v1``: the endpoints of OpenAI's and Anthropic's SDKs, and of everything built on these.

Thin: ``protocols/`` parses the request and writes the stream, ``respond`` runs it. API keys are neither required nor
read.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from pydantic import Field
from starlette.responses import Response

from streamchat.chat.messages import Message, TextPart
from streamchat.protocols.anthropic.request import CountRequest, MessagesRequest
from streamchat.protocols.anthropic.stream import MessagesWriter
from streamchat.protocols.conversation_in import ClientRequest
from streamchat.protocols.encoding import json_bytes
from streamchat.protocols.fields import ModelName, Shape
from streamchat.protocols.openai_chat.request import ChatRequest
from streamchat.protocols.openai_chat.stream import ChatWriter
from streamchat.protocols.openai_responses.request import ResponsesRequest
from streamchat.protocols.openai_responses.stream import ResponsesWriter
from streamchat.protocols.vendor_errors import anthropic_failure, openai_failure
from streamchat.runs.context_window import estimate
from streamchat.web.compat.respond import failure_response, serve
from streamchat.web.compat.responses_routes import resolved
from streamchat.web.compat.start import check_model
from streamchat.web.dependencies import Context
from streamchat.web.error_responses import SHAPES

router = APIRouter(prefix="/v1", tags=["vendor-shaped"])
SHAPES["/v1/messages"] = lambda error, status: failure_response(anthropic_failure(error, status))
SHAPES["/v1/"] = lambda error, status: failure_response(openai_failure(error, status))


class EmbeddingsRequest(Shape):
    """`POST /v1/embeddings`. All fields go to the model's server."""

    model: ModelName
    input: str | Annotated[list[Any], Field(min_length=1, max_length=10_000)]


Conversation = Annotated[
    str | None, Header(description="Continue this conversation; then only the last message counts.")
]
Key = Annotated[str | None, Header(description="The same key again gets the same run.", max_length=100)]


def _responses(vendor: str) -> dict[int | str, dict[str, Any]]:
    error = {"description": f"An error in {vendor}'s shape.", "content": {"application/json": {}}}
    stream = {"text/event-stream": {"schema": {"type": "string"}}, "application/json": {}}
    success = {"description": "The answer, or with `stream` its events; `X-Run-Id` names the run.", "content": stream}
    responses: dict[int | str, dict[str, Any]] = {200: success}
    return responses | {
        status: error for status in (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 502, 503, 504)
    }


@router.post("/chat/completions", responses=_responses("OpenAI"))
async def chat_completions(
    request: Request,
    context: Context,
    body: ChatRequest,
    x_conversation_id: Conversation = None,
    idempotency_key: Key = None,
) -> Response:
    """Chat completions, compatible with OpenAI's SDK."""
    include_usage = body.stream_options is not None and body.stream_options.include_usage
    return await serve(request, context, body.client_request(), ChatWriter(body.model, include_usage=include_usage))


@router.post("/responses", responses=_responses("OpenAI"))
async def responses(
    request: Request,
    context: Context,
    body: ResponsesRequest,
    x_conversation_id: Conversation = None,
    idempotency_key: Key = None,
) -> Response:
    """Responses, compatible with OpenAI's SDK. `previous_response_id` continues after an answer that is stored here."""
    if isinstance(body.input, list):
        body.input = await resolved(context, body.input)
    return await serve(request, context, body.client_request(), ResponsesWriter(body.model, body.echo()))


@router.post("/messages", responses=_responses("Anthropic"))
async def messages(
    request: Request,
    context: Context,
    body: MessagesRequest,
    x_conversation_id: Conversation = None,
    idempotency_key: Key = None,
) -> Response:
    """Messages, compatible with Anthropic's SDK."""
    client_request = body.client_request(body.max_tokens)
    # Of a conversation that is stored here, the request is a part only.
    tokens = _tokens(client_request) if x_conversation_id is None else 0
    return await serve(request, context, client_request, MessagesWriter(body.model, tokens))


@router.post("/embeddings", responses=_responses("OpenAI"))
async def embeddings(context: Context, body: EmbeddingsRequest) -> Response:
    """Embeddings, computed by the model's server: the request is passed on as it is."""
    check_model(await context.models(), body.model)
    result = await context.embed(body.model, body.model_dump(mode="json", exclude_unset=True))
    return Response(json_bytes({**result, "model": body.model}), media_type="application/json")


@router.post("/messages/count_tokens", responses=_responses("Anthropic"))
async def count_tokens(context: Context, body: CountRequest) -> Response:
    """The approximate number of tokens in a request: estimated from its characters, rather too high than too low."""
    client_request = body.client_request()
    check_model(await context.models(), client_request.model)
    return Response(json_bytes({"input_tokens": _tokens(client_request)}), media_type="application/json")


def _tokens(client_request: ClientRequest) -> int:
    """Return about how many tokens a request has."""
    tools = [
        Message("", "system", (TextPart(f"{t.name} {t.description} {t.parameters}"),)) for t in client_request.tools
    ]
    system = [Message("", "system", (TextPart(client_request.system),))] if client_request.system else []
    return sum(map(estimate, [*system, *tools, *client_request.turns]))
