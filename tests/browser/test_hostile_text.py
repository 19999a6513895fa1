"""Whatever a model, a tool, a title or an error says is shown, and never does anything."""

from __future__ import annotations

from typing import Any

from tests.support.chat_page import ChatPage
from tests.support.wire import Wire

TAG = '"><img src=x onerror="window.hit=1"><script>window.hit=1</script>'
TEXT = f"""# {TAG}

<iframe srcdoc="<script>top.hit=1</script>"></iframe> <style>*{{display:none}}</style> {TAG}

<div>

![a](https://evil.example/?q=1) ![b][1] [![c](https://evil.example/i.png)](https://evil.example/x)

[js](javascript:window.hit=1) [data](data:text/html,<script>window.hit=1</script>) [own](/stream?query=x) [ok](https://example.org/a)

| {TAG} |
|---|
| {TAG} |

```html
{TAG}
```

- {TAG}

[1]: https://evil.example/ref.png
"""


def message(name: str, parts: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    plain = {"role": "assistant", "status": "finished", "model": TAG, "stop_reason": "stop", "seq": 1}
    text = "".join(part["text"] for part in parts if part["type"] == "text")
    return {"id": name, "parts": parts, "text": text} | plain | more


def hostile() -> list[dict[str, Any]]:
    text = {"type": "text", "text": TEXT}
    call = {"type": "tool_call", "id": TAG, "name": TAG, "state": "error", "error": TAG}
    parts = [
        {"type": "reasoning", "text": TEXT},
        call | {"arguments": {TAG: TAG}, "result": {"a": TAG}},
        {"type": "source", "url": "javascript:window.hit=1", "title": TAG},
        {"type": "notice", "kind": "x", "text": TAG},
        text,
    ]
    failed = {"status": "failed", "error": {"message": TAG, "kind": TAG}, "why": TAG, "offers": ["retry"]}
    return [
        message("u", [text], role="user"),
        message("a", [text]),
        message("b", parts),
        message("c", [text], **failed),
    ]


def test_hostile_text_everywhere(tab: ChatPage, wire: Wire) -> None:
    """No element but our own, no request to another host, no script: in answers, questions, reasoning, tools, sources,
    notices, titles, model names and errors."""
    requests: list[str] = []
    page = tab.choose().page
    page.on("request", lambda request: requests.append(request.url))
    wire.mute = True
    tab.oddities.allow(r"404 .*/api/messages/")  # their details ask the server, which has never heard of them
    opened = {"k": "open", "g": 10**9, "conversation": None, "earlier": False, "missing": False}
    wire.tell(opened | {"title": TAG, "messages": hostile()})
    page.locator("[data-message-id=c] .block").first.wait_for()
    closed = page.locator("details:not([open]) > summary")
    while closed.count():
        closed.first.click()
    page.locator(".reasoning .block").first.wait_for()
    page.wait_for_timeout(500)
    inside = page.locator("[aria-busy]")
    assert inside.locator("script, iframe, style, img, object, embed, form, link, meta, base").count() == 0
    assert page.evaluate("window.hit") is None
    assert [url for url in requests if not url.startswith(tab.url)] == []
    assert inside.inner_text().count("<script>window.hit=1</script>") > 10
    ours = ":not([download]):not([href='/latency'])"  # an answer's events and its recording, and the page of all times
    for link in page.locator(f"[aria-busy] a{ours}").all():
        assert (link.get_attribute("href") or "").startswith(("https://evil.example/", "https://example.org/"))
        assert link.get_attribute("rel") == "noopener noreferrer nofollow"
        assert link.get_attribute("target") == "_blank"


def test_what_is_not_there_and_what_cannot_be_read_says_so(tab: ChatPage) -> None:
    """A conversation that does not exist gets one sentence and a way out."""
    tab.page.goto(f"{tab.url}/c/nope")
    tab.page.get_by_text("does not exist").wait_for()
    tab.page.get_by_role("link", name="New chat").last.click()
    tab.page.wait_for_url(f"{tab.url}/")
