"""The floor under the transports: a bare relay that hands the provider's bytes to everybody who listens.

A child process. No SDK, no events, no numbers, nothing kept: a queue per client, on the server that we use.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

_listeners: set[asyncio.Queue[bytes | None]] = set()
_tasks: set[asyncio.Task[None]] = set()


async def page(request: Request) -> Response:
    return PlainTextResponse("a relay")


async def start(request: Request) -> Response:
    """As ``POST /api/runs``, so that one client drives both."""
    message = (await request.json())["message"]
    task = asyncio.create_task(_relay(message))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return JSONResponse({"run_id": "relay"}, 201)


async def _relay(message: str) -> None:
    body = {"model": "tour", "stream": True, "messages": [{"role": "user", "content": message}]}
    url = f"{os.environ['OPENAI_BASE_URL']}/chat/completions"
    headers = {"authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
    async with httpx2.AsyncClient(timeout=None, headers=headers) as client:
        async with client.stream("POST", url, json=body) as answer:
            async for data in answer.aiter_bytes():
                for listener in _listeners:
                    listener.put_nowait(data)
    for listener in _listeners:
        listener.put_nowait(None)


async def events(request: Request) -> Response:
    async def listen() -> AsyncIterator[bytes]:
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        _listeners.add(queue)
        try:
            while (data := await queue.get()) is not None:
                yield data
        finally:
            _listeners.discard(queue)

    return StreamingResponse(listen(), media_type="text/event-stream")


if __name__ == "__main__":
    routes = [
        Route("/", page),
        Route("/api/runs", start, methods=["POST"]),
        Route("/api/runs/{run_id}/events", events),
    ]
    uvicorn.run(Starlette(routes=routes), port=int(os.environ["PORT"]), log_level="warning", access_log=False)
