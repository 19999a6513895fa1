"""The API on a real uvicorn over loopback, answered by a provider that says what a test hands it."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from streamchat.chat.events import Event
from streamchat.chat.sse import ServerSentEvent, SSEDecoder
from streamchat.identity import Identify, identify_local
from streamchat.prices import load_prices
from streamchat.providers.catalog import Catalog
from streamchat.runs.queue import AnswerQueue
from streamchat.runs.retries import Policy
from streamchat.settings import Settings
from streamchat.telemetry.instruments import Telemetry
from streamchat.tools import Tool
from streamchat.watchdog import Watchdog
from streamchat.web.app import guard, mount
from streamchat.wiring import ServiceHolder, Services
from streamchat.wiring.build_accounts import build_accounts
from tests.integration.runs.conftest import QueueProvider, World, make_world

PATIENCE = 20.0


@dataclass
class Api:
    """A server: ``client`` talks to it, ``provider`` answers for its only model."""

    port: int
    world: World
    client: httpx.AsyncClient
    services: Services

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


async def holding_socket(websocket: WebSocket) -> None:
    """Stays open until the client closes it."""
    await websocket.accept()
    await websocket.send_text("page")
    await websocket.receive()


async def echo_socket(websocket: WebSocket) -> None:
    await websocket.accept()
    while (message := await websocket.receive())["type"] == "websocket.receive":
        await websocket.send_text(message["text"])


async def page(request: Any) -> PlainTextResponse:
    # As Reflex answers: with a list of origins of its own.
    return PlainTextResponse("page", headers={"Access-Control-Allow-Origin": "https://reflex.example"})


PAGE = Starlette(
    routes=[
        WebSocketRoute("/_event", page_socket),
        WebSocketRoute("/_hold", holding_socket),
        WebSocketRoute("/_echo", echo_socket),
        Route("/{rest:path}", page, methods=["GET", "POST", "OPTIONS"]),
    ]
)
MakeApi = Callable[..., AbstractAsyncContextManager[Api]]


def services_of(settings: Settings, world: World, identify: Identify, watchdog: Watchdog) -> Services:
    """What is behind a server, with accounts if the settings have some."""
    if accounts := build_accounts(settings, world.store, world.runs.feed):
        identify = accounts.sessions.identify
    return Services(
        settings, world.catalog, world.store, world.runs, identify=identify, watchdog=watchdog, accounts=accounts
    )


@asynccontextmanager
async def serving(app: Any, sock: socket.socket, **options: Any) -> AsyncIterator[uvicorn.Server]:
    """uvicorn, as the program runs it, in this loop. asyncio sends at once what is written to a socket only if that
    says that it is of TCP; else each answer waits 40 ms for the reader to confirm its beginning."""
    # Without a configuration of logs, which uvicorn would make anew for each server: 3 ms of CPU.
    fixed: dict[str, Any] = {"log_config": None, "log_level": "warning", "access_log": False, "lifespan": "off"}
    fixed |= {"proxy_headers": False, "timeout_graceful_shutdown": 1}
    config = uvicorn.Config(app, **fixed, **options)
    server = uvicorn.Server(config)
    server.capture_signals = _no_signals
    ended = asyncio.Event()

    async def main_loop() -> None:
        """uvicorn's own looks every 0.1 s whether it is to end, and most tests take less."""
        await server.on_tick(0)
        await ended.wait()

    async def shutdown(sockets: list[socket.socket] | None = None) -> None:
        """uvicorn's own waits for 0.1 s, also where everybody has gone."""
        for _ in range(10):
            if not (server.server_state.connections or server.server_state.tasks):
                for listener in server.servers:
                    listener.close()
                return
            await asyncio.sleep(0.001)
        await uvicorn.Server.shutdown(server, sockets)

    server.main_loop, server.shutdown = main_loop, shutdown
    task = asyncio.create_task(server.serve([sock]))
    try:
        while not server.started:
            await asyncio.sleep(0.005)
        yield server
    finally:
        server.should_exit = True
        ended.set()
        await asyncio.wait([task], timeout=10)


def api_maker(its_folder: Path) -> MakeApi:
    """Return what the fixture ``make_api`` is, for a folder."""

    @asynccontextmanager
    async def make(
        listening: Callable[[socket.socket], None] = lambda sock: None,
        tools: Sequence[Tool] = (),
        identify: Identify = identify_local,
        watchdog: Watchdog | None = None,
        telemetry: Telemetry | None = None,
        catalog: Catalog | None = None,
        folder: Path = its_folder,
        **settings: str,
    ) -> AsyncIterator[Api]:
        with socket.socket(proto=socket.IPPROTO_TCP) as sock:
            listening(sock)
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
            given = {"PORT": str(port), "STREAMCHAT_DATA_DIR": str(folder)} | settings
            parsed_settings = Settings.model_validate(given)
            policy = Policy(cost=load_prices(parsed_settings.prices).cost)
            queue = AnswerQueue(parsed_settings.max_answers)
            async with make_world(folder, policy, catalog, tools, queue, settings=parsed_settings) as world:
                built = services_of(parsed_settings, world, identify, watchdog or Watchdog())
                built = replace(built, telemetry=telemetry)
                holder = ServiceHolder(built)
                # No TLS here: reading the certificates would take longer than most tests.
                address = f"http://127.0.0.1:{port}"
                client = httpx.AsyncClient(base_url=address, timeout=PATIENCE, trust_env=False, verify=False)
                async with serving(guard(mount(PAGE, holder), holder), sock), client:
                    yield Api(port, world, client, built)
                if built.accounts is not None:
                    await built.accounts.close()

    return make


@pytest.fixture
def make_api(tmp_path: Path) -> MakeApi:
    """``async with make_api(NAME="value", …) as api``: the settings are environment variables."""
    return api_maker(tmp_path)


# Tests that leave the server as it is share one: a server costs more than the request that is refused.
shared = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """One server for the tests of a module that are marked ``shared``."""
    async with api_maker(tmp_path_factory.mktemp("shared"))() as made:
        yield made


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
