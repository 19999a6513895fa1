"""Request bodies: JSON, a form for the sign-in, a file for an upload.

They are limited in size, in time, in structure, and all together in memory.

Knows nothing of the content. Checked before an endpoint sees the body. Rules:

* A body is read up to its limit and no further. The limit is large only where pictures or whole files are accepted.
* A content type that a browser sends without a preflight (forms, text) is refused, so that a foreign page cannot even
  try.
* The structure of JSON is checked while it arrives (``json_bounds``), so that a refused body is never parsed.
* The bytes of all bodies, from their arrival to the start of the response, have a budget, and each address a share of
  it.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamchat.defaults import FILE_BYTES
from streamchat.errors import StreamchatError, TooManyRequests
from streamchat.limits import client_key
from streamchat.web.error_responses import response_at
from streamchat.web.json_bounds import JsonBounds
from streamchat.wiring import ServiceHolder
from streamchat.wiring.uploads import megabytes

# Pictures travel in the body, as base64; deploy/nginx.conf has the same limit.
MAX_BODY_BYTES = 20 * 1024 * 1024
# A message without pictures, each character written as an escape.
MAX_SMALL_BYTES = 3 * 1024 * 1024
MAX_FORM_BYTES = 16 * 1024
LARGE = re.compile(
    "/api/(?:runs|runs/[^/]+/steer|chat|conversations/import|conversations/[^/]+/messages)"
    "|/v1/(?:chat/completions|responses|messages|messages/count_tokens)"
    "|/ag-ui"
)
# Pages that work without a script. The access check lets only our own pages send forms.
FORMS = frozenset({"/sign-in", "/sign-up", "/sign-out"})
# Where a file is uploaded: a form with parts, which only our own pages may send. Beside the file it has a few headers.
UPLOAD = "/api/files"
MAX_FORM_HEAD = 64 * 1024
BODY_SECONDS = 60.0
RETRY_SECONDS = 2.0
_JSON, _FORM, _PARTS = b"application/json", b"application/x-www-form-urlencoded", b"multipart/form-data"
WITH_BODY = ("POST", "PUT", "PATCH")
TOO_SLOW = StreamchatError(f"The body did not arrive within {BODY_SECONDS:.0f} seconds.", kind="too-slow")
WRONG_TYPE = StreamchatError("Send JSON, with the header Content-Type: application/json.", kind="wrong-type")
NO_UPLOAD = StreamchatError("Send one file, as a form: Content-Type: multipart/form-data.", kind="wrong-type")


class BodyMemory:
    """The bytes of all bodies that are being read or handled. An address may have half of them."""

    def __init__(self) -> None:
        self._used = 0
        self._by_client: Counter[str] = Counter()

    @property
    def used(self) -> int:
        """Return the bytes of all bodies."""
        return self._used

    def add(self, client: str, size: int, budget: int) -> None:
        """Count bytes in. Raises ``TooManyRequests`` if they exceed the budget."""
        if self._used + size > budget or self._by_client[client] + size > max(budget // 2, MAX_BODY_BYTES):
            raise TooManyRequests("Too many large requests are being handled. Try again.", RETRY_SECONDS)
        self._used += size
        self._by_client[client] += size

    def remove(self, client: str, size: int) -> None:
        """Count bytes out."""
        self._used -= size
        self._by_client[client] -= size
        if not self._by_client[client]:
            del self._by_client[client]


body_memory = BodyMemory()


class Bodies:
    """Middleware that reads the whole body, or refuses it: 408, 413, 415 or 429 in the caller's shape."""

    def __init__(self, app: ASGIApp, holder: ServiceHolder | None = None) -> None:
        self._app = app
        self._holder = holder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its body in one message."""
        if scope["type"] != "http" or scope["method"] not in WITH_BODY:
            await self._app(scope, receive, send)
            return
        body = _Body(scope, self._budget(), self._largest_file())
        try:
            if not _has_type(scope, _type_at(scope["path"])):
                raise NO_UPLOAD if scope["path"] == UPLOAD else WRONG_TYPE
            async with asyncio.timeout(BODY_SECONDS):
                await body.read(receive)
        except (TimeoutError, StreamchatError) as error:
            body.release()
            refusal = error if isinstance(error, StreamchatError) else TOO_SLOW
            await response_at(scope["path"], refusal)(scope, receive, send)
            return
        try:
            await self._app(scope, body.replayed(receive), body.released_by(send))
        finally:
            body.release()

    def _budget(self) -> int:
        if self._holder is None:
            return 2**63
        return self._holder.services.settings.body_memory

    def _largest_file(self) -> int:
        return FILE_BYTES if self._holder is None else self._holder.services.settings.file_bytes


class _Body:
    """The body of one request, and its share of the memory."""

    def __init__(self, scope: Scope, budget: int, largest_file: int) -> None:
        small = MAX_FORM_BYTES if scope["path"] in FORMS else MAX_SMALL_BYTES
        self._limit = MAX_BODY_BYTES if LARGE.fullmatch(scope["path"]) else small
        largest = f"{self._limit // 2**20} MB" if self._limit >= 2**20 else f"{self._limit // 1024} KB"
        self._too_large = StreamchatError(f"The body is larger than {largest}.", kind="too-large")
        self._is_json = True
        if scope["path"] == UPLOAD:
            self._limit = largest_file + MAX_FORM_HEAD
            largest = f"This file is larger than {megabytes(largest_file)}."
            self._too_large = StreamchatError(largest, kind="too-large")
            self._is_json = False
        self._headers = scope["headers"]
        client = scope.get("client")
        self._client = client_key(client[0]) if client else ""
        self._budget = budget
        self._counted = 0
        self._bytes = b""

    async def read(self, receive: Receive) -> None:
        """Read the body, or the part of it that arrives before the client disconnects.

        Raises ``StreamchatError`` if it is too large, has too many values, or exceeds the memory of all bodies.
        """
        for name, value in self._headers:
            if name == b"content-length" and value.isdigit() and int(value[:18]) > self._limit:
                raise self._too_large
        pieces, size, bounds = [], 0, JsonBounds()
        while True:
            message = await receive()
            piece = message.get("body", b"")
            size += len(piece)
            if size > self._limit:
                raise self._too_large
            if piece:
                body_memory.add(self._client, len(piece), self._budget)
                self._counted += len(piece)
                if self._is_json:
                    bounds.feed(piece)
                pieces.append(piece)
            if message["type"] == "http.disconnect" or not message.get("more_body", False):
                self._bytes = b"".join(pieces)
                return

    def replayed(self, receive: Receive) -> Receive:
        """Return a ``receive`` that gives the body first."""
        first: Message | None = {"type": "http.request", "body": self._bytes, "more_body": False}
        self._bytes = b""

        async def replay() -> Message:
            nonlocal first
            if first is None:
                return await receive()
            message, first = first, None
            return message

        return replay

    def released_by(self, send: Send) -> Send:
        """Return a ``send`` that releases the memory with the start of the response, which may last for an hour."""

        async def sending(message: Message) -> None:
            self.release()
            await send(message)

        return sending

    def release(self) -> None:
        """Give the memory back."""
        if self._counted:
            body_memory.remove(self._client, self._counted)
            self._counted = 0


def _type_at(path: str) -> bytes:
    if path == UPLOAD:
        return _PARTS
    return _FORM if path in FORMS else _JSON


def _has_type(scope: Scope, media_type: bytes) -> bool:
    types = [value for name, value in scope["headers"] if name == b"content-type"]
    return len(types) == 1 and types[0].partition(b";")[0].strip().lower() == media_type
