"""The socket of a page in a browser, with the test in between: frames are dropped or made up, connections cut."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, WebSocketRoute

from devservers.page_socket import EVENT, LIVE, NAMESPACE, packet, parsed

PING = "2"


class Wire:
    """To be made before the page is opened. ``mute``: what the server sends does not reach the page."""

    def __init__(self, page: Page) -> None:
        self.reset()
        page.route_web_socket(lambda url: NAMESPACE in url, self._connect)

    def reset(self) -> None:
        """Let everything pass, for another page in the same tab."""
        self.mute = False
        self.quiet = False  # as mute, but the connection stays: its pings reach the page
        self.deaf = False  # what the page says does not reach the server
        self.said: list[str] = []
        self._browser: WebSocketRoute | None = None

    def _connect(self, browser: WebSocketRoute) -> None:
        self._browser = browser
        server = browser.connect_to_server()
        browser.on_message(lambda message: self._heard(server, message))
        server.on_message(lambda message: None if self._is_kept_back(message) else browser.send(message))

    def _is_kept_back(self, message: str | bytes) -> bool:
        return self.mute or (self.quiet and message != PING)

    def _heard(self, server: WebSocketRoute, message: str | bytes) -> None:
        self.said.append(str(message))
        if not self.deaf:
            server.send(message)

    def calls(self, handler: str) -> list[dict[str, Any]]:
        """What the page asked of a handler of ``Live``, oldest first."""
        events = [parsed(text)[1] for text in self.said if text.startswith(EVENT)]
        return [event.get("payload", {}) for event in events if event["name"] == f"{LIVE}.{handler}"]

    def cut(self) -> None:
        assert self._browser is not None
        self._browser.close(code=1011)

    def farewell(self) -> None:
        """Close the socket as a server does that means it."""
        assert self._browser is not None
        self._browser.send(f"41{NAMESPACE},")

    def tell(self, frame: dict[str, Any]) -> None:
        """What the server could have said."""
        assert self._browser is not None
        self._browser.send(packet({"delta": {LIVE: {"f_rx_state_": frame}}}))
