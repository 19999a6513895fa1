"""``<stream-chat>`` in somebody's page on another origin, in a real browser."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from devservers.app import Served
from tests.support.relay import Relay
from tests.system.examples.conftest import Pages

expect.set_options(timeout=60_000)  # a guard: the simulator starts with the first question
QUESTION = "n=30 rate=300 kind=numbered"
ANSWER = " ".join(f"w{n:06}" for n in range(1, 31))


@pytest.fixture
def page(browser: Browser) -> Page:
    page = browser.new_context().new_page()
    page.problems = []  # pyrefly: ignore[missing-attribute]
    page.on("pageerror", lambda error: page.problems.append(str(error)))  # pyrefly: ignore[missing-attribute]
    return page


def shown(page: Page, pages: Pages, server: str, more: str = "") -> Page:
    page.goto(f"{pages.url}/examples/element.html?server={server}{more}")
    expect(page.get_by_role("textbox", name="Message")).to_be_visible()
    return page


def ask(page: Page, question: str) -> None:
    box = page.get_by_role("textbox", name="Message")
    box.fill(question)
    box.press("Enter")


def conversation_of(page: Page) -> str:
    page.wait_for_function("new URL(location.href).searchParams.get('conversation')")
    return parse_qs(urlsplit(page.url).query)["conversation"][0]


def test_a_whole_answer_also_after_a_reload(page: Page, pages: Pages, served: Served):
    """Question and answer come as they are, its ending is announced, and the same page shows them again."""
    shown(page, pages, served.url)
    ask(page, QUESTION)
    answer = page.get_by_role("article", name="Answer")
    expect(answer).to_have_text(ANSWER)
    expect(page.get_by_role("status")).to_have_text("Complete")
    expect(page.get_by_role("article", name="You")).to_have_text(QUESTION)
    expect(page.get_by_role("log")).to_have_attribute("aria-busy", "false")
    page.reload()
    expect(answer).to_have_text(ANSWER)
    ask(page, "n=3 rate=300 kind=numbered")  # in the same conversation
    expect(answer).to_have_count(2)
    expect(page.get_by_role("navigation").get_by_role("listitem")).not_to_have_count(0)
    stored = json.loads(served.get(f"/api/conversations/{conversation_of(page)}")[2])
    assert len(stored["messages"]) == 4
    assert page.problems == []  # pyrefly: ignore[missing-attribute]


def test_it_goes_on_behind_a_lost_connection(page: Page, pages: Pages, served: Served, relay: Relay):
    """All connections are cut in the middle of an answer: nothing is missing, and nothing comes twice."""
    shown(page, pages, relay.url)
    ask(page, "n=60 rate=20 kind=numbered")
    answer = page.get_by_role("article", name="Answer")
    expect(answer).to_contain_text("w000005")
    relay.cut()
    expect(page.get_by_role("status")).to_have_text("Complete", timeout=60_000)
    expect(answer).to_have_text(" ".join(f"w{n:06}" for n in range(1, 61)))


def test_stop_by_button_and_by_key(page: Page, pages: Pages, served: Served):
    """The answer stops on the server, and the next question can be asked."""
    shown(page, pages, served.url)
    for stop in (lambda: page.get_by_role("button", name="Stop").click(), lambda: page.keyboard.press("Escape")):
        ask(page, "n=2000 rate=20 kind=numbered")
        expect(page.get_by_role("status")).to_have_text("Generating")
        page.get_by_role("textbox", name="Message").focus()
        stop()
        expect(page.get_by_role("status")).to_have_text("Stopped")
    stored = json.loads(served.get(f"/api/conversations/{conversation_of(page)}")[2])
    assert [one["status"] for one in stored["messages"] if one["role"] == "assistant"] == ["stopped"] * 2
    ask(page, QUESTION)
    expect(page.get_by_role("article", name="Answer").last).to_have_text(ANSWER)


def test_what_another_device_asks_is_shown_too(page: Page, pages: Pages, served: Served):
    """It follows the conversation, not what it started."""
    shown(page, pages, served.url)
    ask(page, QUESTION)
    expect(page.get_by_role("status")).to_have_text("Complete")
    body = {"message": "n=4 rate=300 kind=numbered", "conversation_id": conversation_of(page)}
    assert httpx.post(f"{served.url}/api/runs", json=body, trust_env=False).status_code == 201
    expect(page.get_by_role("article", name="Answer").last).to_have_text("w000001 w000002 w000003 w000004")


def test_text_is_never_markup(page: Page, pages: Pages, served: Served):
    """Whatever is written stays text, also as the address of a link; the page's styles do not reach inside."""
    shown(page, pages, served.url)
    ask(page, "<img src=x onerror=\"document.title='owned'\"> n=1")
    expect(page.get_by_role("article", name="You")).to_contain_text("<img src=x")
    assert page.locator("stream-chat img").count() == 0
    nodes = """async (server) => {
      const { markdown } = await import(`${server}/stream-chat.js`);
      const host = document.createElement("div");
      host.append(...markdown("# T\\n\\n- a **b** `c`\\n- [x](javascript:alert(1)) [y](https://y.example/)\\n\\n```js\\n<b>\\n```"));
      return host.innerHTML;
    }"""
    assert page.evaluate(nodes, served.url) == (
        "<h3>T</h3><ul><li>a <strong>b</strong> <code>c</code></li>"
        '<li>[x](javascript:alert(1)) <a href="https://y.example/" rel="noopener noreferrer nofollow" '
        'target="_blank">y</a></li></ul><pre tabindex="0"><code>&lt;b&gt;\n</code></pre>'
    )


def test_properties_theme_it(page: Page, pages: Pages, served: Served):
    """The custom properties of the page are the colours inside."""
    shown(page, pages, served.url)
    colour = page.get_by_role("button", name="Send").evaluate("(node) => getComputedStyle(node).backgroundColor")
    assert colour == "rgb(179, 36, 95)"


def test_a_server_that_refuses_is_said(page: Page, pages: Pages, served: Served):
    """A question that is not taken stays in the box, and the reason is shown; nothing waits for ever."""
    shown(page, pages, served.url)
    page.locator("stream-chat").evaluate("(chat) => chat.setAttribute('model', 'no:such')")
    ask(page, "hello")
    expect(page.get_by_role("status")).to_contain_text("no:such")
    expect(page.get_by_role("textbox", name="Message")).to_have_value("hello")


def test_a_conversation_that_does_not_exist_is_said(page: Page, pages: Pages, served: Served):
    """An address from somewhere else: the reason, instead of an empty page."""
    shown(page, pages, served.url, "&conversation=nothing-here")
    expect(page.get_by_role("status")).to_contain_text("does not exist")
