"""``/status``: a page that tests from the browser what gets through, and says it in words.

Static files and the two streams that they listen to; knows nothing of runs. Rule: no script or style but its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from streamchat.web.encoding import json_bytes
from streamchat.web.event_schema import plain_events
from streamchat.web.shapes import PROBLEMS
from streamchat.web.streaming import EventStream
from streamchat.wiring import services

HERE = Path(__file__).parent
PATHS = ("/status", "/status/status.js", "/status/status.css")
PIECES, GAP_MS = 11, 100
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws: wss:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", "Cache-Control": "no-cache"}
STREAM = {200: {"description": "Events.", "content": plain_events('`{"ms": <since the start>, "last": <bool>}`')}}
router = APIRouter(tags=["status"])


@cache
def _file(name: str) -> bytes:
    return (HERE / name).read_bytes()


@router.get("/status", include_in_schema=False)
async def page() -> Response:
    """The page."""
    return Response(_file("status.html"), headers=HEADERS, media_type="text/html")


@router.get("/status/status.{kind}", include_in_schema=False)
async def part(kind: Literal["js", "css"]) -> Response:
    """Its script and its style."""
    types = {"js": "text/javascript", "css": "text/css"}
    return Response(_file(f"status.{kind}"), headers=HEADERS, media_type=types[kind])


@router.get("/api/status/stream", response_class=EventStream, responses=STREAM | PROBLEMS(429))
async def stream() -> Response:
    """Eleven events, a tenth of a second apart: where they arrive at once, something buffers."""
    return _streamed([GAP_MS / 1000] * (PIECES - 1))


@router.get("/api/status/idle", response_class=EventStream, responses=STREAM | PROBLEMS(422, 429))
async def idle(seconds: Annotated[float, Query(ge=0, le=300)] = 75) -> Response:
    """Two events, and silence between them, without the comments that answers have."""
    return _streamed([seconds])


def _streamed(gaps: list[float]) -> Response:
    gone = asyncio.Event()

    async def chunks() -> AsyncGenerator[bytes, None]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for place, gap in enumerate([0.0, *gaps]):
            try:
                async with asyncio.timeout(gap):
                    await gone.wait()
                return
            except TimeoutError:
                told = {"ms": round((loop.time() - began) * 1000), "last": place == len(gaps)}
                yield b"data: %b\n\n" % json_bytes(told)

    return EventStream(chunks(), gone=gone.set, limit=services().settings.streams_per_client)
