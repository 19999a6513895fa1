"""What a client calls whose base URL lacks ``/v1``, or has it twice: an error that says so, instead of the page's 404.

OpenAI's SDK appends ``/chat/completions`` to its base URL, Anthropic's ``/v1/messages``.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from streamchat.errors import NotFound
from streamchat.protocols.vendor_errors import anthropic_failure, openai_failure
from streamchat.web.compat.respond import failure_response

router = APIRouter(include_in_schema=False)
WITHOUT_V1 = ("/chat/completions", "/completions", "/responses", "/conversations", "/embeddings", "/messages")
PATHS = frozenset(WITHOUT_V1)


@router.post("/chat/completions")
@router.post("/completions")
@router.post("/responses")
@router.post("/conversations")
@router.post("/embeddings")
async def openai_without(request: Request) -> Response:
    """The base URL of OpenAI's SDK has no ``/v1``."""
    return _openai(request, "/v1")


@router.post("/messages")
async def anthropic_without(request: Request) -> Response:
    """The path of Anthropic's API, without its ``/v1``."""
    return _anthropic(request, "")


@router.post("/v1/v1/messages")
@router.post("/v1/v1/messages/count_tokens")
async def anthropic_twice(request: Request) -> Response:
    """The base URL of Anthropic's SDK ends in ``/v1``, which it appends itself."""
    return _anthropic(request, "")


def _openai(request: Request, path: str) -> Response:
    return failure_response(openai_failure(NotFound(_sentence(request, path))))


def _anthropic(request: Request, path: str) -> Response:
    return failure_response(anthropic_failure(NotFound(_sentence(request, path))))


def _sentence(request: Request, path: str) -> str:
    return f"There is no API at {request.url.path}: the base URL must be {request.url.scheme}://{request.url.netloc}{path}."
