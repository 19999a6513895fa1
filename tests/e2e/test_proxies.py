"""Through real proxies: streams, sockets and the page arrive token by token, and ``/status`` says what does not."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import httpx
import pytest
import websockets
from playwright.sync_api import BrowserContext, expect

from streamchat.chat.sse import SSEDecoder
from tests.e2e.loop import LoopThread
from tests.e2e.proxies import Proxy
from tests.e2e.served import Served, free_port
from tests.e2e.simulated import Simulated

WORDS, RATE = 60, 30
SPREAD = 0.1
Behind = Callable[[str], Proxy]


@pytest.fixture(scope="module")
def behind(built: None, simulated: Simulated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """``behind(kind)``: a proxy of this kind before a server whose public address it is."""
    started: list[Proxy | Served] = []
    proxies: dict[str, Proxy] = {}

    def start(kind: str) -> Proxy:
        if kind not in proxies:
            port = free_port()
            settings = simulated.settings | {
                "STREAMCHAT_MODELS": "openai:tour",
                "STREAMCHAT_PUBLIC_URL": f"http://127.0.0.1:{port}",
            }
            server = Served(tmp_path_factory.mktemp(kind) / "data", settings).start()
            started.append(server)
            proxies[kind] = Proxy(kind, server.port, port)
            started.append(proxies[kind])
        return proxies[kind]

    yield start
    for one in reversed(started):
        one.close() if isinstance(one, Proxy) else one.stop()


def ask(proxy: Proxy, mark: str) -> str:
    message = f"{mark} n={WORDS} rate={RATE} kind=numbered ttft=300"
    answer = httpx.post(f"{proxy.url}/api/runs", json={"message": message}, trust_env=False)
    assert answer.status_code == 201, answer.text
    return answer.json()["run_id"]


def in_time(arrivals: list[tuple[float, int]], emits: list[float]) -> None:
    """Every word was there within ``SPREAD`` seconds of its sending, give or take a machine that is busy."""
    late = []
    for number, emitted in enumerate(emits):
        at = next(at for at, count in arrivals if count > number)
        late.append(at - emitted)
    late.sort()
    assert late[int(len(late) * 0.9)] < SPREAD, late[-10:]
    assert max(b - a for (a, _), (b, _) in pairwise(arrivals)) < 1.5


@pytest.mark.parametrize("kind", ["nginx", "caddy", "plain"])
def test_a_stream_arrives_as_it_was_sent(behind: Behind, simulated: Simulated, mark: str, kind: str):
    """Through nginx and Caddy as shipped, and through an nginx with its defaults, which buffer: word by word."""
    proxy = behind(kind)
    run_id = ask(proxy, mark)
    arrivals, count, decoder = [], 0, SSEDecoder()
    with httpx.stream("GET", f"{proxy.url}/api/runs/{run_id}/events", trust_env=False, timeout=30) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in answer.headers
        for data in answer.iter_raw():
            count += sum(event.raw.count(b"w0") for event in decoder.feed(data) if event.event == "text-delta")
            arrivals.append((time.time(), count))
    assert count == WORDS
    in_time(arrivals, simulated.requests(mark)[0]["emits"])


def test_a_silent_model_does_not_cost_the_connection(behind: Behind, mark: str):
    """Behind a proxy that ends what is silent, a model that is silent for longer: one connection sees the whole."""
    proxy = behind("impatient")
    message = f"{mark} n=5 rate=100 kind=numbered ttft=30000"
    run_id = httpx.post(f"{proxy.url}/api/runs", json={"message": message}, trust_env=False).json()["run_id"]
    got = httpx.get(f"{proxy.url}/api/runs/{run_id}/events", trust_env=False, timeout=60)
    assert got.content.count(b"\n: ") >= 2
    assert b"w000005" in got.content
    assert got.content.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("kind", ["nginx", "caddy"])
def test_a_socket_arrives_as_it_was_sent(behind: Behind, simulated: Simulated, loop: LoopThread, mark: str, kind: str):
    """The same over the WebSocket of a run."""
    proxy = behind(kind)
    run_id = ask(proxy, mark)

    async def follow() -> list[tuple[float, int]]:
        arrivals, count = [], 0
        async with websockets.connect(f"{proxy.url.replace('http', 'ws')}/api/runs/{run_id}/ws") as socket:
            async for text in socket:
                frame = json.loads(text)
                count += frame["text"].count("w0") if frame["type"] == "text-delta" else 0
                arrivals.append((time.time(), count))
        return arrivals

    arrivals = loop.run(asyncio.wait_for(follow(), 30), 40)
    in_time(arrivals, simulated.requests(mark)[0]["emits"])


@pytest.mark.parametrize("kind", ["nginx", "caddy"])
def test_the_page_arrives_as_it_was_sent(behind: Behind, open_page: Callable, mark: str, kind: str):
    """The page behind the proxy shows an answer while it grows, and then all of it."""
    proxy = behind(kind)
    page = open_page("/", url=proxy.url).page
    page.get_by_test_id("composer").fill(f"{mark} n=100 rate=20 kind=numbered")
    page.get_by_test_id("send").click()
    answer = page.get_by_test_id("answer").last
    expect(answer).to_contain_text("w000010", timeout=20_000)
    expect(answer).not_to_contain_text("w000100", timeout=100)
    expect(answer).to_contain_text("w000100", timeout=20_000)


@pytest.mark.parametrize("kind", ["nginx", "caddy"])
def test_the_status_page_finds_nothing_wrong(behind: Behind, context: BrowserContext, kind: str):
    """Behind the proxies as shipped everything gets through, and the page says so; nothing breaks its policy."""
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(f"{behind(kind).url}/status?idle=4")
    expect(page.locator("#verdict")).to_have_text("Everything gets through.", timeout=30_000)
    for name in ("socket", "stream", "idle"):
        expect(page.locator(f"#{name}")).to_have_attribute("data-state", "good")
    assert troubles == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_status_page_says_what_stands_in_the_way(behind: Behind, context: BrowserContext):
    """Behind a proxy that buffers, drops sockets and gives up early, each is named in words."""
    page = context.new_page()
    page.goto(f"{behind('holding').url}/status?idle=8")
    expect(page.locator("#verdict")).to_have_text("Something in between stands in the way.", timeout=60_000)
    expect(page.locator("#socket")).to_contain_text("WebSockets do not get through")
    expect(page.locator("#stream")).to_contain_text("Streams are held back")
    expect(page.locator("#idle")).to_contain_text("ends a connection after 3 seconds of silence")
