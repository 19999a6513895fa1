"""Keys stay in the server: planted ones are looked for in everything that leaves it, and in everything it writes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Response, WebSocket, expect

from tests.e2e.chat_page import ChatPage
from tests.e2e.conftest import PLANTED, OpenPage
from tests.e2e.served import ROOT, Served
from tests.e2e.vendor import Reply, Vendor

WORD = b"CANARY"


class Heard:
    """Everything that came to the browser: bodies and websocket frames, by where they came from."""

    def __init__(self, chat: ChatPage) -> None:
        self.told: list[tuple[str, bytes]] = []
        self.frames = 0
        self._responses: list[Response] = []
        chat.page.on("response", lambda response: self._responses.append(response))
        chat.page.on("websocket", self._opened)

    def take(self) -> None:
        """Read the bodies that came since the last call; headers count too."""
        while self._responses:
            response = self._responses.pop()
            self.told.append((response.url, json.dumps(response.all_headers()).encode()))
            if response.status == 200:
                self.told.append((response.url, response.body()))

    def leaks(self) -> list[str]:
        return [
            f"{where}: …{body[max(0, body.find(WORD) - 60) :][:120]!r}" for where, body in self.told if WORD in body
        ]

    def _opened(self, socket: WebSocket) -> None:
        socket.on("framereceived", lambda payload: self._frame("frame", payload))

    def _frame(self, kind: str, payload: str | bytes) -> None:
        self.frames += 1
        self.told.append((kind, payload.encode() if isinstance(payload, str) else payload))


def leaking_files(*folders: Path) -> list[str]:
    """Files below with a planted key in them, compressed ones unpacked."""
    found = []
    for path in (path for folder in folders if folder.exists() for path in folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if WORD in content or (path.suffix == ".gz" and WORD in gzip.decompress(content)):
                found.append(str(path))
    return found


def tell_keys(request: dict[str, Any]) -> Reply:
    """A provider that tells the keys back in its errors."""
    told = f"Incorrect API key provided: {' or '.join(PLANTED.values())}."
    asked = request["messages"][-1]["content"]
    if "refuse" in asked:
        return Reply(status=401, body=json.dumps({"error": {"message": told, "type": "invalid_request_error"}}))
    if "break" in asked:
        return Reply(["Some words. "], error={"message": told, "type": "server_error"})
    return Reply(["Hello ", "there."])


def test_a_planted_key_is_nowhere(planted: Served, vendor: Vendor, open_page: OpenPage):
    """Answers, refusals that quote the key, errors in mid-stream, Retry, Stop, reload, an unknown address, every file
    of the page, the log, the database: no trace of a key outside the server's environment."""
    vendor.answer = tell_keys
    chat = open_page(None, server=planted)
    heard = Heard(chat)
    chat.open("/")
    chat.ask("say hello").wait_status("finished")
    for text in ("refuse this", "break this"):
        chat.ask(text)
        expect(chat.errors.last).to_be_visible()
        chat.retry_button.click()
        expect(chat.errors.last).to_be_visible()
        heard.take()
    chat.picker.select_option("anthropic:two")
    chat.ask("refuse this too")
    expect(chat.errors.last).to_be_visible()
    chat.picker.select_option("simulator:tour")
    chat.ask("n=500 rate=50 kind=numbered").wait_text("w000002")
    chat.stop_button.click()
    chat.wait_status("stopped")
    heard.take()
    chat.page.reload()
    chat.ready().wait_status("stopped")
    assert WORD.decode() not in chat.page.content()
    heard.take()
    chat.open("/c/doesnotexist")
    heard.take()
    assert heard.frames > 10
    assert len(heard.told) > 20
    assert heard.leaks() == []
    assert WORD.decode() not in planted.log
    assert planted.database.exists()
    assert leaking_files(planted.data_dir, ROOT / ".web" / "build", ROOT / ".states") == []


def test_sources_are_not_served(served: Served):
    """Neither sources, settings nor the database can be fetched from the page's address."""
    for path in (
        "/rxconfig.py",
        "/.env",
        "/data/streamchat.db",
        "/../data/streamchat.db",
        "/%2e%2e/%2e%2e/rxconfig.py",
        "/..%2f..%2frxconfig.py",
        "/.web/env.json",
        "/env.json",
        "/streamchat/settings.py",
        "/fingerprint",
        "//etc/passwd",
    ):
        status, _, body = served.get(path)
        assert status in (400, 403, 404, 405) or b"<!DOCTYPE html" in body[:200], path
        for word in (b"cors_allowed_origins", b"SQLite format 3", b"root:", b"SettingsConfigDict"):
            assert word not in body, path
