"""An answer belongs to the server: reloads, lost sockets, closed tabs and other tabs change nothing about it.

Everywhere the same three are compared: what the page shows, what is stored, and what was sent.
"""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from devservers.app import Served
from tests.browser.conftest import OpenPage
from tests.support.chat_page import ChatPage, numbered
from tests.support.raw import RawTab
from tests.support.relay import Relay
from tests.support.simulated import Simulated

SEED = 20261124
OFFLINE = (r"ERR_INTERNET_DISCONNECTED", r"WebSocket connection to .* failed", r"ERR_CONNECTION", r"ERR_NETWORK")


def stored(served: Served, message_id: str) -> tuple[str, str]:
    """Status and text of a message in the database."""
    connection = sqlite3.connect(f"file:{served.database}?mode=ro", uri=True)
    try:
        row = connection.execute("select status, parts from message where id = ?", (message_id,)).fetchone()
    finally:
        connection.close()
    parts = json.loads(row[1])
    return row[0], "".join(part["text"] for part in parts if part["type"] == "text")


def assert_whole(chat: ChatPage, simulated: Simulated, text: str, n: int) -> None:
    """Page, database and provider agree on a finished answer of n words."""
    chat.wait_status("finished")
    chat.wait_text(numbered(n)[-1])
    sent = simulated.wait_closed(text, by="server")["text"]
    assert sent == " ".join(numbered(n))
    assert chat.text() == sent
    assert stored(chat.served, chat.message_id()) == ("finished", sent)
    assert chat.seen()["doubles"] == []


def test_reload_after_the_end(chat: ChatPage, simulated: Simulated, mark: str):
    """The same conversation, the same text, nothing asked again."""
    text = f"{mark} n=50 rate=0 kind=numbered"
    chat.ask(text).wait_status("finished")
    chat.page.reload()
    assert_whole(chat.ready(), simulated, text, 50)
    expect(chat.questions).to_contain_text([mark])


def test_reloads_at_random_points(chat: ChatPage, simulated: Simulated, mark: str):
    """Five reloads while the answer is written: no word is lost or doubled, and it goes on live after each."""
    text = f"{mark} n=80 rate=5 kind=numbered"  # longer than five loads take on a busy machine
    chat.ask(text)
    chance = random.Random(SEED)
    at = 0
    for _ in range(5):
        at += chance.randint(2, 7)
        chat.wait_text(f"w{at:06d}")
        chat.page.reload()
        chat.ready().wait_text("w000001")
        seen = chat.words()
        assert seen == numbered(len(seen))
        at = max(at, len(seen))
    assert_whole(chat, simulated, text, 80)
    assert len(chat.steps()) >= 10, "it went on live"


def test_back_and_forward(chat: ChatPage, simulated: Simulated, mark: str):
    """Leaving for a new chat with the browser's buttons, and coming back: the answer is where it would be."""
    first = f"{mark} first n=60 rate=20 kind=numbered"
    chat.ask(first).wait_text("w000005")
    address = chat.page.url
    chat.page.get_by_test_id("new-chat").click()
    expect(chat.messages).to_have_count(0)
    chat.page.go_back()
    expect(chat.page).to_have_url(address)
    chat.wait_text("w000010")
    chat.page.go_forward()
    expect(chat.messages).to_have_count(0)
    chat.page.go_back()
    assert_whole(chat, simulated, first, 60)


def test_another_address_never_shows_the_conversation_before(chat: ChatPage, mark: str):
    """Another address loaded in the same tab: not for one frame are the messages of the conversation before there."""
    chat.ask(f"{mark} n=3 rate=0 kind=numbered").wait_status("finished")
    chat.open(f"/c/{chat.conversation_id}")
    expect(chat.messages).to_have_count(2)
    chat.open("/")
    chat.paints(30)
    assert chat.seen()["most"] == 0


def test_a_sentence_is_said_once(open_page: OpenPage):
    """What was refused before a reload is not said again after it."""
    chat = open_page("/c/doesnotexist")
    chat.composer.fill("hello")
    chat.composer.press("Enter")
    expect(chat.said).to_be_visible()
    chat.page.reload()
    chat.ready()
    expect(chat.page.get_by_text("does not exist, or it was deleted")).to_be_visible()
    chat.paints(30)
    assert chat.seen()["sentences"] == []


def test_two_tabs_are_one_conversation(chat: ChatPage, open_page: OpenPage, simulated: Simulated, mark: str):
    """The second tab shows the running answer; what is sent in one shows in the other, as it arrives, once."""
    first = f"{mark} first n=50 rate=25 kind=numbered"
    chat.ask(first).wait_text("w000005")
    other = open_page(f"/c/{chat.conversation_id}")
    for tab in (chat, other):
        assert_whole(tab, simulated, first, 50)
    second = f"{mark} second n=40 rate=16 kind=numbered"
    other.ask(second)
    chat.page.bring_to_front()  # a tab behind another one is painted once a second
    expect(chat.questions).to_have_count(2)
    assert_whole(chat, simulated, second, 40)
    assert_whole(other, simulated, second, 40)
    assert len(chat.steps()) >= 10, "it arrives in both"


