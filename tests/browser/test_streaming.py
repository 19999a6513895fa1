"""Answers arrive: what the provider sends is seen coming, and at the end it is what was sent."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from devservers.app import Served
from tests.browser.conftest import OpenPage
from tests.support.chat_page import ChatPage, numbered
from tests.support.raw import RawTab
from tests.support.simulated import Simulated

# The timers of the router's way to what was begun fire when the test says so.
HOLD = """
    window.later = window.setTimeout;
    window.held = [];
    window.setTimeout = (action, ms, ...more) =>
        ms === 100 || ms === 500 ? (held.push([ms, action]), 0) : later(action, ms, ...more);
"""
# The router's entry of the history is there within microtasks, before React renders anything.
NEW_CHAT_THEN_HELD = """async () => {
    document.querySelector("[data-testid=new-chat]").click();
    for (let n = 0; n < 1000 && location.pathname !== "/"; n++) await null;
    if (location.pathname !== "/") throw new Error("the router is not there yet");
    window.setTimeout = later;
    for (const [, action] of held) action();
}"""
ENTER_THEN_NEW_CHAT = """() => {
    const composer = document.querySelector("[data-testid=composer]");
    composer.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
    document.querySelector("[data-testid=new-chat]").click();
}"""


def test_words_are_seen_arriving(chat: ChatPage, simulated: Simulated, mark: str):
    """60 words at 20/s are painted in at least 20 steps and end as they were sent; so does the second answer of
    the conversation. Each message is in the page once at all times."""
    for turn in ("one", "two"):
        text = f"{mark} {turn} n=60 rate=20 kind=numbered"
        chat.ask(text).wait_status("finished")
        steps = chat.steps()
        assert steps[-1] == 60
        assert steps == sorted(set(steps)), "a word was taken back"
        assert len(steps) >= 20
        assert chat.text() == simulated.wait_closed(text, by="server")["text"] == " ".join(numbered(60))
    assert chat.answers.count() == chat.questions.count() == 2
    assert chat.seen()["doubles"] == []


def test_a_first_message_makes_a_conversation_with_an_address_and_a_line(chat: ChatPage, mark: str):
    """The address becomes that of the conversation without a load of the page, the list has it on top, and it answers
    there while it does."""
    loaded = chat.page.evaluate("window.loaded")
    chat.ask(f"{mark} n=30 rate=15 kind=numbered")
    expect(chat.page).to_have_url(re.compile(r"/c/[\w-]{16,}$"))
    line = chat.rows.first
    expect(line).to_have_attribute("data-conversation-id", chat.conversation_id or "")
    expect(line).to_contain_text(mark)
    expect(line).to_have_attribute("data-answering", "true")
    chat.wait_status("finished")
    expect(line).to_have_attribute("data-answering", "false")
    assert chat.page.evaluate("window.loaded") == loaded


def test_new_chat_in_the_moment_in_which_the_router_goes_to_what_was_begun(tab: ChatPage, mark: str):
    """New chat is clicked; before React shows it, the time comes for the address of the conversation that was begun: it
    stays with its own entry of the history, and the page is empty. Back leads to it; a question begins another one."""
    tab.page.add_init_script(HOLD)
    tab.open().ask(f"{mark} first n=3 rate=0 kind=numbered").wait_text("w000003")
    tab.page.wait_for_function("() => held.some(([ms]) => ms === 100)")
    first = tab.page.url
    tab.page.evaluate(NEW_CHAT_THEN_HELD)
    expect(tab.messages).to_have_count(0)
    tab.paints(30)
    expect(tab.messages).to_have_count(0)
    assert urlsplit(tab.page.url).path == "/"
    tab.page.go_back()
    expect(tab.page).to_have_url(first)
    expect(tab.questions).to_contain_text(["first"])
    tab.page.go_forward()
    expect(tab.messages).to_have_count(0)
    tab.ask(f"{mark} second n=3 rate=0 kind=numbered").wait_status("finished")
    expect(tab.questions).to_contain_text(["second"])
    assert tab.page.url != first


def test_new_chat_before_the_first_one_is_there(tab: ChatPage, mark: str):
    """New chat right after Enter: what was asked is in the list, the page is empty; a question begins another one."""
    tab.open()
    tab.composer.fill(f"{mark} first n=3 rate=0 kind=numbered")
    tab.page.evaluate(ENTER_THEN_NEW_CHAT)
    expect(tab.rows.first).to_contain_text(mark)
    tab.paints(30)
    expect(tab.messages).to_have_count(0)
    expect(tab.composer).to_have_value("")
    assert urlsplit(tab.page.url).path == "/"
    tab.ask(f"{mark} second n=3 rate=0 kind=numbered").wait_status("finished")
    expect(tab.questions).to_contain_text(["second"])


def test_new_chat_and_the_way_back(chat: ChatPage, mark: str):
    """New chat is empty while the old answer goes on; the line in the list leads back to it, whole."""
    chat.ask(f"{mark} first n=40 rate=20 kind=numbered")
    chat.wait_text("w000003")
    first = chat.conversation_id
    chat.page.get_by_test_id("new-chat").click()
    expect(chat.messages).to_have_count(0)
    assert chat.conversation_id is None
    chat.ask(f"{mark} second n=3 rate=0 kind=numbered").wait_status("finished")
    assert chat.conversation_id not in (None, first)
    chat.page.locator(f"[data-conversation-id='{first}']").click()
    expect(chat.questions.first).to_contain_text("first")
    chat.wait_status("finished")
    assert chat.words() == numbered(40)


def test_a_conversation_is_opened_by_its_address(chat: ChatPage, open_page: OpenPage, mark: str):
    """Whoever has the address sees question and answer, also in another tab."""
    chat.ask(f"{mark} n=10 rate=0 kind=numbered").wait_status("finished")
    other = open_page(f"/c/{chat.conversation_id}")
    other.wait_status("finished")
    assert other.words() == numbered(10)
    expect(other.questions).to_contain_text([mark])
    expect(other.page).to_have_title(re.compile(re.escape(mark[:20])))


def test_three_conversations_stream_at_once(open_page: OpenPage, mark: str):
    """None waits for another: each has words while all are answering."""
    chats = [open_page("/") for _ in range(3)]
    for i, chat in enumerate(chats):
        chat.ask(f"{mark} {i} n=45 rate=4.5 kind=numbered")
    for chat in chats:
        chat.wait_text("w000005")
    assert all(chat.answers.last.get_attribute("data-status") == "streaming" for chat in chats)
    for chat in chats:
        chat.wait_status("finished")
        assert chat.words() == numbered(45)


def test_characters_of_every_kind_arrive_whole(chat: ChatPage, mark: str):
    """Emoji, joined emoji, CJK and combining marks, each byte sent alone: the same text, and no replacement mark."""
    said = "漢字かな 한국어 e\u0301 नमस्ते 👩‍👩‍👧‍👦🏽 🇪🇺 𝒳"
    chat.ask(f"{mark} kind=echo chunk=byte rate=0\n{said}").wait_status("finished")
    chat.wait_text(re.escape(said))
    assert chat.text() == said


def test_the_real_local_model_answers(open_page: OpenPage):
    """The embedded model says something, seen coming in at least two steps, and finishes."""
    pytest.importorskip("xllamacpp", reason="the local model's engine is not installed here")
    chat = open_page("/?model=local:smollm2")
    if chat.picker.input_value() != "local:smollm2":
        pytest.skip("the local model's weights are not installed here")
    chat.ask("Count slowly from one to thirty, in words.").wait_status("finished", timeout=150_000)
    assert len(chat.text()) > 3
    lengths = chat.seen()["lengths"][chat.message_id()]
    assert len([length for length in lengths if length]) >= 2


def test_the_first_words_do_not_wait_for_the_address(served: Served, mark: str):
    """A tab that begins a conversation gets it, and its words, before it goes to the new address; it can stop it."""
    with RawTab(served.url) as tab:
        tab.frame("open")
        tab.send(f"{mark} n=5000 rate=50 kind=numbered")
        opened = tab.wait(lambda: next((f for f in tab.frames if f.get("k") == "open" and f["messages"]), None))
        tab.wait(lambda: any("w000003" in f.get("t", "") for f in tab.frames), what="a word")
        tab.call("stop")
        assert tab.frame("end")["status"] == "stopped"
        assert tab.begun() == f"/c/{opened['conversation']}"
