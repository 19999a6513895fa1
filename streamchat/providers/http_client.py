"""The HTTP client that an SDK is given.

Knows no vendor. Rules:

* Only connecting has a timeout here; the run has the others.
* A redirect is an error, because it would send the key elsewhere.
* The body of an error response is read only as far as it helps.
* Connections are kept alive. A request on one that the other side had just closed is sent once more.
* However a request ends, its pool keeps nothing of it (``response_body``).
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any

import httpx2

from streamchat.providers.asyncio_backend import take_unfinished, use_backend
from streamchat.providers.connection_times import ON_CONNECTION
from streamchat.providers.joined_chunks import join_chunks
from streamchat.providers.raw_recording import RawRecorder
from streamchat.providers.response_body import MAX_DRAINS, Bodies

MAX_ERROR_BYTES = 64 * 1024
ERROR_BODY_SECONDS = 3.0
# A user reads for a while before the next question. After a longer time, firewalls start to drop connections silently.
KEEP_SECONDS = 120.0
_CLOSED_MEANWHILE = (httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError)


def http_client(connect_timeout: float, record: Path | None = None) -> httpx2.AsyncClient:
    """Return a new client; each adapter has its own and closes it. ``connect_timeout``: seconds.

    ``record``: the folder in which the responses of answers are recorded as they come (``raw_recording``).
    """
    client = _Client(
        recorder=None if record is None else RawRecorder(record),
        verify=_tls(),
        timeout=httpx2.Timeout(None, connect=connect_timeout, write=max(connect_timeout, 60.0)),
        limits=httpx2.Limits(max_connections=1000, max_keepalive_connections=MAX_DRAINS, keepalive_expiry=KEEP_SECONDS),
        follow_redirects=False,
    )
    use_backend(client)
    join_chunks()
    return client


class _Client(httpx2.AsyncClient):
    def __init__(self, *, recorder: RawRecorder | None = None, **settings: Any) -> None:
        super().__init__(**settings, event_hooks={"response": [self._own]})
        self._bodies = Bodies()
        self._recorder = recorder

    async def send(self, request: httpx2.Request, **how: Any) -> httpx2.Response:
        while True:
            opened = False

            async def trace(step: str, _: Any) -> None:
                nonlocal opened
                opened = opened or step.endswith("connect_tcp.started")
                if step.endswith("send_request_headers.started"):
                    ON_CONNECTION.get()(monotonic())

            request.extensions["trace"] = trace
            if self._recorder is not None:
                self._recorder.asked(request)
            try:
                return await super().send(request, **how)
            except BaseException as error:
                for connection in take_unfinished(self):
                    self._bodies.closing(connection.aclose())
                if opened or not isinstance(error, _CLOSED_MEANWHILE):
                    raise

    async def aclose(self) -> None:
        await self._bodies.close()
        await super().aclose()
        if self._recorder is not None:
            await asyncio.to_thread(self._recorder.close)

    async def _own(self, response: httpx2.Response) -> None:
        if self._recorder is not None:
            self._recorder.watch(response)
        if response.status_code >= 300:
            # The SDKs read the whole body of an error before they raise: limit it.
            response.stream = _Bounded(response.stream)
        self._bodies.own(response)


@cache
def _tls() -> ssl.SSLContext:
    """Return the shared TLS context: reading the certificates takes longer than everything else at the start."""
    return httpx2.create_ssl_context()


class _Bounded(httpx2.AsyncByteStream):
    """The first bytes of a body: at most ``MAX_ERROR_BYTES``, received within ``ERROR_BODY_SECONDS``."""

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
