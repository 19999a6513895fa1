"""Through real proxies: streams, sockets and the page arrive token by token, and ``/status`` says what does not."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, expect
from websockets.sync.client import connect

from devservers.app import Served
from devservers.ports import free_port
from streamchat.chat.sse import SSEDecoder
from tests.browser.proxies import Proxy
from tests.support.in_step import WORDS, InStep
from tests.support.vendor import Vendor

Behind = Callable[[str], Proxy]


@pytest.fixture(scope="module")
def behind(built: None, vendor: Vendor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Behind]:
    """``behind(kind)``: a proxy of this kind before a server whose public address it is."""
    started: list[Proxy | Served] = []
    proxies: dict[str, Proxy] = {}

    def start(kind: str) -> Proxy:
        if kind not in proxies:
            port = free_port()
            settings = {
                "OPENAI_BASE_URL": vendor.url,
                "STREAMCHAT_MODELS": "openai:tour,simulator:tour",
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


def ask(proxy: Proxy, message: str = "a question", model: str = "openai:tour") -> str:
    question = {"message": message, "model": model}
    answer = httpx.post(f"{proxy.url}/api/runs", json=question, trust_env=False, timeout=60)
    assert answer.status_code == 201, answer.text
    return answer.json()["run_id"]


@pytest.fixture
def in_step(vendor: Vendor) -> InStep:
    return InStep(vendor)


@pytest.mark.parametrize("kind", ["nginx", "caddy", "plain"])
def test_a_stream_arrives_as_it_was_sent(behind: Behind, in_step: InStep, kind: str):
    """Through nginx and Caddy as shipped, and through an nginx with its defaults, which buffer: word by word."""
    proxy = behind(kind)
    run_id = ask(proxy)
    text, decoder = "", SSEDecoder()
    with httpx.stream("GET", f"{proxy.url}/api/runs/{run_id}/events", trust_env=False, timeout=60) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in answer.headers
        for data in answer.iter_raw():
            for event in decoder.feed(data):
                if event.event == "text-delta":
                    text += json.loads(event.data)["text"]
            in_step.seen(text)
    assert text.split() == WORDS


def test_a_silent_model_does_not_cost_the_connection(behind: Behind):
    """Behind a proxy that ends what is silent, a model that is silent for longer: one connection sees the whole."""
    proxy = behind("impatient")
    run_id = ask(proxy, "n=5 rate=100 kind=numbered ttft=30000", "simulator:tour")
    got = httpx.get(f"{proxy.url}/api/runs/{run_id}/events", trust_env=False, timeout=60)
    assert got.content.count(b"\n: ") >= 2
    assert b"w000005" in got.content
    assert got.content.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("kind", ["nginx", "caddy"])
def test_a_socket_arrives_as_it_was_sent(behind: Behind, in_step: InStep, kind: str):
    """The same over the WebSocket of a run."""
    proxy = behind(kind)
    run_id = ask(proxy)
    text = ""
    with connect(f"{proxy.url.replace('http', 'ws')}/api/runs/{run_id}/ws", open_timeout=60) as socket:
        for message in socket:
            frame = json.loads(message)
            text += frame["text"] if frame["type"] == "text-delta" else ""
            in_step.seen(text)
    assert text.split() == WORDS


@pytest.mark.parametrize("kind", ["nginx", "caddy"])
def test_the_page_arrives_as_it_was_sent(behind: Behind, in_step: InStep, open_page: Callable, kind: str):
    """The page behind the proxy shows an answer word by word."""
    page = open_page("/", url=behind(kind).url).page
    page.get_by_test_id("composer").fill("a question")
    page.get_by_test_id("send").click()
    answer = page.get_by_test_id("answer").last
    for word in WORDS:
        expect(answer).to_contain_text(word, timeout=60_000)
        in_step.seen(answer.inner_text())


@pytest.mark.parametrize("kind", ["nginx", "caddy"])
def test_the_status_page_finds_nothing_wrong(behind: Behind, context: BrowserContext, kind: str):
    """Behind the proxies as shipped everything works, and the page says so; nothing breaks its policy."""
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda said: troubles.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(f"{behind(kind).url}/status?idle=4")
    expect(page.locator("#verdict")).to_have_text("Everything works.", timeout=30_000)
    for name in ("socket", "stream", "idle"):
        expect(page.locator(f"#{name}")).to_have_attribute("data-state", "good")
    assert troubles == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_status_page_says_what_stands_in_the_way(behind: Behind, context: BrowserContext):
    """Behind a proxy that buffers, drops sockets and gives up early, each is named in words."""
    page = context.new_page()
    page.goto(f"{behind('holding').url}/status?idle=8")
    expect(page.locator("#verdict")).to_have_text("The connection has a problem.", timeout=60_000)
    expect(page.locator("#socket")).to_contain_text("WebSockets are blocked")
    expect(page.locator("#stream")).to_contain_text("Streams are buffered")
    expect(page.locator("#idle")).to_contain_text(re.compile(r"after \d+ seconds of silence"))
