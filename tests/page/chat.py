"""One reader of the page, in a real browser: what a person does, and what they see.

Knows the test ids, nothing of how the page is made. Rule: it waits for what is to be seen, never for a time.
"""

from __future__ import annotations

import json
from typing import Any

from playwright.sync_api import Page, WebSocketRoute

SCROLLER = "document.querySelector('[role=region][aria-label=Conversation]')"
LIVE = "reflex___state____state.streamchat___ui___live____live"
PATIENCE_MS = 30_000


class Chat:
    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.composer = page.get_by_test_id("composer")
        page.set_default_timeout(PATIENCE_MS)

    def open(self, model: str = "simulator:tour") -> Chat:
        self.page.goto(f"{self.url}/?model={model}")
        self.page.wait_for_function(f"document.querySelector('[data-testid=model-picker]')?.value === '{model}'")
        return self

    def send(self, text: str) -> None:
        self.composer.fill(text)
        self.composer.press("Enter")

    def wait_for(self, number: int, status: str) -> None:
        """Until the message with this number (from 1) has this status."""
        self.page.wait_for_function(
            "([n, s]) => document.querySelectorAll('[data-testid=message]')[n - 1]?.dataset.status === s",
            arg=[number, status],
        )

    def messages(self) -> list[str]:
        """The messages as HTML, once nothing is filled in or coloured any more."""
        self.page.wait_for_selector("[aria-busy][data-settled=true]")
        script = "[...document.querySelectorAll('[data-testid=message]')].map(e => e.outerHTML)"
        now = self.page.evaluate(script)
        for _ in range(20):
            self.page.wait_for_timeout(1200)
            before, now = now, self.page.evaluate(script)
            if now == before:
                return now
        raise AssertionError("the messages do not come to rest")

    def answer_length(self) -> int:
        return self.page.evaluate(
            "[...document.querySelectorAll('[data-testid=answer]')].at(-1)?.textContent.length ?? 0"
        )

    def wait_for_more(self, than: int) -> None:
        self.page.wait_for_function(
            "n => ([...document.querySelectorAll('[data-testid=answer]')].at(-1)?.textContent.length ?? 0) > n",
            arg=than,
        )

    def top(self) -> float:
        return self.page.evaluate(f"{SCROLLER}.scrollTop")

    def left(self) -> float:
        """How many pixels there are below what is in view."""
        return self.page.evaluate(f"(s => s.scrollHeight - s.clientHeight - s.scrollTop)({SCROLLER})")


class Wire:
    """The page's socket: frames can be dropped or made up, and the connection cut."""

    def __init__(self, page: Page) -> None:
        self.mute = False
        self.deaf = False  # what the page says does not reach the server
        self.said: list[str] = []
        self._browser: WebSocketRoute | None = None
        page.route_web_socket(lambda url: "/_event" in url, self._connect)

    def _connect(self, browser: WebSocketRoute) -> None:
        self._browser = browser
        server = browser.connect_to_server()
        browser.on_message(lambda message: self._heard(server, message))
        server.on_message(lambda message: None if self.mute else browser.send(message))

    def _heard(self, server: WebSocketRoute, message: str | bytes) -> None:
        self.said.append(str(message))
        if not self.deaf:
            server.send(message)

    def calls(self, handler: str) -> list[dict[str, Any]]:
        """What the page asked of a handler of ``Live``, oldest first."""
        asked = [json.loads(text.split(",", 1)[1])[1] for text in self.said if text.startswith("42/_event,")]
        return [event.get("payload", {}) for event in asked if event["name"] == f"{LIVE}.{handler}"]

    def cut(self) -> None:
        assert self._browser is not None
        self._browser.close(code=1011)

    def tell(self, frame: dict[str, Any]) -> None:
        """What the server could have said."""
        assert self._browser is not None
        delta = {"delta": {LIVE: {"f_rx_state_": frame}}}
        self._browser.send("42/_event," + json.dumps(["event", delta]))
