"""The HTTP client that an SDK is given.

Knows no vendor. Rules: only connecting has a deadline here, the run has those for the rest; a redirect is
an error, for it would take the key elsewhere; the body of an error is read no further than it helps.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from functools import cache
from typing import Any

import httpx2

from streamchat.providers.network import use_backend

MAX_ERROR_BYTES = 64 * 1024
ERROR_BODY_SECONDS = 3.0


def http_client(connect_timeout: float) -> httpx2.AsyncClient:
    """A client of its own for each adapter, closed with it. ``connect_timeout``: seconds."""
    client = httpx2.AsyncClient(
        verify=_tls(),
        timeout=httpx2.Timeout(None, connect=connect_timeout, write=max(connect_timeout, 60.0)),
        limits=httpx2.Limits(max_connections=1000, max_keepalive_connections=100),
        follow_redirects=False,
        event_hooks={"response": [_bound_error]},
    )
    use_backend(client)
    return client


@cache
def _tls() -> ssl.SSLContext:
    """One for all: reading the certificates takes longer than everything else at the start."""
    return httpx2.create_ssl_context()


async def _bound_error(response: httpx2.Response) -> None:
    """The SDKs read the body of an error to its end before they raise: let it end."""
    if response.status_code >= 300:
        response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    """The first bytes of a body, as far as they come in a few seconds and the connection holds."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        until = asyncio.get_running_loop().time() + ERROR_BODY_SECONDS
        room, pieces = MAX_ERROR_BYTES, aiter(self._stream)
        while room > 0:
            try:
                async with asyncio.timeout_at(until):
                    chunk = await anext(pieces, None)
            except (TimeoutError, httpx2.HTTPError):
                return
            if chunk is None:
                return
            yield chunk[:room]
            room -= len(chunk)

    async def aclose(self) -> None:
        await self._stream.aclose()
