"""The gRPC port of a server in this loop, answered by a provider that says what a test hands it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from streamchat import protos, wiring
from streamchat.settings import Settings
from streamchat.tools import tool
from streamchat.web.grpc_server import grpc_lifespan
from streamchat.wiring import Services
from tests.e2e.served import free_port
from tests.runs.conftest import World, make_world

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
def make_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeServer:
    @asynccontextmanager
    async def make(**settings: str) -> AsyncIterator[Served]:
        port = free_port()
        given = {"STREAMCHAT_GRPC_PORT": str(port), "STREAMCHAT_DATA_DIR": str(tmp_path)} | settings
        async with make_world(tmp_path, tools=(send,)) as world:
            built = Services(Settings.model_validate(given), world.runs._models, world.store, world.runs)  # pyright: ignore[reportArgumentType, reportCallIssue] as the app builds them
            monkeypatch.setattr(wiring, "_services", built)
            async with grpc_lifespan(), grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                yield Served(port, world, channel, RunsStub(channel))

    return make


@pytest.fixture
async def server(make_server: MakeServer) -> AsyncIterator[Served]:
    async with make_server() as made:
        yield made
