"""From the provider's send to the paint in a real browser, and what that costs browser, wire and server.

One pass per load with nothing but the recorder in the page: times, main thread, server CPU. A second pass counts
bytes: the messages as the browser gets them (through the debugging protocol) and what went over TCP (through a
counting proxy). Then typing while an answer comes, on a processor slowed down four times. The floor goes the same
ways. Everything runs on this machine, so the times include what browser, server and provider take from each other.
"""

from __future__ import annotations

import json
import tempfile
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from playwright.async_api import Browser

from bench import measure, seed
from bench.app import FLOOR, MODEL, SHIPPED, App, app
from bench.browser import Visit, chromium, visit
from bench.load import Load, Simulator, loads, simulator
from bench.progress import delays
from bench.tables import MISSING, number, percentile, show
from bench.wire import Counter, counter

HISTORY_WORDS = 200
SLOWER = 4
PATIENCE = 120.0
UNREPORTED = 8.0
WARM_UP = Load("warm-up", "numbered", 20, 50)
MILLISECONDS = ("p50 ms", "p95 ms", "max ms")
LONG_TASKS = "tasks > 50 / 200 ms"
NAMES = {FLOOR: "*baseline*", SHIPPED: "streamchat"}


Server = tuple[str, ...]


async def run(quick: bool, peers: Mapping[Server, str] = MappingProxyType({}), *, typing: bool = True) -> None:
    """Print the tables. ``peers``: further servers, and their names."""
    asked = loads(quick)
    with tempfile.TemporaryDirectory(prefix="streamchat-bench-") as data:
        turns = max(load.history for load in asked)
        path = f"/c/{await seed.conversation(Path(data), turns, HISTORY_WORDS, MODEL)}"
        bench = Bench(asked, Path(data), path, {FLOOR: NAMES[FLOOR], **peers, SHIPPED: NAMES[SHIPPED]})
        async with simulator() as provider, chromium() as browser:
            await bench.times(provider, browser)
            await bench.bytes(provider, browser)
            if typing:
                await bench.typing(provider, browser, Load("B", "markdown", 200 if quick else 2000, 50))


@dataclass(slots=True)
class Bench:
    loads: list[Load]
    data: Path
    path: str
    names: Mapping[Server, str]

    def address(self, url: str, load: Load, server: Sequence[str]) -> str:
        return url + (self.path if load.history and server == SHIPPED else "/")

    def of(self, server: Sequence[str]) -> list[Load]:
        """Only the program itself has a history."""
        return [load for load in self.loads if not load.history or server == SHIPPED]

    async def times(self, provider: Simulator, browser: Browser) -> None:
        rows = []
        for server, name in self.names.items():
            async with app(provider, server=server, data=self.data) as running:
                async with visit(browser, running.url) as page:  # what only the first answer of a process costs
                    await _timed(provider, running, page, WARM_UP)
                for load in self.of(server):
                    async with visit(browser, self.address(running.url, load, server)) as page:
                        rows.append([f"{load.name} {name}", *await _timed(provider, running, page, load)])
        show(
            "From the provider's send to the paint",
            ["", *MILLISECONDS, "paints", "main s", "script", "layout", LONG_TASKS, "server CPU s/1,000"],
            sorted(rows, key=lambda row: row[0][0]),
            "; ".join(load.title for load in self.loads) + ".",
        )

    async def bytes(self, provider: Simulator, browser: Browser) -> None:
        rows = []
        for server, name in self.names.items():
            async with counter() as wire, app(provider, server=server, data=self.data, public_url=wire.url) as running:
                wire.target = running.port
                for load in map(_shorter, self.of(server)):
                    async with visit(browser, self.address(wire.url, load, server)) as page:
                        rows.append([f"{load.name} {name}", *await _counted(page, load, wire)])
        show(
            "Bytes to the browser per word",
            ["", "messages", "on the wire", "first tenth", "last tenth"],
            sorted(rows, key=lambda row: row[0][0]),
            "Messages: as the browser's script gets them. On the wire: with compression and framing. Tenths: of the "
            "answer, bytes of the messages per word: whether a word gets dearer as the answer grows.",
        )

    async def typing(self, provider: Simulator, browser: Browser, load: Load) -> None:
        rows = []
        for server, asked in ((FLOOR, _shorter(load)), (SHIPPED, load)):
            async with app(provider, server=server, data=self.data) as running:
                async with visit(browser, running.url) as page:
                    await page.slow_down(SLOWER)
                    await page.ask(asked.message)
                    await page.type_while_answering()
                    keys, shown = await page.recorded("keys"), await page.recorded("presented")
                    shown += [UNREPORTED] * (len(keys) - len(shown))
                    figures = [number(percentile(keys, share), 0) for share in (0.5, 0.95, 1)]
                    figures.append(number(percentile(shown, 0.95), 0))
                    rows.append([NAMES[server], str(len(keys)), *figures, _long(await page.recorded("long"))])
        show(
            f"Typing on a processor slowed down {SLOWER} times while an answer comes ({load.title})",
            ["", "keys", *MILLISECONDS, "p95 shown", LONG_TASKS],
            rows,
            "ms: from the key to the frame with the letter, as the paints above. Shown: until that frame was on the "
            "screen, which the browser itself says in steps of 8 ms.",
        )


