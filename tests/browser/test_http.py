"""The API as browsers, a page beside it, and a killed server meet it."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import httpx_sse
import pytest
from playwright.sync_api import BrowserContext, expect

from devservers.app import Served
from streamchat.chat.sse import ServerSentEvent, SSEDecoder
from tests.support.in_step import WORDS, InStep
from tests.support.simulated import Simulated
from tests.support.vendor import Vendor, says

NAMES = (
    "text-delta reasoning-delta tool-call-start tool-call-arguments tool-call-ready tool-progress tool-result source "
    "usage notice waiting finished stopped failed interrupted snapshot message"
).split()
SCENES = ("tour", "reasoning", "parallel-tools", "overloaded-after", "refusal", "cut", "split-emoji")
# What a page of the tests does with a native EventSource: it notes all events until [DONE] or its end.
LISTEN = """([url, names, close]) => new Promise((done) => {
  const events = [], opened = [];
  const source = new EventSource(url);
  source.onopen = () => opened.push(1);
  for (const name of names) source.addEventListener(name, (e) => {
    events.push([e.type, e.data, e.lastEventId]);
    if (e.data === "[DONE]" && close) { source.close(); done({events, opened: opened.length}); }
  });
  source.onerror = () => { if (source.readyState === 2) done({events, opened: opened.length}); };
})"""


@pytest.fixture
def page(context: BrowserContext, served: Served):
    """A page of the server's own origin, which is not the chat."""
    page = context.new_page()
    page.goto(f"{served.url}/healthz")
    return page


def start(server: Served, message: str, **more: Any) -> dict[str, str]:
    answer = httpx.post(f"{server.url}/api/runs", json={"message": message, **more}, trust_env=False)
    assert answer.status_code == 201, answer.text
    return answer.json()


def wait(server: Served, run_id: str) -> dict[str, Any]:
    """The run, once it has ended."""
    return httpx.get(f"{server.url}/api/runs/{run_id}/events?buffer=1", trust_env=False, timeout=60).json()


def decoded(data: bytes) -> list[tuple[str, str, str]]:
    return [(event.event, event.data, event.id) for event in SSEDecoder().feed(data)]


@pytest.mark.parametrize("scene", SCENES)
def test_chromium_httpx_sse_and_our_decoder_read_the_same(served: Served, page, scene: str):
    """Every event, its name, its data and its id; whole characters, however the provider split them."""
    run_id = start(served, "n=60 rate=1000 kind=markdown ttft=1 chunk=byte", model=f"simulator:{scene}")["run_id"]
    wait(served, run_id)
    url = f"{served.url}/api/runs/{run_id}/events"
    ours = decoded(httpx.get(url, trust_env=False).content)
    with httpx.Client(trust_env=False) as client, httpx_sse.connect_sse(client, "GET", url) as source:
        theirs = [(event.event, event.data, event.id) for event in source.iter_sse()]
    browsers = page.evaluate(LISTEN, [url, NAMES, True])["events"]
    assert [tuple(event) for event in browsers] == ours == theirs
    assert ours[-1][:2] == ("message", "[DONE]")
    assert not [data for _, data, _ in ours if "\ufffd" in data]


def test_a_native_reader_is_told_to_stop_after_the_end(served: Served, page):
    """An ``EventSource`` that nobody closes reconnects once after the end and then rests; it saw everything once."""
    run_id = start(served, "n=30 rate=100 kind=numbered ttft=1", model="openai:tour")["run_id"]
    told = page.evaluate(LISTEN, [f"/api/runs/{run_id}/events", NAMES, False])
    assert told["opened"] == 1
    assert [event[1] for event in told["events"]].count("[DONE]") == 1
    text = "".join(json.loads(data)["text"] for name, data, _ in told["events"] if name == "text-delta")
    assert text == wait(served, run_id)["message"]["text"]


