"""Where the reader was in a conversation is where the conversation is opened again."""

from __future__ import annotations

import pytest

from tests.browser.test_conversations import imported
from tests.support.chat_page import SCROLLER, ChatPage

TEXT = "Words of a message that fill some lines. " * 12
PLACE = (
    "(id) => document.querySelector(`.message[data-message-id='${id}']`)?.getBoundingClientRect().top - "
    f"{SCROLLER}.getBoundingClientRect().top"
)


@pytest.fixture
def thread(tab: ChatPage) -> ChatPage:
    """A conversation of 40 messages, opened for the first time."""
    tab.open(f"/c/{imported(tab.served, 'Forty', *(f'{n}. {TEXT}' for n in range(40)))}")
    tab.messages.nth(39).wait_for()
    tab.page.wait_for_selector("[aria-busy][data-settled=true]")
    return tab


def stands(chat: ChatPage, message_id: str, top: float) -> None:
    """Assert that this message comes to stand within 40 px of here."""
    chat.page.wait_for_function(f"([id, top]) => Math.abs(({PLACE})(id) - top) <= 40", arg=[message_id, top])
    chat.paints(30)
    assert abs(chat.page.evaluate(PLACE, message_id) - top) <= 40


def test_the_place_is_kept(thread: ChatPage):
    """A conversation begins at its end. Message 20 in view, another conversation, and Back: it is where it was, also
    after a reload. At the end again, it is opened at its end."""
    page = thread.page
    assert thread.left() <= 40
    address = page.url
    twenty = thread.messages.nth(20).get_attribute("data-message-id") or ""
    page.evaluate(f"(id) => {{ {SCROLLER}.scrollTop += ({PLACE})(id); }}", twenty)
    thread.jump_latest.wait_for()
    thread.paints()
    top = page.evaluate(PLACE, twenty)
    assert abs(top) <= 40
    page.get_by_test_id("new-chat").click()
    thread.messages.nth(39).wait_for(state="detached")
    page.go_back()
    stands(thread, twenty, top)
    page.reload()
    stands(thread.ready(), twenty, top)
    thread.jump_latest.click()
    thread.jump_latest.wait_for(state="detached")
    thread.paints()
    thread.open("/")
    page.goto(address)
    thread.messages.nth(39).wait_for()
    page.wait_for_selector("[aria-busy][data-settled=true]")
    assert thread.left() <= 40


def test_the_place_may_be_on_a_page_that_is_not_loaded(tab: ChatPage):
    """A message far above what is loaded at first: after a reload it is where it was."""
    page = tab.page
    tab.open(f"/c/{imported(tab.served, 'Long', *(f'{n}. {TEXT}' for n in range(130)))}")
    tab.messages.first.wait_for()
    while (earlier := page.locator(".earlier")).count():
        loaded = tab.messages.count()
        earlier.click()
        page.wait_for_function(
            "(count) => document.querySelectorAll('[data-testid=message]').length > count", arg=loaded
        )
    page.wait_for_selector("[aria-busy][data-settled=true]")
    eight = tab.messages.nth(8).get_attribute("data-message-id") or ""
    page.evaluate(f"(id) => {{ {SCROLLER}.scrollTop += ({PLACE})(id); }}", eight)
    tab.paints(10)
    top = page.evaluate(PLACE, eight)
    assert abs(top) <= 40
    page.reload()
    stands(tab.ready(), eight, top)