def test_a_closed_tab_changes_nothing(chat: ChatPage, open_page: OpenPage, simulated: Simulated, mark: str):
    """The only tab is closed in the middle: the answer is complete where the conversation is opened again."""
    text = f"{mark} n=50 rate=25 kind=numbered"
    chat.ask(text).wait_text("w000005")
    path = f"/c/{chat.conversation_id}"
    chat.page.close()
    simulated.wait_closed(text, by="server")
    assert_whole(open_page(path), simulated, text, 50)


def test_a_load_in_mid_answer_never_shows_an_empty_page(chat: ChatPage, mark: str):
    """Five loads while words come fast: each shows the conversation, however late the page is ready for it."""
    chat.ask(f"{mark} n=6000 rate=30 kind=numbered").wait_text("w000003")
    for _ in range(5):
        chat.page.reload()
        chat.wait_text("w000003")
    chat.stop_button.click()
    chat.wait_status("stopped")


def test_the_socket_is_cut_at_random_points(open_page: OpenPage, relay: Relay, simulated: Simulated, mark: str):
    """Every connection of the page is reset five times in mid-answer: it comes back by itself, live, with every word
    once, and the page was never loaded again."""
    chat = open_page("/", url=relay.url)
    chat.oddities.allow(*OFFLINE)
    loaded = chat.page.evaluate("window.loaded")
    text = f"{mark} n=75 rate=10 kind=numbered"
    chat.ask(text)
    chance, at = random.Random(SEED), 0
    for _ in range(5):
        at = max(at, len(chat.words())) + chance.randint(1, 5)
        chat.wait_text(f"w{at:06d}")
        assert relay.cut() > 0
    assert_whole(chat, simulated, text, 75)
    assert chat.page.evaluate("window.loaded") == loaded


def test_offline_for_a_while(open_page: OpenPage, relay: Relay, simulated: Simulated, mark: str):
    """The network goes in mid-answer and comes back after the end: the whole answer, untouched by hand."""
    chat = open_page("/", url=relay.url)
    chat.oddities.allow(*OFFLINE)
    text = f"{mark} n=30 rate=15 kind=numbered"
    chat.ask(text).wait_text("w000005")
    chat.page.context.set_offline(True)
    relay.cut()
    simulated.wait_closed(text, by="server")
    assert chat.answers.last.get_attribute("data-status") == "streaming", "nothing is made up meanwhile"
    chat.page.context.set_offline(False)
    assert_whole(chat, simulated, text, 30)


@pytest.mark.parametrize("n", [100, 1000])
def test_a_frozen_page_comes_back(open_page: OpenPage, relay: Relay, simulated: Simulated, mark: str, n: int):
    """A phone puts the page to sleep in mid-answer, without a network, until every socket is given up; when it wakes
    up, the answer is there, whole or still growing, without a touch."""
    chat = open_page("/", url=relay.url)
    chat.oddities.allow(*OFFLINE)
    text = f"{mark} n={n} rate=5 kind=numbered"
    chat.ask(text).wait_text("w000005")
    life = chat.page.context.new_cdp_session(chat.page)
    life.send("Page.setWebLifecycleState", {"state": "frozen"})
    chat.page.context.set_offline(True)
    relay.cut()
    time.sleep(40)
    chat.page.context.set_offline(False)
    life.send("Page.setWebLifecycleState", {"state": "active"})
    chat.wait_text("w000100")
    if n == 100:
        assert_whole(chat, simulated, text, n)
    else:
        chat.wait_text("w000240")
        words = chat.words()
        assert words == numbered(len(words))
        chat.stop_button.click()
        chat.wait_status("stopped")


def test_a_message_sent_without_a_connection_is_sent_once(
    open_page: OpenPage, relay: Relay, simulated: Simulated, mark: str
):
    """Enter while the connection is gone: the draft stays until the server has it, then there is one question."""
    chat = open_page("/", url=relay.url)
    chat.oddities.allow(*OFFLINE)
    chat.ask(f"{mark} first n=2 rate=0 kind=numbered").wait_status("finished")
    text = f"{mark} second n=20 rate=20 kind=numbered"
    chat.composer.fill(text)
    chat.page.context.set_offline(True)
    relay.cut()
    chat.composer.press("Enter")
    chat.composer.press("Enter")
    chat.paints(30)
    assert chat.composer.input_value() == text
    chat.page.context.set_offline(False)
    expect(chat.questions).to_have_count(2, timeout=30_000)
    assert_whole(chat, simulated, text, 20)
    expect(chat.composer).to_have_value("")