def test_the_plain_form_works_from_a_native_reader(served: Served, simulated: Simulated, page, mark: str):
    """``new EventSource("/stream?query=…")`` gets text and end, reconnects after it, and asks the model once."""
    told = page.evaluate(LISTEN, [f"/stream?query={mark}+n=30+rate=100+kind=numbered&model=openai:tour", NAMES, False])
    texts = [data for name, data, _ in told["events"] if name == "message"]
    assert texts.pop() == "[DONE]"
    assert "".join(texts).split() == [f"w{n:06d}" for n in range(1, 31)]
    assert len(simulated.requests(mark)) == 1


def test_a_native_reader_goes_on_after_the_server_was_killed(serve: Callable[..., Served], simulated: Simulated, mark):
    """``kill -9`` in the middle: the reader that reconnects gets a snapshot with what was kept and the one ending,
    *interrupted*, and then 204. Nothing hangs."""
    server = serve(**simulated.settings)
    run_id = start(server, f"{mark} n=400 rate=50 kind=numbered")["run_id"]
    url, seen = f"{server.url}/api/runs/{run_id}/events", SSEDecoder()
    events: list[ServerSentEvent] = []
    with pytest.raises(httpx.HTTPError), httpx.stream("GET", url, trust_env=False, timeout=30) as answer:
        for data in answer.iter_raw():
            events += seen.feed(data)
            if len(events) > 100:
                server.kill()
    server.start()
    place = {"Last-Event-ID": seen.last_event_id}
    again = decoded(httpx.get(url, headers=place, trust_env=False, timeout=90).content)
    names = [name for name, _, _ in again]
    assert names[-2:] == ["interrupted", "message"]
    assert set(names[:-2]) == {"snapshot"}  # a second one where it came before the run was known to be dead
    message = json.loads(again[-3][1])["message"]
    assert message["status"] == "interrupted"
    whole = " ".join(f"w{n:06d}" for n in range(1, 401))
    assert message["text"]
    assert whole.startswith(message["text"].strip())
    place = {"Last-Event-ID": again[-1][2]}
    assert httpx.get(url, headers=place, trust_env=False).status_code == 204


class Following(threading.Thread):
    """Reads a run in the background; ``text`` grows, ``ending`` is the last event's name."""

    def __init__(self, server: Served, run_id: str) -> None:
        super().__init__(daemon=True)
        self.text, self.ending = "", ""
        self._url = f"{server.url}/api/runs/{run_id}/events"
        self.start()

    def run(self) -> None:
        decoder = SSEDecoder()
        with httpx.stream("GET", self._url, trust_env=False, timeout=60) as answer:
            for data in answer.iter_raw():
                for event in decoder.feed(data):
                    if event.event == "text-delta":
                        self.text += json.loads(event.data)["text"]
                    elif event.event != "message":
                        self.ending = event.event


def test_page_and_stream_show_the_same_at_the_same_time(planted: Served, vendor: Vendor, open_page: Callable):
    """A message sent over HTTP shows in the open page; the model says no word before page and stream both have the one
    before it; a stop over HTTP stops both."""
    vendor.answer = says("Hello.")
    first = start(planted, "hello", model="openai:one")
    wait(planted, first["run_id"])
    page = open_page(f"/c/{first['conversation_id']}", server=planted).page
    expect(page.get_by_test_id("answer").last).to_have_text("Hello.")
    in_step = InStep(vendor)
    again = {"conversation_id": first["conversation_id"], "model": "openai:one"}
    run_id = start(planted, "once more", **again)["run_id"]
    stream = Following(planted, run_id)
    message = page.locator(f'[data-testid="message"][data-message-id="{run_id}"]')
    answer = message.get_by_test_id("answer")
    for word in WORDS[:20]:
        expect(answer).to_contain_text(word)
        end = time.monotonic() + 60
        while word not in stream.text:
            assert time.monotonic() < end, f"the page has {word}, the stream has not"
            time.sleep(0.01)
        if word != WORDS[19]:
            in_step.seen(stream.text)
    assert httpx.delete(f"{planted.url}/api/runs/{run_id}", trust_env=False).json()["status"] == "stopped"
    expect(message).to_have_attribute("data-status", "stopped")
    stream.join(60)
    assert stream.ending == "stopped"
    assert wait(planted, run_id)["message"]["text"] == stream.text
    assert stream.text.split() == answer.inner_text().split() == WORDS[:20]


