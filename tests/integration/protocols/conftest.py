"""The API on a real uvicorn, in a thread of its own, so that synchronous SDKs can call it. The simulator answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from anthropic import Anthropic, AsyncAnthropic
from openai import AsyncOpenAI, OpenAI

from streamchat.processes.subprocess_server import Address, SubprocessServer
from streamchat.providers.catalog import Catalog, Source
from streamchat.runs.retries import Policy
from streamchat.settings import Settings
from streamchat.simulator.provider import MODELS, Simulator
from streamchat.tools.toolbox import Toolbox
from streamchat.web.app import guard, mount
from streamchat.wiring import ServiceHolder, Services
from tests.integration.runs.conftest import World, make_world
from tests.integration.web.conftest import PAGE, serving
from tests.support.loop import LoopThread

PATIENCE = 30.0
FAST = "rate=0 ttft=0"
KEY = "sk-not-looked-at"


@dataclass
class Api:
    """A server. ``world`` belongs to its loop; ``http`` and the SDKs are to be used from the test."""

    port: int
    world: World
    loop: LoopThread
    services: Services
    open: list[Any] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def http(self) -> httpx.Client:
        return self._keep(httpx.Client(base_url=self.url, timeout=PATIENCE, trust_env=False, verify=False))

    def openai(self, **more: Any) -> OpenAI:
        return self._keep(OpenAI(base_url=f"{self.url}/v1", api_key=KEY, timeout=PATIENCE, **more))

    def anthropic(self, **more: Any) -> Anthropic:
        return self._keep(Anthropic(base_url=self.url, api_key=KEY, timeout=PATIENCE, **more))

    def async_openai(self, **more: Any) -> AsyncOpenAI:
        return AsyncOpenAI(base_url=f"{self.url}/v1", api_key=KEY, timeout=PATIENCE, **more)

    def async_anthropic(self, **more: Any) -> AsyncAnthropic:
        return AsyncAnthropic(base_url=self.url, api_key=KEY, timeout=PATIENCE, **more)

    def run(self, run_id: str) -> dict[str, Any]:
        """The run as every other client sees it, once it has ended."""
        return self.loop.run(self._ended(run_id))

    def conversation(self, conversation_id: str) -> list[dict[str, Any]]:
        answer = self.http.get(f"/api/conversations/{conversation_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()["messages"]

    async def _ended(self, run_id: str) -> dict[str, Any]:
        while True:
            _, snapshot = await self.world.runs.get("local", run_id)
            if snapshot.message.ended:
                break
            await asyncio.sleep(0.01)
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, verify=False) as client:
            return (await client.get(f"/api/runs/{run_id}")).json()

    def _keep(self, client: Any) -> Any:
        self.open.append(client)
        return client


@asynccontextmanager
async def serving_api(path: Path, catalog: Catalog, loop: LoopThread, tools: Any, **more: str) -> AsyncIterator[Api]:
    with socket.socket(proto=socket.IPPROTO_TCP) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        async with make_world(path, Policy(retries=0), catalog, tools) as world:
            given = {"PORT": str(port), "STREAMCHAT_DATA_DIR": str(path), **more}
            settings = Settings.model_validate(given)
            services = Services(settings, catalog, world.store, world.runs, Toolbox(tools))
            holder = ServiceHolder(services)
            async with serving(guard(mount(PAGE, holder), holder), sock):
                yield Api(port, world, loop, services)


@pytest.fixture(scope="session")
def simulated(loop: LoopThread) -> Iterator[Address]:
    """One simulator for all tests: what it says depends on the message only."""
    child = SubprocessServer("simulator", "streamchat.simulator")
    yield loop.run(child.start(), 60)
    loop.run(child.close())


@pytest.fixture
def tools() -> list[Any]:
    """The server's own."""
    return []


@pytest.fixture
def api(tmp_path: Path, loop: LoopThread, simulated: Address, tools: list[Any]) -> Iterator[Api]:
    async def build() -> Catalog:
        return Catalog([Source("simulator", Simulator(address=simulated), MODELS)])

    serving = serving_api(tmp_path, loop.run(build()), loop, tools)
    api = loop.run(serving.__aenter__())
    yield api
    for client in api.open:
        client.close()
    loop.run(serving.__aexit__(None, None, None))
