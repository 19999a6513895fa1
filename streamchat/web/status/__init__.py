"""``/status``: a page that tests the connection from the browser and explains the results.

Serves static files and the two streams that they read; knows nothing of runs. Rule: no script or style but its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.responses import Response

from streamchat.protocols.encoding import json_bytes
from streamchat.web.dependencies import Context
from streamchat.web.event_schema import plain_events
from streamchat.web.schemas import PROBLEMS
from streamchat.web.streaming import EventStream, streams
from streamchat.wiring.request_context import RequestContext

HERE = Path(__file__).parent
PATHS = ("/status", "/status/status.js", "/status/status.css")
PIECES, GAP_MS = 11, 100
HEADERS = {"Cache-Control": "no-cache"}
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
    """The script and the styles of the page."""
    types = {"js": "text/javascript", "css": "text/css"}
    return Response(_file(f"status.{kind}"), headers=HEADERS, media_type=types[kind])


@router.get("/api/status/stream", response_class=EventStream, responses=STREAM | PROBLEMS(429))
async def stream(context: Context) -> Response:
    """Eleven events, a tenth of a second apart. If they arrive all at once, a proxy buffers them."""
    return _streamed(context, [GAP_MS / 1000] * (PIECES - 1))


@router.get("/api/status/idle", response_class=EventStream, responses=STREAM | PROBLEMS(422, 429))
async def idle(context: Context, seconds: Annotated[float, Query(ge=0, le=300)] = 75) -> Response:
    """Two events with silence in between, without the comments that keep answers alive."""
    return _streamed(context, [seconds])


class Pauses(BaseModel):
    """Pauses of the event loop of this process of more than 50 ms, since its start. Times are in milliseconds."""

    count: int
    longest_ms: int
    total_ms: int


@router.get("/api/status/loop")
async def loop(context: Context) -> Pauses:
    """How often this process stood still, so that no answer moved. Where it did is in its log."""
    pauses = context.services.watchdog.pauses
    return Pauses(count=pauses.count, longest_ms=round(pauses.longest * 1000), total_ms=round(pauses.total * 1000))


def _streamed(context: RequestContext, gaps: list[float]) -> Response:
    gone = asyncio.Event()

    async def chunks() -> AsyncGenerator[tuple[bytes], None]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for index, gap in enumerate([0.0, *gaps]):
            try:
                async with asyncio.timeout(gap):
                    await gone.wait()
                return
            except TimeoutError:
                data = {"ms": round((loop.time() - began) * 1000), "last": index == len(gaps)}
                yield (b"data: %b\n\n" % json_bytes(data),)

    return EventStream(chunks(), gone=gone.set, slot=streams.take(context))
