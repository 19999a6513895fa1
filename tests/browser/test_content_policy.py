"""The page keeps its Content-Security-Policy: everything works, nothing is reported, and nothing foreign runs."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import OpenPage
from tests.support.chat_page import ChatPage
from tests.support.wire import Wire

REPORT = """window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`);
});"""
MARKDOWN = """# A heading

Some **bold** text, `code`, a [link](https://example.org/) and a list:

1. one
2. two

| a | b |
| - | - |
| 1 | 2 |

```python
def greet(name: str) -> str:
    return f"Hello {name}"
```

- [x] done
"""
SERIES = [{"name": "a", "points": [[x, x * x] for x in range(20)]}]
PLOT = {"$view": "plot", "kind": "line", "title": "Waves", "x_label": "t", "y_label": "h", "series": SERIES}
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def reported(context: BrowserContext) -> None:
    context.add_init_script(REPORT)


def violations(page: Page) -> list[str]:
    return page.evaluate("window.violations")


def test_a_conversation_breaks_no_rule(reported: None, open_page: OpenPage) -> None:
    """From the first paint over a streamed answer with Markdown and coloured code to the other theme and a reload."""
    chat = open_page("/?model=simulator:tour")
    assert "script-src 'self' 'sha256-" in policy_of(chat.page)
    chat.ask("Show me what you can do rate=400").wait_status("finished", timeout=60_000)
    expect(chat.page.locator("[class*=hljs]").first).to_be_visible()
    chat.page.get_by_test_id("tools").click()
    chat.page.get_by_role("button", name="theme").click()
    assert violations(chat.page) == []
    chat.page.reload()
    chat.ready().wait_status("finished")
    assert violations(chat.page) == []


def test_plots_pictures_and_markdown_break_no_rule(reported: None, tab: ChatPage, wire: Wire) -> None:
    """While they are written, piece by piece, and when they are there."""
    tab.choose()
    wire.mute = True
    frame = {"k": "open", "g": 10**9, "conversation": None, "earlier": False, "missing": False, "title": ""}
    image: dict[str, Any] = {"$view": "image", "media_type": "image/png", "data": DOT, "name": "A dot"}
    call = {"type": "tool_call", "id": "c", "name": "plot", "state": "done", "arguments": {}}
    parts = [call | {"result": PLOT}, call | {"id": "d", "result": image}]
    answer = {"id": "a", "role": "assistant", "status": "streaming", "model": "m", "stop_reason": None, "text": ""}
    wire.tell(frame | {"messages": [answer | {"seq": 1, "parts": parts}]})
    for at in range(0, len(MARKDOWN), 7):
        piece = MARKDOWN[at : at + 7]
        wire.tell({"m": "a", "s": 2 + at, "p": len(parts), "o": at, "t": piece})
    wire.tell({"k": "end", "m": "a", "s": 9999, "status": "finished", "stop_reason": "stop"})
    expect(tab.page.locator(".recharts-line path").first).to_be_visible()
    expect(tab.page.locator("[class*=hljs]").first).to_be_visible()
    expect(tab.page.get_by_role("cell", name="2")).to_be_visible()
    assert violations(tab.page) == []


@pytest.mark.parametrize("path", ["/status?idle=1", "/no/such/page", "/c/missing"])
def test_the_other_pages_break_no_rule(reported: None, open_page: OpenPage, path: str) -> None:
    """The connection test, an unknown address, and a conversation that does not exist."""
    chat = open_page(None)
    chat.oddities.allow("404")
    chat.page.goto(chat.url + path)
    if path.startswith("/status"):
        expect(chat.page.locator("#verdict")).to_have_text("Everything works.")
    else:
        expect(chat.page.get_by_text("does not exist")).to_be_visible()
    assert violations(chat.page) == []
    policy_of(chat.page)


def test_what_is_not_of_the_page_does_not_run(reported: None, open_page: OpenPage) -> None:
    """An inline script, an event handler, evaluated text, a foreign script, a form: refused by the browser."""
    chat = open_page("/")
    chat.oddities.allow("Content Security Policy", "evil.example")
    chat.page.evaluate(
        """async () => {
            const script = document.createElement("script");
            script.textContent = "window.hit = 'inline'";
            document.body.append(script);
            const foreign = document.createElement("script");
            foreign.src = "https://evil.example/x.js";
            document.body.append(foreign);
            document.body.insertAdjacentHTML("beforeend", "<img src=x onerror=\\"window.hit = 'handler'\\">");
            const image = document.body.lastElementChild;
            const failed = new Promise((done) => image.addEventListener("error", () => setTimeout(done)));
            document.body.insertAdjacentHTML("beforeend", "<form action='https://evil.example/'></form>");
            document.body.lastElementChild.submit();
            try { setTimeout("window.hit = 'evaluated'", 0); } catch {}
            await failed;
        }"""
    )
    assert chat.page.evaluate("window.hit") is None
    broken = {violation.split()[0] for violation in violations(chat.page)}
    assert {"script-src-elem", "script-src-attr", "script-src", "form-action"} <= broken


def test_no_page_can_frame_ours(open_page: OpenPage) -> None:
    """Not even one of our own server: the browser shows an error page in the frame."""
    chat = open_page(None)
    chat.oddities.allow("frame", "Content Security Policy", "X-Frame-Options")
    chat.page.route(
        "**/framing", lambda route: route.fulfill(body="<iframe src='/'></iframe>", content_type="text/html")
    )
    chat.page.goto(f"{chat.url}/framing")
    frame = chat.page.frames[-1]
    assert frame != chat.page.main_frame
    assert frame.get_by_test_id("composer").count() == 0
    assert frame.url.startswith("chrome-error:") or frame.url == "about:blank"


def test_a_citation_cannot_start_an_answer(tab: ChatPage, wire: Wire) -> None:
    """A source with an address of this server is text, not a link; one elsewhere is a link."""
    tab.choose()
    wire.mute = True
    own = f"{tab.url}/stream?query=spend+money"
    parts = [
        {"type": "source", "url": own, "title": "Mine"},
        {"type": "source", "url": "https://example.org/", "title": "Yours"},
    ]
    answer = {"id": "a", "role": "assistant", "status": "finished", "model": "m", "stop_reason": "stop", "text": ""}
    frame = {"k": "open", "g": 10**9, "conversation": None, "earlier": False, "missing": False, "title": ""}
    wire.tell(frame | {"messages": [answer | {"seq": 1, "parts": parts}]})
    expect(tab.page.get_by_text("Mine")).to_be_visible()
    expect(tab.page.get_by_role("link", name="Yours")).to_have_attribute("href", "https://example.org/")
    assert tab.page.locator(".sources a").count() == 1


def policy_of(page: Page) -> str:
    """The policy of the document that is shown; fails if one of its security headers is missing."""
    headers = page.evaluate("() => fetch(location.href).then((answer) => [...answer.headers])")
    named = dict(headers)
    assert named["x-content-type-options"] == "nosniff"
    assert named["referrer-policy"] == "same-origin"
    assert "frame-ancestors 'none'" in named["content-security-policy"]
    return named["content-security-policy"]
