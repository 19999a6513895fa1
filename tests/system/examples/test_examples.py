"""Every example runs as its README says, against a real server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from devservers.app import PRELOADED, ROOT, Served, environment
from tests.support.relay import Relay
from tests.system.examples.conftest import EXAMPLES, Pages

WATCH = """() => {
  const answer = document.querySelector("#answer");
  window.lengths = new Set();
  const note = () => window.lengths.add(answer.textContent.length);
  new MutationObserver(note).observe(answer, { childList: true, characterData: true, subtree: true });
}"""
QUESTION = "n=30 rate=300 kind=numbered"
ANSWER = " ".join(f"w{n:06}" for n in range(1, 31))
PAGES = {"eventsource.html": "Done", "fetch.html": "finished", "hook.html": "finished", "phone.html": "finished"}
HIDE = """(hidden) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
MODELS = {path.name for path in EXAMPLES.glob("model_*.py")}  # test_models.py
OTHERS = (
    "hook.jsx",
    "curl.sh",
    "with_tool_calls.py",
    "timing.py",
    "element.html",  # test_element.py
    "reflex_app",  # tests/system/package/test_reflex_app.py
    *MODELS,
)
LAST_LINE = {
    "with_client.py": r"finished stop UsageReported\(input=\d+, output=\d+.*\)",
    "with_httpx.py": "finished",
    "with_openai.py": r"\d+ tokens",
    "with_openai_async.py": r"stop 30 words \d+ tokens",
    "with_anthropic.py": r"end_turn \d+ tokens",
    "with_anthropic_async.py": r"end_turn \d+ tokens",
    "with_grpc.py": r"finished \d+ tokens",
}


def run(command: list[str], served: Served, **settings: str) -> str:
    """What an example says. Those in Python are forked from a process that has imported what several of them need;
    ``test_streaming_page.py`` starts them as programs."""
    env = environment({"STREAMCHAT_URL": served.url, "PYTHONPATH": ".", **settings})
    if command[0] == sys.executable:
        done = PRELOADED.completed(command[1].removesuffix(".py").replace("/", "."), command[2:], env, 60)
    else:
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("name", LAST_LINE)
def test_python(name: str, served: Served, grpc_port: int):
    """The whole answer, then how it ended."""
    said = run([sys.executable, f"examples/{name}", QUESTION], served, STREAMCHAT_GRPC_PORT=str(grpc_port))
    answer, last = said.splitlines()
    assert answer == ANSWER
    assert re.fullmatch(LAST_LINE[name], last), last


def test_every_fragment_of_the_arguments_counts(served: Served):
    """Parallel calls get whole arguments, their results are sent back, and the second answer quotes them."""
    lines = run([sys.executable, "examples/with_tool_calls.py", "What is it?"], served).splitlines()
    assert [line for line in lines if line.startswith("calculate(")] == [
        "calculate({'expression': '(17 + 4) * 2'})",
        "calculate({'expression': '2 ** 10'})",
    ]
    assert "current_time({'timezone': 'Asia/Tokyo'})" in lines
    assert "- `noon in Asia/Tokyo`" in lines
    assert lines[-1] == "stop 5 messages"


def test_times_are_in_order(served: Served):
    """The first token is not before it is due, and comes before the last; what follows is their quotient."""
    first, quotient = run([sys.executable, "examples/timing.py", "ttft=200 rate=100 n=40"], served).splitlines()
    ttft, ttlt, ttc = (float(value) for value in re.findall(r"(\d+\.\d+) s", first))
    assert 0.2 <= ttft <= ttlt <= ttc
    assert ttlt >= 0.2 + 39 / 100
    assert float(re.findall(r"\d+\.\d", quotient)[0]) == pytest.approx(ttc / ttft, rel=0.1)


def test_curl(served: Served):
    """The events as they are sent, the end mark, and the message."""
    said = run(["sh", "examples/curl.sh", QUESTION], served)
    pieces = re.findall(r'^data: \{"type":"text-delta","text":"([^"]*)"\}$', said, re.MULTILINE)
    assert "".join(pieces) == ANSWER
    assert "event: finished" in said
    assert "data: [DONE]" in said
    assert f'"text":"{ANSWER}"' in said.splitlines()[-1]


@pytest.fixture
def page(browser: Browser) -> Page:
    context = browser.new_context()
    page = context.new_page()
    page.problems = []  # pyrefly: ignore[missing-attribute]
    page.on("pageerror", lambda error: page.problems.append(str(error)))  # pyrefly: ignore[missing-attribute]
    return page


