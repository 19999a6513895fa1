"""Limits of the page's socket: how many an address may have, and how fast each may send.

Knows nothing of events. Rules:

* A socket beyond the limit is refused in its handshake, with 429 if the server can answer there.
* Messages beyond the rate of a socket wait: nothing is read from it meanwhile, so its sender waits as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamchat.errors import TooManyRequests
from streamchat.web.error_responses import response_of
from streamchat.wiring import ServiceHolder

# Messages that a socket may send at once, and from then on in a second. A tab sends one with each click, and answers
# a ping every ten seconds.
BURST = 200
PER_SECOND = 100.0


class PageSocket:
    """Middleware for WebSockets outside of the API, which has limits of its own."""

    def __init__(self, app: ASGIApp, holder: ServiceHolder, is_api: Callable[[str], bool]) -> None:
        self._app = app
        self._holder = holder
        self._is_api = is_api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; a socket of the page within its limits."""
        if scope["type"] != "websocket" or self._is_api(scope["path"]):
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        try:
            slot = self._holder.services.usage.take_socket(client[0] if client else "")
        except TooManyRequests as error:
            if "websocket.http.response" in scope.get("extensions", {}):
                await response_of(error)(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1013})
            return
        with slot:
            await self._app(scope, _slowed(receive), send)


def _slowed(receive: Receive) -> Receive:
    loop = asyncio.get_running_loop()
    due = 0.0  # when the next message would come at an even rate

    async def receive_slowly() -> Message:
        nonlocal due
        message = await receive()
        if message["type"] == "websocket.receive":
            now = loop.time()
            due = max(due, now - BURST / PER_SECOND) + 1 / PER_SECOND
            if due > now:
                await asyncio.sleep(due - now)
        return message

    return receive_slowly