async def _timed(provider: Simulator, running: App, page: Visit, load: Load) -> list[str]:
    work, used = await page.work(), measure.cpu_seconds(running.pid)
    await page.ask(load.message)
    await page.end(load.seconds + PATIENCE)
    work, used = await page.work() - work, measure.cpu_seconds(running.pid) - used
    paints, long = await page.paints(), await page.recorded("long")
    try:
        waited = delays(load, await provider.emits(load), paints, await page.text())
    except ValueError:
        waited = []
    return [
        *(number(percentile(waited, share) * 1000) for share in (0.5, 0.95, 1)),
        number(len(paints), 0),
        *(number(part) for part in (work.tasks, work.script, work.layout)),
        _long(long),
        number(used / load.tokens * 1000, 2),
    ]


def _shorter(load: Load) -> Load:
    """Bytes need no long answer."""
    return replace(load, tokens=load.tokens // 2) if load.rate else load


def _long(durations: list[float]) -> str:
    return f"{sum(d > 50 for d in durations)} / {sum(d > 200 for d in durations)}"


@dataclass
class Messages:
    """``sockets``, ``http``: bytes. ``pieces``: bytes of a message, and characters of the answer in it."""

    sockets: int = 0
    http: int = 0
    pieces: list[tuple[int, int]] = field(default_factory=list)

    def on_socket(self, event: dict) -> None:
        data = event["response"]["payloadData"]
        size = len(data.encode())
        self.sockets += size
        if text := _text(data):
            self.pieces.append((size, len(text)))

    def on_http(self, event: dict) -> None:
        self.http += event["dataLength"]

    def tenth(self, load: Load, last: bool) -> float | None:
        """Bytes per word in the first or the last tenth of the answer."""
        ends = load.ends
        characters = size = 0
        for cost, count in reversed(self.pieces) if last else self.pieces:
            if characters >= ends[-1] / 10:
                break
            characters, size = characters + count, size + cost
        words = load.tokens - bisect_right(ends, ends[-1] - characters) if last else bisect_right(ends, characters)
        return size / words if words else None


def _text(data: str) -> str | None:
    """The text in a frame that carries a piece of an answer."""
    start = data.find("[")
    if start < 0 or '"t":' not in data:
        return None
    packet = json.loads(data[start:])[1]
    for values in (packet.get("delta") or {}).values():
        for value in values.values():
            if isinstance(value, dict) and "k" not in value:
                return value.get("t")
    return None


async def _counted(page: Visit, load: Load, wire: Counter) -> list[str]:
    messages = Messages()
    page.cdp.on("Network.webSocketFrameReceived", messages.on_socket)
    page.cdp.on("Network.dataReceived", messages.on_http)
    await page.cdp.send("Network.enable")
    before = wire.sockets, wire.all
    await page.ask(load.message)
    await page.end(load.seconds + PATIENCE)
    sockets, everything = wire.sockets - before[0], wire.all - before[1]
    tenths = [messages.tenth(load, last) for last in (False, True)]
    return [
        number((messages.sockets or messages.http) / load.tokens, 0),
        number((sockets or everything) / load.tokens, 0),
        *(number(value, 0) if value else MISSING for value in tenths),
    ]
