"""What each transport adds: from the provider's send until a client has the text, with one, fifty and two hundred.

One answer at 50 words/s, read by all clients at once, beside a bare relay of the provider's bytes as the floor. The
clients are sockets that note when what arrived; it is decoded afterwards. Rules: floor and transports take turns, and
every word of every client counts.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import h11
import httpx2

from bench import grpc_wire, measure
from bench.app import MODEL, SHIPPED, App, app
from bench.load import Load, Simulator, simulator
from bench.tables import number, percentile, show
from streamchat.chat.sse import SSEDecoder

CLIENTS = (1, 50, 200)
RELAY = ("-m", "bench.relay")
# For all clients to be there before the first word.
TTFT_MS = 2000
Record = list[tuple[float, bytes]]
Arrivals = list[tuple[float, int]]
"""When how many characters of the answer were there."""


@dataclass(frozen=True, slots=True)
class Transport:
    """``request``: what a client sends, given host and run; ``decode``: what it got, as text that grew; ``last``:
    whether these bytes are the end; ``port``: where it is served, if not with the page."""

    name: str
    server: Sequence[str]
    request: Callable[[str, str], bytes]
    decode: Callable[[Record], Arrivals]
    last: Callable[[bytes], bool] = lambda data: data.endswith(b"0\r\n\r\n")  # the last chunk of an HTTP body
    port: int | None = None


async def run(quick: bool) -> None:
    words = 100 if quick else 400
    load = Load("T", "numbered", words, 50)
    rows = []
    async with simulator() as provider:
        for clients in CLIENTS:
            for transport in TRANSPORTS:
                rows.append(
                    [f"{clients} · {transport.name}", *await measure_transport(transport, provider, load, clients)]
                )
    show(
        f"Provider to client, by transport ({words} words at 50/s, all clients on one answer)",
        ["clients", "p50 ms", "p95 ms", "max ms", "CPU ms/word", "bytes/word"],
        rows,
        "ms: from the provider's send until the client's socket has the word, over all words and clients. CPU: of the "
        "server, per word, for all its clients. Buffered: the whole answer at its end.",
    )


async def measure_transport(transport: Transport, provider: Simulator, load: Load, clients: int) -> list[str]:
    message = load.message.replace("ttft=200", f"ttft={TTFT_MS}")
    settings = {"STREAMCHAT_STREAMS_PER_CLIENT": "1000"}
    if transport.port:
        settings["STREAMCHAT_GRPC_PORT"] = str(transport.port)
    async with app(provider, server=transport.server, settings=settings) as running:
        for warm in ("n=5 rate=50 ttft=1", message):
            run_id = await _start(running, warm)
            port = transport.port or running.port
            readers = [Client(transport.request(f"127.0.0.1:{port}", run_id), transport.last) for _ in range(clients)]
            used = measure.cpu_seconds(running.pid)
            await asyncio.gather(*(reader.read(port) for reader in readers))
        used = measure.cpu_seconds(running.pid) - used
    emits = await provider.emits(load)
    delays = [delay for reader in readers for delay in lag(transport.decode(reader.record), emits, load.ends)]
    size = sum(len(data) for reader in readers for _, data in reader.record) / clients / load.tokens
    shown = [number(percentile(delays, share) * 1000, 2) for share in (0.5, 0.95, 1)]
    return [*shown, number(used / load.tokens * 1000, 2), number(size, 0)]


async def _start(running: App, message: str) -> str:
    async with httpx2.AsyncClient(base_url=running.url) as client:
        answer = await client.post("/api/runs", json={"message": message, "model": MODEL})
        return answer.json()["run_id"]


def lag(arrivals: Arrivals, emits: Sequence[float], ends: Sequence[int]) -> Iterable[float]:
    """Seconds from each word's sending until it was there."""
    if not arrivals or arrivals[-1][1] != ends[-1]:
        raise RuntimeError(f"{arrivals[-1][1] if arrivals else 0} of {ends[-1]} characters arrived")
    left = iter(arrivals)
    at, length = next(left)
    for emitted, end in zip(emits, ends, strict=True):
        while length < end:
            at, length = next(left)
        yield at - emitted