def test_stop_over_http_closes_the_provider(served: Served, simulated: Simulated, mark: str):
    """``DELETE`` answers when it has stopped; the provider sees its connection closed by us; twice is no error."""
    run_id = start(served, f"{mark} n=5000 rate=50 kind=numbered", model="openai:tour")["run_id"]
    following = Following(served, run_id)
    while "w000005" not in following.text:
        time.sleep(0.01)
    for _ in range(2):
        told = httpx.delete(f"{served.url}/api/runs/{run_id}", trust_env=False)
        assert (told.status_code, told.json()["status"]) == (200, "stopped")
    simulated.wait_closed(mark, "client")
    following.join(10)
    assert following.ending == "stopped"


def test_a_server_that_is_told_to_end_tells_its_readers(serve: Callable[..., Served], simulated: Simulated, mark: str):
    """SIGTERM: a stream in the middle gets its ending and ``[DONE]``, a new one finds the run *interrupted* after the
    restart, and the end waits for nobody and leaves no traceback."""
    server = serve(**simulated.settings)
    run_id = start(server, f"{mark} n=2000 rate=50 kind=numbered")["run_id"]
    got = bytearray()

    def read() -> None:
        url = f"{server.url}/api/runs/{run_id}/events"
        with httpx.stream("GET", url, trust_env=False, timeout=30) as answer:
            for data in answer.iter_raw():
                got.extend(data)

    reading = threading.Thread(target=read, daemon=True)
    reading.start()
    while b"w000005" not in got:
        time.sleep(0.01)
    took = server.stop()
    reading.join(10)
    events = decoded(bytes(got))
    assert [name for name, _, _ in events[-2:]] == ["interrupted", "message"]
    assert took < 30, "it waited for the rest of the answer, which takes 40 s"
    assert "Traceback" not in server.log
    server.start()
    assert wait(server, run_id)["status"] == "interrupted"


def test_reflex_says_nothing_else_about_who_may_call(served: Served):
    """On the real server too: a foreign name gets no page, a foreign origin no permission to read the API."""
    evil = {"Origin": "https://evil.example"}
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    for method, headers in (("GET", evil), ("OPTIONS", evil | asked)):
        _, told, _ = served.request(method, "/api/conversations", headers)
        assert not [name for name in told if name.startswith("access-control-allow")], (method, told)
    assert served.request("OPTIONS", "/api/runs", evil | asked)[0] == 403
    for path in ("/", "/api/conversations", "/ping", "/_event/?EIO=4&transport=websocket"):
        assert served.get(path, {"Host": "evil.example"})[0] == 421, path
    assert served.get("/")[0] == 200


def test_a_visit_asks_for_the_page_and_not_for_its_code(served: Served):
    """What a browser has of the page's documents it asks for again; it keeps the code that they name."""
    _, headers, document = served.get("/")
    assert headers["cache-control"] == "no-cache"
    assert served.get("/", {"If-None-Match": headers["etag"]})[0] == 304
    code = re.findall(rb'"(/assets/[^"]+\.(?:js|css))"', document)
    assert len(code) > 5
    for path in code:
        assert served.get(path.decode())[1]["cache-control"] == "public, max-age=604800", path


def test_the_date_of_responses_goes_on(served: Served):
    """The server's own loop, which waits for a signal, renews it."""
    dates = {served.get("/healthz")[1]["date"]}
    end = time.monotonic() + 30
    while len(dates) < 3 and time.monotonic() < end:
        time.sleep(0.2)
        dates.add(served.get("/healthz")[1]["date"])
    assert len(dates) == 3
