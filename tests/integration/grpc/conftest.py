"""The gRPC port of a server in this loop, answered by a provider that says what a test hands it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from devservers.ports import free_port
from streamchat import protos
from streamchat.identity import Identify, identify_local
from streamchat.settings import Settings
from streamchat.tools import tool
from streamchat.web.grpc_server import grpc_lifespan
from streamchat.wiring import ServiceHolder, Services
from tests.integration.runs.conftest import World, make_world

protos.generate()

from streamchat.v1 import runs_pb2 as pb  # noqa: E402 made just now
from streamchat.v1.runs_pb2_grpc import RunsStub  # noqa: E402

__all__ = ["RunsStub", "pb"]


@tool(approve=True)
async def send(to: str, copies: int = 1) -> str:
    """Something that cannot be taken back."""
    return f"sent to {to}, {copies}"


@dataclass
class Served:
    """``stub`` calls the service; ``world`` is what is behind it."""

    port: int
    world: World
    channel: grpc.aio.Channel
    stub: Any

    async def start(self, text: str = "hello", **more: Any) -> str:
        return (await self.stub.Start(pb.StartRequest(text=text, **more))).run_id

    async def follow(self, run_id: str, after: int = 0) -> list[pb.Entry]:
        """Every entry, up to the end of the stream."""
        return [entry async for entry in self.stub.Follow(pb.FollowRequest(run_id=run_id, after=after))]


MakeServer = Callable[..., AbstractAsyncContextManager[Served]]


@pytest.fixture
def make_server(tmp_path: Path) -> MakeServer:
    @asynccontextmanager
    async def make(identify: Identify = identify_local, **settings: str) -> AsyncIterator[Served]:
        port = free_port()
        given = {"STREAMCHAT_GRPC_PORT": str(port), "STREAMCHAT_DATA_DIR": str(tmp_path)} | settings
        async with make_world(tmp_path, tools=(send,)) as world:
            built = Services(Settings.model_validate(given), world.catalog, world.store, world.runs, identify=identify)
            async with grpc_lifespan(ServiceHolder(built)), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield Served(port, world, channel, RunsStub(channel))

    return make


@pytest.fixture
async def server(make_server: MakeServer) -> AsyncIterator[Served]:
    async with make_server() as made:
        yield made
