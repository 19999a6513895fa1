"""Keys stay in the server: planted ones are looked for in everything that leaves it, and in everything it writes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from playwright.sync_api import Error, Route, WebSocket, expect

from devservers.app import ROOT, Served
from tests.browser.conftest import PLANTED, OpenPage
from tests.support.chat_page import ChatPage
from tests.support.vendor import Reply, Vendor

WORD = b"CANARY"


class Heard:
    """Everything that came to the browser: headers, bodies and websocket frames, by where they came from.

    Responses are read on their way to the page: a browser forgets the body of one as soon as the page goes elsewhere.
    """

    def __init__(self, chat: ChatPage) -> None:
        self.told: list[tuple[str, bytes]] = []
        self.frames = 0
        self._known: set[str] = set()
        chat.page.route("**/*", self._fetch)
        chat.page.on("websocket", self._opened)

    def _fetch(self, route: Route) -> None:
        if (url := route.request.url) in self._known:
            return route.continue_()
        if "/assets/" in url:  # the page's code, which is the same each time
            self._known.add(url)
        with suppress(Error):  # the page went elsewhere, and does not want it any more
            response = route.fetch(max_redirects=0)
            self.told.append((response.url, json.dumps(response.headers_array).encode()))
            self.told.append((response.url, response.body()))
            if route.request.resource_type == "document":
                route.continue_()  # a document that comes from here is not local, and must not open a local socket
            else:
                route.fulfill(response=response)

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


def telling(*keys: str) -> Callable[[dict[str, Any]], Reply]:
    """A provider that tells these keys back in its errors."""
    told = f"Incorrect API key provided: {' or '.join(keys)}."

    def tell(request: dict[str, Any]) -> Reply:
        asked = str(request["messages"][-1]["content"])  # Anthropic's is a list of parts
        if "refuse" in asked:
            return Reply(status=401, body=json.dumps({"error": {"message": told, "type": "invalid_request_error"}}))
        if "break" in asked:
            return Reply(["Some words. "], error={"message": told, "type": "server_error"})
        return Reply(["Hello ", "there."])

    return tell


def test_a_planted_key_is_nowhere(planted: Served, vendor: Vendor, open_page: OpenPage):
    """Answers, refusals that quote the key, errors in mid-stream, Retry, Stop, reload, an unknown address, every file
    of the page, the log, the database: no trace of a key outside the server's environment."""
    vendor.answer = telling(*PLANTED.values())
    chat = open_page(None, server=planted)
    heard = Heard(chat)
    chat.open("/")
    ask_for_errors(chat)
    chat.picker.select_option("anthropic:two")
    chat.ask("refuse this too").wait_status("failed")
    chat.picker.select_option("simulator:tour")
    chat.ask("n=500 rate=50 kind=numbered").wait_text("w000002")
    chat.stop_button.click()
    chat.wait_status("stopped")
    chat.page.reload()
    chat.ready().wait_status("stopped")
    assert WORD.decode() not in chat.page.content()
    chat.open("/c/doesnotexist")
    assert heard.frames > 10
    assert len(heard.told) > 20
    assert heard.leaks() == []
    assert WORD.decode() not in planted.log
    assert planted.database.exists()
    assert leaking_files(planted.data_dir, ROOT / ".web" / "build", ROOT / ".states") == []


def ask_for_errors(chat: ChatPage) -> None:
    """An answer, and two that fail with a quotation of the key, each tried again."""
    chat.ask("say hello").wait_status("finished")
    for text in ("refuse this", "break this"):
        refused = chat.ask(text).wait_status("failed").get_attribute("data-message-id")
        chat.retry_button.click()
        expect(chat.answers.last).not_to_have_attribute("data-message-id", str(refused))
        chat.wait_status("failed")


def test_a_key_that_somebody_brings_is_nowhere(serve: Callable[..., Served], vendor: Vendor, open_page: OpenPage):
    """It answers, and is quoted in errors: no trace of it in either page, its frames, the API's answers about keys,
    account and audit, the bundle, the log, the database. What the person typed is not in the page any more either."""
    key = "sk-CANARY-of-anna-0123456789"
    server = serve(
        STREAMCHAT_ACCOUNTS="open",
        STREAMCHAT_SECRET_KEY="a secret of the tests that is long enough",
        STREAMCHAT_MODELS="simulator:tour,openai:one",
        STREAMCHAT_RETRIES="0",
        OPENAI_BASE_URL=vendor.url,
    )
    vendor.answer = telling(key)
    chat = open_page(None, server=server)
    chat.oddities.allow("401", "403", "WebSocket")
    chat.page.goto(chat.url + "/")
    chat.page.get_by_test_id("user-name").fill("anna")
    chat.page.get_by_test_id("password").fill("correct horse battery")
    chat.page.get_by_test_id("sign-up").click()
    chat.ready()
    heard = Heard(chat)
    chat.page.goto(chat.url + "/account")
    chat.page.get_by_test_id("own-key-vendor").select_option("openai")
    chat.page.get_by_test_id("own-key").fill(key)
    chat.page.get_by_test_id("set-own-key").click()
    expect(chat.page.get_by_test_id("own-keys").get_by_role("listitem")).to_contain_text(f"…{key[-4:]}")
    assert WORD.decode() not in chat.page.content()
    chat.open("/")
    chat.picker.select_option("openai:one")
    ask_for_errors(chat)
    assert vendor.keys[-5:] == [key] * 5
    chat.page.reload()
    chat.ready().wait_status("failed")
    for page in (chat.url + "/account", chat.url + "/"):
        chat.page.goto(page)
        chat.page.wait_for_load_state("networkidle")
        assert WORD.decode() not in chat.page.content()
    for path in ("/api/keys", "/api/account/export", "/api/audit", "/api/admin/models", "/api/admin/usage"):
        assert chat.page.evaluate("(path) => fetch(path).then(({ok}) => ok)", path), path
    assert heard.frames > 10
    assert heard.leaks() == []
    assert WORD.decode() not in server.log
    assert server.database.exists()
    assert leaking_files(server.data_dir, ROOT / ".web" / "build", ROOT / ".states") == []


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
