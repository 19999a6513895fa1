"""Bounds on reads of the database over HTTP, so that clients that poll delay neither writers nor streams.

Knows requests, no endpoints. Rules:

* A client may read ``RATE`` times a second, and ``BURST`` times at once. Beyond that a read waits for its turn, which
  slows the client down without an error. One that would wait longer than ``MAX_WAIT`` is refused (429).
* A refusal comes after ``MAX_WAIT``, not at once: a client that ignores ``Retry-After`` costs one request per wait.
* A response that did not change is not encoded again: a client that sends ``If-None-Match`` gets 304, others the same
  bytes.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from math import inf
from time import monotonic
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from streamchat.errors import TooManyRequests
from streamchat.limits import Buckets, client_key

# A read of a conversation takes 5 ms of the event loop: a client that polls without end takes a twentieth of it.
RATE, BURST = 10.0, 60
MAX_WAIT = 5.0
CACHE_BYTES, CACHED_BODY_BYTES = 16 * 1024 * 1024, 2 * 1024 * 1024
CHECKED = {"Cache-Control": "private, no-cache"}
# Of an answer that has ended: it does not change any more. Its owner's browser may keep it, and nobody in between.
ENDED = {"Cache-Control": "private, max-age=86400, immutable", "Vary": "Cookie, Authorization, Last-Event-ID"}
# Of what a link shows: whoever has it may read it, so that a proxy may send it. A link that was taken back, or shows
# something newer, is noticed after so many seconds.
SHARED = {"Cache-Control": "public, max-age=60", "Vary": "Last-Event-ID"}


class ReadLimits:
    """The turns of each client. ``rate``: reads per second. ``burst``: reads at once after a pause."""

    def __init__(self, rate: float = RATE, burst: int = BURST, clock: Callable[[], float] = monotonic) -> None:
        self._every = 1 / rate
        self._burst = burst
        self._buckets = Buckets(clock)

    def wait_of(self, client: str) -> float:
        """Take the client's next turn. Returns the seconds until then; ``inf`` if that is too long: it takes none."""
        wait = self._buckets.wait(client, self._every, self._burst)
        if wait > MAX_WAIT:
            return inf
        self._buckets.take(client, self._every)
        return wait


class ResponseCache:
    """The newest bodies by key, each with its ``ETag``, ``CACHE_BYTES`` in all."""

    def __init__(self) -> None:
        self._bodies: OrderedDict[tuple[str, ...], tuple[str, bytes]] = OrderedDict()
        self._bytes = 0

    def get(self, key: tuple[str, ...], etag: str) -> bytes | None:
        """Return the body if it has this ``ETag``."""
        if (entry := self._bodies.get(key)) is None or entry[0] != etag:
            return None
        self._bodies.move_to_end(key)
        return entry[1]

    def put(self, key: tuple[str, ...], etag: str, body: bytes) -> None:
        """Keep a body in place of an older one with the same key."""
        if old := self._bodies.pop(key, None):
            self._bytes -= len(old[1])
        if len(body) <= CACHED_BODY_BYTES:
            self._bodies[key] = etag, body
            self._bytes += len(body)
        while self._bytes > CACHE_BYTES:
            self._bytes -= len(self._bodies.popitem(last=False)[1][1])


async def take_turn(request: Request) -> None:
    """Dependency of an endpoint that reads the database: wait for the client's turn. Raises ``TooManyRequests``."""
    limits: ReadLimits = request.app.state.read_limits
    wait = limits.wait_of(client_key(request.client.host if request.client else ""))
    if wait:
        await asyncio.sleep(min(wait, MAX_WAIT))
    if wait > MAX_WAIT:
        message = "Too many reads from this address. Follow the events of an answer instead of polling."
        raise TooManyRequests(message, MAX_WAIT)


Turn = Annotated[None, Depends(take_turn)]


def not_modified(request: Request, etag: str, caching: Mapping[str, str] = CHECKED) -> Response | None:
    """Return 304 if the client has the response with this ``ETag`` already. ``caching``: the headers that say so."""
    known = request.headers.get("if-none-match", "")
    tags = {tag.strip().removeprefix("W/") for tag in known.split(",")}
    return Response(None, 304, {"ETag": etag, **caching}) if etag in tags else None
