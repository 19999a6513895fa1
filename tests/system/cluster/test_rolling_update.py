"""An update without an interruption: both workers behind a shipped proxy are replaced while a person reads answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

from devservers.app import Served
from devservers.ports import free_port
from devservers.redis import RedisServer
from streamchat.accounts.sessions import COOKIE
from tests.browser.proxies import Proxy
from tests.support.chat_page import ChatPage, Oddities, numbered
from tests.support.long import LONG
from tests.support.loop import LoopThread
from tests.support.people import PASSWORD
from tests.system.takeover.conftest import PATIENCE, Reader

MODEL = "simulator:tour"
# Longer than any machine needs for two replacements: it is stopped when they are done.
ENDLESS = "kind=numbered n=50000 rate=15"


@pytest.fixture
def workers(built: None, redis: RedisServer, tmp_path: Path) -> Iterator[list[Served]]:
    """Two that are not started yet, and know the proxy's address by its port."""
    shared = {
        "STREAMCHAT_REDIS_URL": redis.url,
        "STREAMCHAT_DATABASE_URL": f"sqlite:///{tmp_path / 'chat.db'}",
        "STREAMCHAT_PUBLIC_URL": f"http://127.0.0.1:{free_port()}",
        "STREAMCHAT_ACCOUNTS": "open",
        "STREAMCHAT_CONTINUE": "1",
    }
    pair = [Served(tmp_path / name, shared) for name in ("one", "two")]
    yield pair
    for worker in pair:
        worker.kill()


# Workers are killed behind nginx in test_cluster.py.
@pytest.mark.parametrize("kind", ["nginx", "caddy"] if LONG else ["caddy"])
def test_both_workers_are_replaced(workers: list[Served], browser: Browser, loop: LoopThread, kind: str):
    """One after the other, by SIGTERM, while a signed-in person reads one answer in the page and another one as
    Server-Sent Events: no word is lost or doubled, neither ends, and nobody is asked to sign in again."""
    for worker in workers:
        worker.start()
    url = workers[0].settings["STREAMCHAT_PUBLIC_URL"]
    proxy = Proxy(kind, workers[0].port, int(url.rpartition(":")[2]), workers[1].port)
    context = browser.new_context()
    try:
        oddities = Oddities(context)
        oddities.own(url)
        oddities.allow("WebSocket", "ERR_", "401", "502")
        page = context.new_page()
        chat = ChatPage(page, workers[0], oddities, url)
        page.goto(url)
        page.get_by_test_id("user-name").fill("anna")
        page.get_by_test_id("password").fill(PASSWORD)
        page.get_by_test_id("sign-up").click()
        chat.ready().ask(ENDLESS)
        cookies = {cookie.get("name"): cookie.get("value") for cookie in context.cookies()}
        cookie = {"Cookie": f"{COOKIE}={cookies[COOKIE]}"}
        with httpx.Client(base_url=url, headers=cookie, timeout=PATIENCE, trust_env=False) as person:
            started = person.post("/api/runs", json={"message": ENDLESS, "model": MODEL})
            assert started.status_code == 201, started.text
            run_id = started.json()["run_id"]
            reader = Reader(proxy, run_id, headers=cookie)
            loop.run(begin(reader))
            for worker in workers:
                both_go_on(chat, reader, loop)
                worker.stop()
                worker.start()
            both_go_on(chat, reader, loop)
            assert person.get("/api/account").json()["name"] == "anna"
            assert person.delete(f"/api/runs/{run_id}").json()["status"] == "stopped"
            loop.run(reader.ended(), PATIENCE)
            words = re.findall(r"w\d{6}", reader.text)
            assert words == numbered(len(words))
            assert reader.numbers_follow()
            assert person.get(f"/api/runs/{run_id}").json()["message"]["text"] == reader.text
        chat.stop_button.click()
        chat.wait_status("stopped", PATIENCE * 1000)
        assert chat.words() == numbered(len(chat.words()))
        shown = chat.text()
        page.reload()
        chat.ready().wait_status("stopped")
        expect(page.get_by_test_id("sign-in")).to_be_hidden()
        assert chat.text() == shown
        assert oddities.unexpected() == []
    finally:
        context.close()
        proxy.close()


async def begin(reader: Reader) -> None:
    reader.start()


def both_go_on(chat: ChatPage, reader: Reader, loop: LoopThread) -> None:
    """Until page and reader have twenty words more."""
    words, length = len(chat.words()), len(reader.text)
    expect(chat.answers.last).to_contain_text(f"w{words + 20:06}", timeout=PATIENCE * 1000)
    loop.run(reader.until(lambda: len(reader.text) > length + 20 * len("w000001 ")), PATIENCE)