def test_a_half_open_socket(served: Served, simulated: Simulated, mark: str):
    """The first socket of a tab froze and the server does not know it yet; the tab comes back with the same token: it
    gets the running answer at once, and its end."""
    text = f"{mark} n=100 rate=10 kind=numbered"
    with RawTab(served.url) as frozen:
        frozen.frame("open")
        frozen.send(text)
        frozen.go(frozen.begun())
        frozen.frame("open", after=1)
        frozen.freeze()
        with RawTab(served.url, frozen.path, token=frozen.token) as back:
            opened = back.frame("open")
            answer = opened["messages"][-1]
            assert answer["status"] == "streaming"
            end = back.frame("end")
            pieces = "".join(f["t"] for f in back.frames if f.get("m") == answer["id"] and "t" in f)
    assert (end["status"], answer["text"] + pieces) == ("finished", " ".join(numbered(100)))
    assert len(simulated.requests(text)) == 1


@pytest.mark.parametrize("page", ["new", "old"])
def test_stop_in_a_tab(served: Served, simulated: Simulated, mark: str, page: str):
    """A page names the answers that it saw, and then may go elsewhere; one that was loaded before an update of the
    server does not name them."""
    text = f"{mark} n=100000 rate=10 kind=numbered"
    with RawTab(served.url) as tab:
        tab.frame("open")
        tab.send(text)
        tab.go(tab.begun())
        answer = tab.frame("open", after=1)["messages"][-1]["id"]
        if page == "new":
            seen = len(tab.frames)
            tab.go("/")
            tab.frame("open", after=seen)
            tab.call("stop", waiting_only=False, run_ids=[answer])
        else:
            tab.call("stop", waiting_only=False)
        simulated.wait_closed(text, by="client")


def test_a_half_open_socket_of_a_browser(open_page: OpenPage, relay: Relay, simulated: Simulated, mark: str):
    """The browser's socket falls silent without an end, and the page is loaded again: the answer goes on to its end."""
    chat = open_page("/", url=relay.url)
    text = f"{mark} n=60 rate=15 kind=numbered"
    chat.ask(text).wait_text("w000005")
    assert relay.freeze() > 0
    chat.page.reload()
    chat.ready().wait_text("w000010")
    assert_whole(chat, simulated, text, 60)


@pytest.fixture
def mortal(serve: Callable[..., Served], simulated: Simulated) -> Served:
    """A server that a test ends and starts again."""
    return serve(**simulated.settings)


def test_the_server_dies_in_mid_answer(mortal: Served, simulated: Simulated, open_page: OpenPage, mark: str):
    """``kill -9`` and SIGTERM: after the restart the message is interrupted with the text that was there (all but the
    last second), no spinner is left, in the open page and in a fresh one; Retry answers. SIGTERM ends the server within
    seconds."""
    server = mortal
    for ending in ("kill -9", "SIGTERM"):
        chat = open_page("/", server=server)
        chat.oddities.allow(*OFFLINE)
        text = f"{mark} {ending} n=1500 rate=10 kind=numbered"
        chat.ask(text).wait_text("w000020")
        if ending == "SIGTERM":
            assert server.stop() < 10
        else:
            server.kill()
        seen = chat.words()
        simulated.wait_closed(text, by="client")
        server.start()
        chat.wait_status("interrupted", timeout=40_000)
        kept = chat.words()
        assert kept == numbered(len(kept))
        assert len(kept) >= len(seen) - 15
        assert stored(server, chat.message_id()) == ("interrupted", " ".join(kept))
        fresh = open_page(f"/c/{chat.conversation_id}", server=server)
        fresh.wait_status("interrupted")
        assert fresh.words() == kept
        for tab in (chat, fresh):
            expect(tab.errors).to_have_count(1)
            expect(tab.retry_button).to_be_visible()
            expect(tab.stop_button).to_have_count(0)
            expect(tab.page.locator("[data-answering=true]")).to_have_count(0)
        fresh.retry_button.click()
        fresh.wait_status("streaming")
        fresh.wait_text("w000003")
        fresh.stop_button.click()
        fresh.wait_status("stopped")
        for tab in (chat, fresh):
            tab.page.close()
    assert "Traceback" not in server.log


def test_a_message_written_while_the_server_is_away(mortal: Served, open_page: OpenPage, mark: str):
    """Ctrl-C leaves no traceback. The page says that it reconnects, and keeps what is sent into nothing;
    when the server is there again, the message goes out by itself, once."""
    chat = open_page("/", server=mortal)
    # The last one: it may have something to send while the server says goodbye.
    chat.oddities.allow(*OFFLINE, "WebSocket is already in CLOSING")
    chat.ask(f"{mark} n=2 rate=0 kind=numbered").wait_status("finished")
    assert mortal.interrupt() == 130
    assert "Traceback" not in mortal.log
    expect(chat.page.get_by_text("Reconnecting")).to_be_visible()
    chat.composer.fill(f"{mark} again n=5 rate=0 kind=numbered")
    chat.composer.press("Enter")
    chat.paints(20)
    assert chat.composer.input_value().endswith("kind=numbered")
    mortal.start()
    expect(chat.questions).to_have_count(2, timeout=30_000)
    expect(chat.answers).to_have_count(2)
    chat.wait_status("finished")
    assert chat.words() == numbered(5)
    expect(chat.composer).to_have_value("")
    expect(chat.page.get_by_text("Reconnecting")).to_have_count(0)
