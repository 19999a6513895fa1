"""What a token costs the server: layer by layer from the provider's bytes to a tab, and server by server.

One answer at 100 tokens/s, whole and undisturbed; the reader is no browser but ``bench.tab``, in another
process. CPU is that of the process that does the work, taken at every quarter of the answer, so that growth
would show. Rules: each layer contains those above it; the rows of other servers differ in nothing else.
"""

from __future__ import annotations

import importlib.util
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from functools import partial

import httpx2
import openai

from bench import measure
from bench.app import MODEL, SHIPPED, app
from bench.load import SCENE, Load, Simulator, simulator
from bench.tab import Received, tab
from bench.tables import MISSING, number, percentile, show, spread
from streamchat.chat.events import Delta
from streamchat.chat.messages import Message, TextPart
from streamchat.chat.request import NewRun, Request
from streamchat.identity import LOCAL_OWNER
from streamchat.providers.openai.chat import OpenAIChat
from streamchat.runs.reader import RunReader
from streamchat.settings import Settings
from streamchat.wiring import running_services

QUARTERS = 4
SERVE = ("-m", "bench.serve")


class Unanswered(Exception):
    """The answer did not arrive as a whole."""


async def run(quick: bool) -> None:
    load = Load("B", "markdown", 200 if quick else 1000, 100)
    async with simulator() as provider:
        rows, failed = [], []
        for name, layer in LAYERS.items():
            costs = await _in_process(layer(provider, load), load)
            rows.append([name, spread(costs), *[MISSING] * 4])
        for name, server in servers().items():
            try:
                rows.append([name, *await _served(server, provider, load)])
            except Unanswered as error:
                rows.append([name, *[MISSING] * 5])
                failed.append(f"{name} does not work here: {error}")
    show(
        f"Server CPU per token ({load.tokens:,} tokens of Markdown at {load.rate}/s, one tab)",
        ["", "CPU ms/token", "p50 ms", "p95 ms", "frames", "bytes/token"],
        rows,
        "CPU: median of the answer's quarters (least–most). ms: from the provider's send to the tab's socket, in "
        "another process. bytes: after decompression.",
        *failed,
    )


def servers() -> dict[str, tuple[str, ...]]:
    found = {
        "as it ships: `streamchat run` (uvicorn)": SHIPPED,
        "uvicorn, no permessage-deflate": (*SERVE, "--no-deflate"),
        "uvicorn, wsproto": (*SERVE, "--ws", "wsproto"),
        "uvicorn, uvloop": (*SERVE, "--loop", "uvloop"),
        "granian (Reflex's own choice; no deflate)": (*SERVE, "--server", "granian"),
    }
    needs = {"--loop": "uvloop", "wsproto": "wsproto", "granian": "granian"}
    return {
        name: server
        for name, server in found.items()
        if all(importlib.util.find_spec(module) for word, module in needs.items() if word in server)
    }


async def _in_process(tokens: AsyncIterator[int], load: Load) -> list[float]:
    """Milliseconds of CPU per token, for each quarter, of what happens in this process."""
    quarters = Quarters(load.tokens, time.process_time)
    async for count in tokens:
        quarters.at(count)
    return quarters.costs


class Quarters:
    """CPU seconds between the quarters of an answer. ``clock``: seconds used so far."""

    def __init__(self, total: int, clock: Callable[[], float]) -> None:
        self.costs: list[float] = []
        self._total = total
        self._clock = clock
        self._last: tuple[int, float] | None = None

    def at(self, count: int) -> None:
        """So many units of the whole are there. What was spent before the first call is not counted."""
        if self._last is None:
            self._last = count, self._clock()
            return
        before, used = self._last
        if count * QUARTERS // self._total > before * QUARTERS // self._total:
            now = self._clock()
            self.costs.append((now - used) / (count - before) * 1000)
            self._last = (count, now)


