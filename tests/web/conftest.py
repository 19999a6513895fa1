"""The API on a real uvicorn over loopback, answered by a provider that says what a test hands it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from streamchat import wiring
from streamchat.chat.events import Event
from streamchat.chat.sse import ServerSentEvent, SSEDecoder
from streamchat.settings import Settings
from streamchat.tools import Tool
from streamchat.web.app import guard, mount
from streamchat.wiring import Services
from tests.runs.conftest import QueueProvider, World, make_world

PATIENCE = 20.0


@dataclass
class Api:
    """A server: ``client`` talks to it, ``provider`` answers for its only model."""

    port: int
    world: World
    client: httpx.AsyncClient

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def provider(self) -> QueueProvider:
        return self.world.provider

    async def start(self, message: str = "hello", **more: Any) -> str:
        """The id of a new run."""
        answer = await self.client.post("/api/runs", json={"message": message, **more})
        assert answer.status_code == 201, answer.text
        return answer.json()["run_id"]

    async def said(self, *events: Event | BaseException | None) -> str:
        """A run that said this, each event an entry of its own, and has ended."""
        run_id = await self.start()
        for event in events:
            before = self.world.log.snapshot(run_id).seq
            self.provider.say(event)
            while self.world.log.snapshot(run_id).seq == before:
                await asyncio.sleep(0.001)
        await self.world.ended(run_id)
        return run_id

    async def events(self, path: str, headers: Mapping[str, str] | None = None) -> list[ServerSentEvent]:
        """The events of a stream, up to its end."""
        async with self.client.stream("GET", path, headers=dict(headers or {})) as answer:
            assert answer.status_code == 200, await answer.aread()
            decoder, events = SSEDecoder(), []
            async for data in answer.aiter_raw():
                events += decoder.feed(data)
        assert decoder.held == 0
        return events


def parsed(events: list[ServerSentEvent]) -> list[dict[str, Any]]:
    """The JSON of a run's events; the ``[DONE]`` behind them is checked, and left out."""
    assert (events[-1].event, events[-1].data) == ("message", "[DONE]")
    return [json.loads(event.data) for event in events[:-1]]


async def page_socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("page")
    await websocket.close()


async def page(request: Any) -> PlainTextResponse:
    # As Reflex answers: with a list of origins of its own.
    return PlainTextResponse("page", headers={"Access-Control-Allow-Origin": "https://reflex.example"})


PAGE = Starlette(
    routes=[WebSocketRoute("/_event", page_socket), Route("/{rest:path}", page, methods=["GET", "POST", "OPTIONS"])]
)
MakeApi = Callable[..., AbstractAsyncContextManager[Api]]


@asynccontextmanager
async def serving(app: Any, sock: socket.socket) -> AsyncIterator[uvicorn.Server]:
    """uvicorn, as the program runs it, in this loop."""
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    server.capture_signals = _no_signals
    task = asyncio.create_task(server.serve([sock]))
    try:
        while not server.started:
            await asyncio.sleep(0.005)
        yield server
    finally:
        server.should_exit = True
        await asyncio.wait([task], timeout=10)


@pytest.fixture
def make_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeApi:
    """``async with make_api(NAME="value", …) as api``: the settings are environment variables."""

    @asynccontextmanager
    async def make(
        listening: Callable[[socket.socket], None] = lambda sock: None, tools: Sequence[Tool] = (), **settings: str
    ) -> AsyncIterator[Api]:
        with socket.socket() as sock:
            listening(sock)
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
            given = {"PORT": str(port), "STREAMCHAT_DATA_DIR": str(tmp_path)} | settings
            async with make_world(tmp_path, tools=tools) as world:
                built = Services(Settings.model_validate(given), world.runs._models, world.store, world.runs)  # pyright: ignore[reportArgumentType, reportCallIssue]
                monkeypatch.setattr(wiring, "_services", built)
                client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, trust_env=False)
                async with client, serving(guard(mount(PAGE)), sock):
                    yield Api(port, world, client)

    return make


@pytest.fixture
async def api(make_api: MakeApi) -> AsyncIterator[Api]:
    async with make_api() as made:
        yield made


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield


class _NoSignals:
    def __enter__(self) -> None: ...
    def __exit__(self, *what: object) -> None: ...


def _no_signals() -> Any:
    return _NoSignals()
