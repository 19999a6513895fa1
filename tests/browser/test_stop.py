"""Stop is honest: the provider's connection is closed, what came is kept, and nothing comes after."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.support.chat_page import ChatPage, numbered
from tests.support.simulated import Simulated


def test_stop_in_the_middle(chat: ChatPage, simulated: Simulated, mark: str):
    """By a click and by Escape: the provider sees the connection closed; the words that came stay, none is added;
    status, Retry and a composer that takes the next message."""
    stopped: list[list[str]] = []
    for by in ("click", "Escape"):
        text = f"{mark} {by} n=2000 rate=10 kind=numbered"
        chat.ask(text).wait_text("w000010")
        assert chat.send_button.count() == 0, "Send is Stop while an answer is written"
        if by == "click":
            chat.stop_button.click()
        else:
            chat.page.keyboard.press("Escape")
        chat.wait_status("stopped")
        kept = chat.words()
        assert kept == numbered(len(kept)), by
        assert len(kept) >= 10, by
        sent = simulated.wait_closed(text, by="client")
        assert sent["tokens_sent"] < 2000, by
        chat.paints(40)
        assert chat.words() == kept, by
        expect(chat.stop_button).to_have_count(0)
        expect(chat.send_button).to_be_visible()
        assert chat.page.evaluate("document.activeElement.dataset.testid") == "composer" or by == "click"
        stopped.append(kept)
    chat.page.reload()
    chat.ready().wait_status("stopped")
    assert [chat.words(0), chat.words(1)] == stopped, "what was on the page is what was stored"
    chat.ask(f"{mark} next n=2 rate=0 kind=numbered").wait_status("finished")


def test_stop_before_the_first_token(chat: ChatPage, simulated: Simulated, mark: str):
    """While nothing has come yet, Stop closes the connection too; there is no text, and Retry answers."""
    text = f"{mark} n=5 rate=0 ttft=60000 kind=numbered"
    chat.ask(text)
    simulated.wait_asked(text)  # stopped sooner than that, nothing is asked
    chat.stop_button.click()
    chat.wait_status("stopped")
    assert simulated.wait_closed(text, by="client")["tokens_sent"] == 0
    expect(chat.retry_button).to_be_visible()
    expect(chat.composer).to_be_editable()
    expect(chat.send_button).to_be_visible()


def test_stop_twice_and_stop_when_done(chat: ChatPage, simulated: Simulated, mark: str):
    """A second click, and Escape after the end, do nothing at all."""
    text = f"{mark} n=2000 rate=10 kind=numbered"
    chat.ask(text).wait_text("w000003")
    chat.stop_button.dblclick()
    chat.wait_status("stopped")
    simulated.wait_closed(text, by="client")
    chat.page.keyboard.press("Escape")
    chat.ask(f"{mark} next n=3 rate=0 kind=numbered").wait_status("finished")
    chat.page.keyboard.press("Escape")
    chat.paints()
    assert chat.answers.last.get_attribute("data-status") == "finished"
    assert chat.errors.count() == 0
    assert chat.said.count() == 0


def test_stop_from_another_tab(chat: ChatPage, open_page: OpenPage, simulated: Simulated, mark: str):
    """Stop in one tab stops the answer in all of them, with the same text."""
    text = f"{mark} n=2000 rate=10 kind=numbered"
    chat.ask(text).wait_text("w000005")
    other = open_page(f"/c/{chat.conversation_id}")
    other.wait_text("w000005")
    other.stop_button.click()
    for tab in (chat, other):
        tab.wait_status("stopped")
    simulated.wait_closed(text, by="client")
    assert chat.words() == other.words() == numbered(len(chat.words()))


def test_retry_after_stop_is_another_answer(chat: ChatPage, simulated: Simulated, mark: str):
    """Retry asks again and shows the new answer in the place of the old one, once."""
    text = f"{mark} n=50 rate=10 kind=numbered"
    chat.ask(text).wait_text("w000002")
    chat.stop_button.click()
    stopped = chat.wait_status("stopped").get_attribute("data-message-id")
    chat.retry_button.dblclick()
    chat.wait_status("finished")
    assert chat.words() == numbered(50)
    assert chat.answers.count() == chat.questions.count() == 1
    assert chat.message_id() != stopped
    assert len(simulated.requests(text)) == 2


def test_retry_shows_in_every_tab(chat: ChatPage, open_page: OpenPage, mark: str):
    """The new answer takes the place of the old one in the other tab too, live."""
    chat.ask(f"{mark} n=50 rate=10 kind=numbered").wait_text("w000003")
    other = open_page(f"/c/{chat.conversation_id}")
    other.stop_button.click()
    for tab in (chat, other):
        tab.wait_status("stopped")
    other.retry_button.click()
    for tab in (chat, other):
        tab.wait_status("finished")
        assert tab.words() == numbered(50)
        assert tab.answers.count() == tab.questions.count() == 1
    assert chat.message_id() == other.message_id()


def test_continue_goes_on_from_what_was_kept(chat: ChatPage, mark: str):
    """Continue begins with the kept words and adds to them; the page and a reload show the same."""
    chat.ask(f"{mark} n=50 rate=10 kind=numbered").wait_text("w000010")
    chat.stop_button.click()
    chat.wait_status("stopped")
    kept = chat.words()
    chat.page.get_by_test_id("continue").click()
    chat.wait_status("finished")
    text = chat.words()
    assert text[: len(kept)] == kept
    assert text == numbered(50)
    assert chat.answers.count() == 1
    chat.page.reload()
    chat.ready().wait_status("finished")
    assert chat.words() == text