async def _served(server: tuple[str, ...], provider: Simulator, load: Load) -> list[str]:
    async with app(provider, server=server) as running, tab(running.port) as reader:
        await reader.ask(load.message, MODEL)
        clock = partial(measure.tree_cpu_seconds if "granian" in server else measure.cpu_seconds, running.pid)
        quarters = Quarters(load.ends[-1], clock)
        before = reader.received.messages, reader.received.bytes
        await reader.read(on_length=quarters.at)
        delays = lag(reader.received, (await provider.last())["emits"], load.ends)
        frames, size = reader.received.messages - before[0], reader.received.bytes - before[1]
    per_token = load.ends[-1] / load.tokens
    costs = [cost * per_token for cost in quarters.costs]
    figures = [number(percentile(delays, share) * 1000) for share in (0.5, 0.95)]
    return [spread(costs), *figures, number(frames, 0), number(size / load.tokens, 0)]


def lag(received: Received, emits: list[float], ends: list[int]) -> list[float]:
    """Seconds from a token's sending until the reader had all of it, per token."""
    if received.arrivals[-1][1] != ends[-1]:
        raise Unanswered(f"{received.arrivals[-1][1]} of {ends[-1]} characters arrived; {received.why}")
    delays, arrivals = [], iter(received.arrivals)
    at, length = next(arrivals)
    for emitted, end in zip(emits, ends, strict=True):  # as long as each other, now that all has arrived
        while length < end:
            at, length = next(arrivals)
        delays.append(at - emitted)
    return delays


async def _bytes(provider: Simulator, load: Load) -> AsyncIterator[int]:
    """The provider's bytes through an HTTP client, nothing decoded: events are counted."""
    headers = {"authorization": f"Bearer {provider.address.api_key}"}
    async with httpx2.AsyncClient(headers=headers, timeout=None) as client:
        url = f"{provider.base_url}/chat/completions"
        async with client.stream("POST", url, json=provider.body(load)) as response:
            count = 0
            async for data in response.aiter_bytes():
                count = min(load.tokens, count + data.count(b"\n\n"))
                yield count


async def _sdk(provider: Simulator, load: Load) -> AsyncIterator[int]:
    """The official SDK's own stream of typed chunks."""
    async with openai.AsyncOpenAI(base_url=provider.base_url, api_key=provider.address.api_key) as client:
        count = 0
        async for chunk in await client.chat.completions.create(**provider.body(load)):
            count += bool(chunk.choices and chunk.choices[0].delta.content)
            yield count


async def _adapter(provider: Simulator, load: Load) -> AsyncIterator[int]:
    """Our adapter: the SDK's request, our decoder, our events."""
    adapter = OpenAIChat(api_key=provider.address.api_key, base_url=provider.base_url)
    request = Request(SCENE, (Message("m", "user", (TextPart(load.message),)),))
    count = 0
    async with aclosing(adapter.stream(request)) as events:
        async for event in events:
            count += isinstance(event, Delta)
            yield count
    await adapter.close()


async def _run(provider: Simulator, load: Load) -> AsyncIterator[int]:
    """A run as the server has it, with its log, its database and one reader, without a page."""
    with tempfile.TemporaryDirectory() as data:
        asked = {"OPENAI_BASE_URL": provider.base_url, "OPENAI_API_KEY": provider.address.api_key}
        settings = Settings.model_validate({**asked, "STREAMCHAT_DATA_DIR": data})
        async with running_services(settings) as services:
            begun = await services.runs.start(
                LOCAL_OWNER, NewRun(client_message_id="bench", parts=(TextPart(load.message),), model=MODEL)
            )
            async for batch in RunReader(services.runs, LOCAL_OWNER, begun.run_id).batches():
                if isinstance(batch, list):
                    yield min(load.tokens, batch[-1].seq)


LAYERS: dict[str, Callable[[Simulator, Load], AsyncIterator[int]]] = {
    "*baseline*: the provider's bytes, not decoded": _bytes,
    "*baseline*: the SDK's typed stream": _sdk,
    "our adapter, events": _adapter,
    "a run: adapter, log, database, one reader": _run,
}
