"""Dependencies of the endpoints: the services, and the identity of the caller.

Knows requests and sockets, no endpoints. FastAPI injects them; the WebSocket endpoint calls them itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from streamchat.identity import Credentials
from streamchat.wiring import Services
from streamchat.wiring.request_context import RequestContext, context_for


def services_of(connection: HTTPConnection) -> Services:
    """Return the services of the app that received this request. Raises ``RuntimeError`` if they are not open."""
    return connection.app.state.holder.services


def credentials_of(connection: HTTPConnection) -> Credentials:
    """Return the credentials of a request or of a WebSocket handshake."""
    client = connection.scope.get("client")
    return Credentials(joined(connection.headers.items()), connection.cookies, client[0] if client else "")


def joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the headers by name in lower case.

    Values of a repeated header are joined by a comma (RFC 9110, 5.3), so that none of them counts by itself.
    """
    values: dict[str, str] = {}
    for name, value in headers:
        name = name.lower()
        values[name] = f"{values[name]}, {value}" if name in values else value
    return values


CONTEXT = "streamchat.context"
"""Key in the scope of a request: what ``gate.py`` made of what the request shows."""


async def context_of(connection: HTTPConnection) -> RequestContext:
    """Return the context of a request. Raises ``StreamchatError`` if its credentials are refused."""
    context = connection.scope.get(CONTEXT)
    return context or await context_for(services_of(connection), credentials_of(connection))


Context = Annotated[RequestContext, Depends(context_of)]