class Client(asyncio.Protocol):
    """A socket that sends one request and notes when what arrived, until the other side closes or ``END`` comes."""

    def __init__(self, request: bytes, last: Callable[[bytes], bool]) -> None:
        self.record: Record = []
        self._last = last
        self._request = request
        self._closed = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    async def read(self, port: int) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", port)
        await asyncio.wait_for(self._closed.wait(), 120)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self.record.append((time.time(), data))
        if self._last(data) and self._transport:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed.set()


def _get(path: str) -> Callable[[str, str], bytes]:
    return lambda host, run_id: f"GET {path.format(run_id)} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


def _upgrade(host: str, run_id: str) -> bytes:
    lines = [
        f"GET /api/runs/{run_id}/ws HTTP/1.1",
        f"Host: {host}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def _bodies(record: Record) -> Iterable[tuple[float, bytes]]:
    """What came in the body of a response, and when."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    for at, data in record:
        connection.receive_data(data)
        while (event := connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Data):
                yield at, bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return


def _events(text_of: Callable[[str, str], str]) -> Callable[[Record], Arrivals]:
    def decode(record: Record) -> Arrivals:
        decoder, arrivals, length = SSEDecoder(), [], 0
        for at, data in _bodies(record):
            for event in decoder.feed(data):
                length += len(text_of(event.event, event.data))
            arrivals.append((at, length))
        return arrivals

    return decode


def _ours(event: str, data: str) -> str:
    return json.loads(data)["text"] if event == "text-delta" else ""


def _chunk(event: str, data: str) -> str:
    choices = [] if data == "[DONE]" else json.loads(data)["choices"]
    return (choices[0]["delta"].get("content") or "") if choices else ""


def _frames(record: Record) -> Arrivals:
    arrivals, length, held = [], 0, b""
    for at, data in record:
        held += data
        if held.startswith(b"HTTP/"):
            head, end, rest = held.partition(b"\r\n\r\n")
            held = rest if end else held
            if not end:
                continue
        while (cut := _frame(held)) is not None:
            payload, held = cut
            if payload.startswith(b"{"):
                frame = json.loads(payload)
                length += len(frame["text"]) if frame["type"] == "text-delta" else 0
        arrivals.append((at, length))
    return arrivals


def _frame(data: bytes) -> tuple[bytes, bytes] | None:
    """The payload of the first frame, and what is behind it."""
    if len(data) < 2:
        return None
    size, start = data[1] & 127, 2
    if size >= 126:
        start = 4 if size == 126 else 10
        if len(data) < start:
            return None
        size = int.from_bytes(data[2:start], "big")
    return (data[start : start + size], data[start + size :]) if len(data) >= start + size else None


def _document(record: Record) -> Arrivals:
    bodies = list(_bodies(record))
    text = json.loads(b"".join(data for _, data in bodies))["message"]["text"]
    return [(bodies[-1][0], len(text))]


def _entries(record: Record) -> Arrivals:
    decoder, arrivals, length = grpc_wire.Decoder(), [], 0
    for at, data in record:
        length += sum(len(entry.text_delta) for entry in decoder.feed(data))
        arrivals.append((at, length))
    return arrivals


TRANSPORTS = [
    Transport("*baseline*: a bare relay", RELAY, _get("/api/runs/{}/events"), _events(_chunk)),
    Transport("SSE", SHIPPED, _get("/api/runs/{}/events"), _events(_ours)),
    Transport("WebSocket", SHIPPED, _upgrade, _frames),
    Transport("gRPC", SHIPPED, grpc_wire.request, _entries, grpc_wire.last, measure.free_port()),
    Transport("buffered", SHIPPED, _get("/api/runs/{}/events?buffer=1"), _document),
]
