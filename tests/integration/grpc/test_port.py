"""The port as people run it: refused where it is taken, shared by workers, and behind a real nginx."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from devservers import nginx
from devservers.app import Served
from devservers.ports import free_port
from devservers.redis import RedisServer
from streamchat import build
from streamchat.chat import events as e
from tests.integration.grpc.conftest import RunsStub, pb
from tests.integration.grpc.conftest import Served as Service
from tests.integration.test_cli import refused

PATIENCE = 60


def test_a_taken_port_is_said_at_the_start(tmp_path: Path):
    """One sentence that names it, although workers share the port among themselves."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert port in refused(STREAMCHAT_GRPC_PORT=port, STREAMCHAT_DATA_DIR=str(tmp_path))


@pytest.fixture
def two_workers(redis: RedisServer, tmp_path: Path) -> Iterator[tuple[Served, int]]:
    """Two workers on one machine, and their gRPC port."""
    if not build.is_current():
        build.build()
    port = free_port()
    settings = {
        "STREAMCHAT_GRPC_PORT": str(port),
        "STREAMCHAT_WORKERS": "2",
        "STREAMCHAT_REDIS_URL": redis.url,
        "STREAMCHAT_MODELS": "simulator:tour",
    }
    server = Served(tmp_path / "data", settings).start()
    yield server, port
    server.stop()


def workers_of(pid: int) -> list[int]:
    """The worker processes of a supervisor."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [c for c in children if b"streamchat.workers" in Path(f"/proc/{c}/cmdline").read_bytes()]


async def test_workers_share_the_port(two_workers: tuple[Served, int]):
    """A run is begun on one connection and read on others, whichever worker took them; one worker's death is not the
    port's; SIGTERM ends it in order."""
    server, port = two_workers
    address = f"127.0.0.1:{port}"

    async def call(text: str) -> str:
        # A pool of its own: channels to one address share a connection otherwise, and so one worker.
        async with grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub = RunsStub(channel)
            run_id = (await stub.Start(pb.StartRequest(text=text), wait_for_ready=True)).run_id
        texts = set()
        for _ in range(4):
            async with grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
                follow = RunsStub(channel).Follow(pb.FollowRequest(run_id=run_id), wait_for_ready=True)
                texts.add("".join([entry.text_delta async for entry in follow]))
        assert len(texts) == 1
        return texts.pop()

    async with asyncio.timeout(PATIENCE * 2):
        for n in range(4):
            assert (await call(f"n=20 rate=200 kind=numbered seed={n}")).endswith("w000020")
        workers = await asyncio.to_thread(workers_of, server.pid)
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        for n in range(3):
            assert (await call(f"n=10 rate=200 kind=numbered seed={n}")).endswith("w000010")
    await asyncio.to_thread(server.stop)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), 1).close()


async def test_sigterm_with_readers_ends_in_order(tmp_path: Path):
    """The server ends in its time and without a traceback; a reader gets the ending of its run first, or is told that
    the server is gone and gets the ending after a restart."""
    if not build.is_current():
        await asyncio.to_thread(build.build)
    port = free_port()
    settings = {"STREAMCHAT_GRPC_PORT": str(port), "STREAMCHAT_MODELS": "simulator:tour"}
    server = await asyncio.to_thread(Served(tmp_path / "data", settings).start)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel, asyncio.timeout(PATIENCE * 2):
            stub = RunsStub(channel)
            run_id = (await stub.Start(pb.StartRequest(text="n=3000 rate=50 kind=numbered"))).run_id
            call = stub.Follow(pb.FollowRequest(run_id=run_id))
            place = 0
            stopping = asyncio.create_task(asyncio.to_thread(server.stop))
            ended, code = "", grpc.StatusCode.OK
            try:
                async for entry in call:
                    place, ended = entry.seq or place, entry.WhichOneof("event")
            except grpc.aio.AioRpcError as gone:
                code = gone.code()
            assert ended == "interrupted" or code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
            await stopping
            assert "Traceback" not in server.log
            await asyncio.to_thread(server.start)
            again = stub.Follow(pb.FollowRequest(run_id=run_id, after=max(0, place - 1)), wait_for_ready=True)
            assert [e.WhichOneof("event") async for e in again][-1] == "interrupted"
    finally:
        await asyncio.to_thread(server.stop)


@pytest.mark.skipif(nginx.why_not() is not None, reason=str(nginx.why_not()))
async def test_pieces_come_one_by_one_through_nginx(server: Service):
    """With the configuration that ships: each piece arrives before the next is said; Stop and health go through."""
    proxy = nginx.Nginx(free_port(), [1, 2], grpc=server.port)
    await asyncio.to_thread(proxy.start)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{proxy.grpc_port}") as channel, asyncio.timeout(PATIENCE):
            stub = RunsStub(channel)
            run_id = (await stub.Start(pb.StartRequest(text="hi"), wait_for_ready=True)).run_id
            call = stub.Follow(pb.FollowRequest(run_id=run_id))
            for n in range(20):
                server.world.provider.say(e.TextDelta(f"w{n}"))
                assert (await call.read()).text_delta == f"w{n}"
            health = health_pb2_grpc.HealthStub(channel)
            answer = await health.Check(health_pb2.HealthCheckRequest())  # pyrefly: ignore[missing-attribute]
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
            assert (await stub.Stop(pb.StopRequest(run_id=run_id))).message.status == pb.STOPPED
            assert (await call.read()).WhichOneof("event") == "stopped"
            with pytest.raises(grpc.aio.AioRpcError) as told:
                await stub.Get(pb.GetRequest(run_id="no-such"))
            assert told.value.code() == grpc.StatusCode.NOT_FOUND
            assert told.value.details()
    finally:
        await asyncio.to_thread(proxy.remove)