def address(name: str, pages: Pages, served: Served) -> str:
    folder = "bundled" if name == "hook.html" else "examples"
    return f"{pages.url}/{folder}/{name}?server={served.url}"


def conversations(served: Served) -> list[dict]:
    return json.loads(served.get("/api/conversations")[2])["conversations"]


def ask(page: Page, question: str) -> None:
    page.locator("input").fill(question)
    page.get_by_role("button", name="Ask").click()


@pytest.mark.parametrize("name", PAGES)
def test_pages(name: str, page: Page, pages: Pages, served: Served):
    """From another origin that is on the list: text while it comes, then all of it, and how it ended. Twice."""
    page.goto(address(name, pages, served))
    page.evaluate(WATCH)
    for words, rate in ((100, 50), (30, 1000)):
        ask(page, f"n={words} rate={rate} kind=numbered")
        expect(page.locator("#answer")).to_contain_text(f"w{words:06}", timeout=60_000)
        expect(page.locator("#status")).to_have_text(PAGES[name], timeout=30_000)
        assert page.locator("#answer").inner_text() == " ".join(f"w{n:06}" for n in range(1, words + 1))
        if rate == 50:
            assert page.evaluate("window.lengths.size") > 10
    assert page.problems == []  # pyrefly: ignore[missing-attribute]
    page.context.close()


@pytest.mark.parametrize("name", ["fetch.html", "hook.html"])
def test_pages_stop(name: str, page: Page, pages: Pages, served: Served):
    """Stop stops the run, not only the reading."""
    page.goto(address(name, pages, served))
    ask(page, "n=500 rate=20 kind=numbered")
    expect(page.locator("#answer")).to_contain_text("w000003", timeout=30_000)
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#status")).to_have_text("stopped", timeout=30_000)
    kept = page.locator("#answer").inner_text()
    time.sleep(0.3)
    assert page.locator("#answer").inner_text() == kept
    page.context.close()


@pytest.mark.parametrize("name", ["eventsource.html", "hook.html"])
def test_a_cut_connection_is_taken_up_again(name: str, page: Page, pages: Pages, served: Served, relay: Relay):
    """The browser's own EventSource and the hook go on behind the last piece: one run, every word once."""
    known = len(conversations(served))
    page.goto(address(name, pages, served).replace(served.url, relay.url))
    ask(page, "n=100 rate=25 kind=numbered")
    for word in ("w000005", "w000030"):
        expect(page.locator("#answer")).to_contain_text(word, timeout=30_000)
        assert relay.cut() > 0
    expect(page.locator("#status")).to_have_text(PAGES[name], timeout=60_000)
    assert page.locator("#answer").inner_text() == " ".join(f"w{n:06}" for n in range(1, 101))
    assert len(conversations(served)) == known + 1
    page.context.close()


def test_a_page_in_the_background_lets_go(page: Page, pages: Pages, served: Served):
    """Hidden, it reads nothing while the answer goes on to its end; shown again, it has every word once."""
    page.goto(address("phone.html", pages, served))
    ask(page, "n=100 rate=25 kind=numbered")
    expect(page.locator("#answer")).to_contain_text("w000005", timeout=30_000)
    page.evaluate(HIDE, True)
    kept = page.locator("#answer").inner_text()
    newest = conversations(served)[0]["id"]
    answer = json.loads(served.get(f"/api/conversations/{newest}")[2])["messages"][-1]["id"]
    with httpx.Client(base_url=served.url, trust_env=False, timeout=60) as http:
        assert http.get(f"/api/runs/{answer}/events?buffer=1").json()["status"] == "finished"
    assert page.locator("#answer").inner_text() == kept
    page.evaluate(HIDE, False)
    expect(page.locator("#status")).to_have_text("finished", timeout=30_000)
    assert page.locator("#answer").inner_text() == " ".join(f"w{n:06}" for n in range(1, 101))
    page.context.close()


def test_the_app_serves_the_browser_client(served: Served):
    """A page of the app's own origin needs no copy of it."""
    status, headers, body = served.get("/streamchat-client.js")
    assert status == 200
    assert "javascript" in headers["content-type"]
    assert body == (ROOT / "assets" / "streamchat-client.js").read_bytes()


def test_every_example_is_listed_and_run():
    """A file that is in the folder is in its README, and in this test."""
    readme = (EXAMPLES / "README.md").read_text()
    files = {path.name for path in EXAMPLES.iterdir()} - {"README.md", "__pycache__"}
    assert files == {*LAST_LINE, *PAGES, *OTHERS}
    assert all(f"({name})" in readme or f"({name}/)" in readme for name in files)
