"""What is sent to the API: JSON, of a size that fits, within a time. Checked before an endpoint sees it.

Knows nothing of what is in it. Rules: a body is read up to its limit and no further; one that a browser would send
without asking first (forms, text) is refused, so that a foreign page cannot even try.
"""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamchat.errors import StreamchatError
from streamchat.web.problems import answer_at

# Pictures travel in the body, as base64; deploy/nginx.conf has the same limit.
MAX_BODY_BYTES = 20 * 1024 * 1024
BODY_SECONDS = 60.0
WITH_BODY = ("POST", "PUT", "PATCH")
TOO_LARGE = StreamchatError(f"The body is larger than {MAX_BODY_BYTES // 2**20} MB.", kind="too-large")
TOO_SLOW = StreamchatError(f"The body did not arrive within {BODY_SECONDS:.0f} seconds.", kind="too-slow")
WRONG_TYPE = StreamchatError("Send JSON, with the header Content-Type: application/json.", kind="wrong-type")


class Bodies:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in WITH_BODY:
            await self._app(scope, receive, send)
            return
        refused, body = None, b""
        if not _is_json(scope):
            refused = WRONG_TYPE
        else:
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    body = await _read(scope, receive)
            except TimeoutError:
                refused = TOO_SLOW
            except StreamchatError as error:
                refused = error
        if refused is not None:
            await answer_at(scope["path"], refused)(scope, receive, send)
            return
        first: Message | None = {"type": "http.request", "body": body, "more_body": False}

        async def again() -> Message:
            nonlocal first
            if first is None:
                return await receive()
            message, first = first, None
            return message

        await self._app(scope, again, send)


def _is_json(scope: Scope) -> bool:
    types = [value for name, value in scope["headers"] if name == b"content-type"]
    return len(types) == 1 and types[0].partition(b";")[0].strip().lower() == b"application/json"


async def _read(scope: Scope, receive: Receive) -> bytes:
    """Raises ``TOO_LARGE``; of a client that is gone, what came."""
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value[:18]) > MAX_BODY_BYTES:
            raise TOO_LARGE
    pieces, size = [], 0
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > MAX_BODY_BYTES:
            raise TOO_LARGE
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return b"".join(pieces)
