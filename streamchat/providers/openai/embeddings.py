"""Embeddings: a request of OpenAI's API is passed on as it is, and so is its response. Knows no model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from streamchat.chat.request import Request
from streamchat.errors import ProviderError
from streamchat.providers.endpoint import Endpoint
from streamchat.providers.stream_reader import translate

if TYPE_CHECKING:
    import openai

SECONDS = 120.0


async def embed(client: openai.AsyncOpenAI, endpoint: Endpoint, body: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the response of the server. Raises ``ProviderError``."""
    context = endpoint.error_context(Request(str(body.get("model", "")), ()))
    try:
        # Not by the SDK's own method, which asks for another encoding than the client did.
        response = await client.post("/embeddings", cast_to=object, body=dict(body), options={"timeout": SECONDS})
    except ProviderError:
        raise
    except Exception as error:
        raise translate(error, context, started=False) from None
    if not isinstance(response, Mapping):
        raise ProviderError("The server's answer is not one of this API.", kind="not-an-api")
    return response
