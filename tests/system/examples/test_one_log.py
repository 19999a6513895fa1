"""One running answer, read at once over every transport, each from another point, and stopped over one of them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
from httpx_sse import connect_sse
from websockets.sync.client import connect

from devservers.app import Served, environment
from streamchat import bun, protos
from streamchat.client import Client
from tests.support.tab import Tab

protos.generate()

from streamchat.v1 import runs_pb2 as pb  # noqa: E402 made just now
from streamchat.v1.runs_pb2_grpc import RunsStub  # noqa: E402

HERE = Path(__file__).parent
PATIENCE = 60
# Number, kind and text of an event.
Heard = list[tuple[int, str, str]]


def over_sse(url: str, grpc_port: int, run: str, after: int) -> Heard:
    with (
        httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as http,
        connect_sse(http, "GET", f"/api/runs/{run}/events", headers={"Last-Event-ID": str(after)}) as source,
    ):
        told = [(event.id, event.event, event.data) for event in source.iter_sse()]
    assert told.pop()[1:] == ("message", "[DONE]")
    return [(int(seq), kind, json.loads(data).get("text", "")) for seq, kind, data in told]


def over_websocket(url: str, grpc_port: int, run: str, after: int) -> Heard:
    heard: Heard = []
    address = f"{url.replace('http', 'ws')}/api/runs/{run}/ws?after={after}"
    with connect(address, proxy=None, open_timeout=PATIENCE) as socket:
        for frame in socket:
            event = json.loads(frame)
            if "seq" in event:
                heard.append((event["seq"], event["type"], event.get("text", "")))
    return heard


def over_grpc(url: str, grpc_port: int, run: str, after: int) -> Heard:
    with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
        entries = list(RunsStub(channel).Follow(pb.FollowRequest(run_id=run, after=after), timeout=PATIENCE))
    kinds = [((entry.WhichOneof("event") or ""), entry) for entry in entries]
    return [(entry.seq, kind.replace("_", "-"), entry.text_delta) for kind, entry in kinds if kind]


def over_our_client(url: str, grpc_port: int, run: str, after: int) -> Heard:
    from streamchat.chat.wire import EVENT_NAMES

    with Client(url) as client:
        entries = list(client.follow(run, after=after).entries())
    return [(seq, EVENT_NAMES[type(event)], getattr(event, "text", "")) for seq, event in entries]


def in_javascript(url: str, grpc_port: int, run: str, after: int) -> Heard:
    command = [bun.path(), str(HERE / "follow.js"), url, run, str(after)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=environment({}))
    assert done.returncode == 0, done.stderr
    events = map(json.loads, done.stdout.splitlines())
    return [(event["seq"], event["type"], event.get("text", "")) for event in events]


READERS: list[Callable[[str, int, str, int], Heard]] = [
    over_sse,
    over_websocket,
    over_grpc,
    over_our_client,
    in_javascript,
]


def test_every_reader_has_the_same_answer(served: Served, grpc_port: int):
    """Numbers, kinds and text are the same from wherever each began; Stop over gRPC is the ending of all."""
    with Client(served.url) as client, ThreadPoolExecutor(len(READERS)) as pool:
        run = client.start("n=2000 rate=50 kind=numbered")
        pieces = run.text()
        while run.seq < 10:
            next(pieces)
        reading = [
            pool.submit(reader, served.url, grpc_port, run.id, after) for after, reader in enumerate(READERS, start=3)
        ]
        while run.seq < 200:
            next(pieces)
        with grpc.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
            assert RunsStub(channel).Stop(pb.StopRequest(run_id=run.id)).message.status == pb.STOPPED
        whole = [(seq, kind, text) for seq, kind, text in over_sse(served.url, grpc_port, run.id, 0)]
        assert [seq for seq, _, _ in whole] == list(range(1, len(whole) + 1))
        assert whole[-1][1] == "stopped"
        for after, heard in enumerate(reading, start=3):
            assert heard.result(PATIENCE) == whole[after:], READERS[after - 3].__name__
        assert run.final().text == "".join(text for _, _, text in whole)


async def test_begun_over_ag_ui_watched_in_the_page_stopped_over_grpc(served: Served, grpc_port: int):
    """A front end of AG-UI begins a run; a tab of the page shows it as it comes; Stop over gRPC ends it for both."""
    body = {"threadId": "t", "runId": "r", "messages": [{"id": "u", "role": "user", "content": "n=5000 rate=50"}]}
    told: list[dict[str, Any]] = []
    async with httpx.AsyncClient(base_url=served.url, timeout=PATIENCE, trust_env=False) as http:
        async with http.stream("POST", "/ag-ui?model=simulator:tour", json=body) as answer:
            run_id, conversation = answer.headers["x-run-id"], answer.headers["x-conversation-id"]
            lines = answer.aiter_lines()

            async def read_on(until: Callable[[dict[str, Any]], bool]) -> None:
                async for line in lines:
                    if line.startswith("data: "):
                        told.append(json.loads(line[6:]))
                        if until(told[-1]):
                            return

            await read_on(lambda event: event["type"] == "TEXT_MESSAGE_CONTENT")
            async with Tab(served.url, f"/c/{conversation}") as tab:
                page = tab.page  # what it shows is another dictionary once it is open
                await tab.until(lambda: run_id in page.messages and len(page.messages[run_id].text) > 100)
                assert page.messages[run_id].status == "streaming"
                async with grpc.aio.insecure_channel(f"127.0.0.1:{grpc_port}") as channel:
                    run = await RunsStub(channel).Stop(pb.StopRequest(run_id=run_id))
                await read_on(lambda event: event["type"] == "RUN_FINISHED")
                await tab.until(lambda: page.messages[run_id].status == "stopped", what="the ending")
                text = "".join(event["delta"] for event in told if event["type"] == "TEXT_MESSAGE_CONTENT")
                assert page.messages[run_id].text == text == run.message.text
    assert told[-1]["result"] == {"reason": "stopped"}
    assert run.message.status == pb.STOPPED
