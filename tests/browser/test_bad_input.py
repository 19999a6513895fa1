"""What cannot be answered gets one clear sentence, or nothing at all, and nothing that was typed is lost."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from devservers.app import Served
from tests.browser.conftest import PLANTED, OpenPage
from tests.support.chat_page import ChatPage, numbered
from tests.support.vendor import Reply, Vendor

SENTENCE = re.compile(r"^[A-Z“][^\n]{10,220}[.!]$")


def rows_in(served: Served) -> int:
    connection = sqlite3.connect(f"file:{served.database}?mode=ro", uri=True)
    try:
        return connection.execute("select count(*) from message").fetchone()[0]
    finally:
        connection.close()


def test_an_empty_message_does_nothing(chat: ChatPage):
    """Enter and the Send button with nothing to say: no message, no row, no address, no sentence."""
    before = rows_in(chat.served)
    for text in ("", "   ", "\n\n \t", "\u2003\u00a0"):
        chat.composer.fill(text)
        chat.composer.press("Enter")
        chat.send_button.click()
        chat.paints(20)
        assert chat.messages.count() == 0, repr(text)
        assert chat.said.count() == 0, repr(text)
        assert chat.conversation_id is None, repr(text)
        assert rows_in(chat.served) == before, repr(text)


def test_a_megabyte_is_refused_and_kept(chat: ChatPage, mark: str):
    """One character more than the limit, and a paste of 1 MB: one sentence, the draft stays, the connection stays;
    shortened, it is answered."""
    chat.composer.fill("x" * 200_001)
    chat.composer.press("Enter")
    expect(chat.said).to_contain_text("too long")
    assert len(chat.composer.input_value()) == 200_001
    assert chat.messages.count() == 0
    chat.composer.fill("x" * 1_000_000)
    chat.composer.press("Enter")
    expect(chat.said).to_have_text(SENTENCE)
    assert len(chat.composer.input_value()) == 1_000_000
    assert chat.messages.count() == 0
    chat.ask(f"{mark} n=2 rate=0 kind=numbered").wait_status("finished")
    expect(chat.said).to_have_count(0)


def test_a_long_message_below_the_limit_is_answered(chat: ChatPage, mark: str):
    """190,000 characters are a message; the page shows it shortened, with a way to see all of it."""
    text = f"{mark} n=2 rate=0 kind=numbered " + "word " * 38_000
    chat.ask(text[:190_000]).wait_status("finished")
    expect(chat.page.get_by_role("button", name="Show all")).to_be_visible()


def test_a_binary_looking_message_is_only_text(chat: ChatPage, mark: str):
    """Control characters, NUL and private characters are sent and shown without harm."""
    said = "a\x01b\x02\u0000c \ufdd0 \U0010ffff z"
    chat.ask(f"{mark} n=2 rate=0 kind=numbered {said}").wait_status("finished")
    expect(chat.questions).to_contain_text(["z"])
    chat.page.reload()
    chat.ready().wait_status("finished")
    expect(chat.questions).to_contain_text(["z"])


@pytest.mark.parametrize("path", ["/c/doesnotexist", "/x/y", "/c/a/b/c", "/no-such-page"])
def test_an_unknown_address_says_so(open_page: OpenPage, path: str):
    """One clear sentence and a way to a new chat; no error, no empty page that looks like a conversation."""
    chat = open_page(None)
    chat.oddities.allow(r"status of 404")
    chat.page.goto(chat.url + path)
    expect(chat.page.get_by_text(re.compile("does not exist|No conversation has this address"))).to_be_visible()
    assert chat.messages.count() == 0
    chat.page.locator("main a[href='/']").click()
    expect(chat.page).to_have_url(chat.url + "/")
    chat.ready()


def test_a_message_to_a_conversation_that_is_not_there_is_kept(open_page: OpenPage):
    """Sending at an unknown address: one sentence, and the draft stays."""
    chat = open_page("/c/doesnotexist")
    chat.composer.fill("keep me")
    chat.composer.press("Enter")
    expect(chat.said).to_have_text(SENTENCE)
    expect(chat.composer).to_have_value("keep me")


def test_an_unknown_model_in_the_address_is_said(open_page: OpenPage):
    """``/?model=`` with a name that is not offered: one sentence that names it; a model that is there is chosen."""
    chat = open_page("/?model=nope:x")
    expect(chat.page.get_by_role("paragraph").filter(has_text="nope:x")).to_be_visible()
    assert chat.picker.input_value() == "openai:tour"


def test_the_address_chooses_a_model(open_page: OpenPage):
    """``/?model=`` with a name that is offered preselects it."""
    assert open_page("/?model=simulator:tour").picker.input_value() == "simulator:tour"


def test_a_model_that_cannot_be_used_says_why(open_page: OpenPage):
    """A vendor without a key is in the picker, disabled, with the variable that is missing."""
    chat = open_page("/?model=anthropic:claude-test")
    option = chat.picker.locator("option", has_text="claude-test")
    expect(option).to_be_disabled()
    expect(option).to_contain_text("ANTHROPIC_API_KEY")
    assert chat.picker.input_value() != "anthropic:claude-test"


def test_a_provider_that_is_down_and_comes_back(planted: Served, vendor: Vendor, open_page: OpenPage, mark: str):
    """Nobody listens at the provider's address: one sentence within seconds, without the key; once somebody does, Retry
    answers, in the place of the failure."""
    port = vendor.port
    vendor.close()
    chat = open_page("/", server=planted)
    chat.ask(f"{mark} are you there?").wait_status("failed", timeout=30_000)
    expect(chat.errors).to_have_text(re.compile(rf"^Cannot reach .*127\.0\.0\.1:{port}.*[.?]$"))
    chat.page.reload()
    chat.ready().wait_status("failed")
    assert "CANARY" not in chat.page.content()
    vendor.answer = lambda _request: Reply(["Here ", "I ", "am."])
    vendor.start(port)
    chat.retry_button.click()
    chat.wait_status("finished")
    chat.wait_text("^Here I am.$")
    assert chat.answers.count() == chat.questions.count() == 1
    assert chat.errors.count() == 0
    assert vendor.requests[-1]["messages"][-1]["content"] == f"{mark} are you there?"
    assert "CANARY" not in planted.log


def test_a_provider_that_refuses(planted: Served, vendor: Vendor, open_page: OpenPage):
    """Whatever a provider's error says, the page says what it means, in one sentence; a piece of the key and HTML in it
    are nowhere."""
    key = PLANTED["OPENAI_API_KEY"]
    html = "<script>window.hacked=1</script><img src=x onerror=alert(1)>"
    replies = {
        "refused.* key|rejected .*key|key .*refused": (401, f"Incorrect API key provided: {key[:20]}****cdef. {html}"),
        "not available": (404, f"The model `x` does not exist for {key}"),
        "500": (500, f"Something broke near {key[:20]}*** {html}"),
        "not accept": (400, f"Nothing like it: {key} {html}"),
    }
    chat = open_page("/", server=planted)
    for says, (status, told) in replies.items():
        body = json.dumps({"error": {"message": told, "type": "some_error", "code": None}})
        vendor.answer = lambda _request, status=status, body=body: Reply(status=status, body=body)
        chat.ask("hello").wait_status("failed")
        expect(chat.errors).to_have_text(re.compile(f"^[A-Z].*({says})"))
        assert "CANARY" not in chat.page.content()
        assert "****cdef" not in chat.page.content()
        assert chat.page.locator(".thread img, .thread script").count() == 0
        assert chat.page.evaluate("window.hacked") is None
        chat.page.get_by_test_id("new-chat").click()
        expect(chat.messages).to_have_count(0)
    assert "CANARY" not in planted.log


def test_a_stream_without_an_end_is_not_called_finished(open_page: OpenPage, mark: str):
    """The provider's stream is cut in the middle: what came is kept, the message says so, Retry and Continue are
    there."""
    chat = open_page("/?model=simulator:tour")
    chat.ask(f"{mark} n=50 rate=0 kind=numbered fault=cut at=20").wait_status("interrupted")
    assert chat.words() == numbered(20)
    expect(chat.errors).to_have_text(re.compile(r"[A-Z].*\."))
    expect(chat.retry_button).to_be_visible()
    expect(chat.page.get_by_test_id("continue")).to_be_visible()


def test_without_any_usable_model_the_page_says_so(serve: Callable[..., Served], open_page: OpenPage):
    """Only a vendor without a key is offered: nothing can be sent, and a sentence says why; the draft stays."""
    server = serve(STREAMCHAT_MODELS="openai:gpt-test")
    chat = open_page(None, server=server)
    chat.page.goto(chat.url + "/")
    expect(chat.picker.locator("option")).to_contain_text(["OPENAI_API_KEY"])
    chat.composer.fill("hello")
    chat.composer.press("Enter")
    expect(chat.said).to_have_text(SENTENCE)
    expect(chat.composer).to_have_value("hello")
