"""The view follows the newest text, and never fights the reader."""

from __future__ import annotations

from tests.support.chat_page import SCROLLER, ChatPage

LONG = "n=900 rate=150 kind=markdown seed=7"


def test_following_and_leaving(tab: ChatPage) -> None:
    """Following stays within 40 px of the end; one wheel up ends it at once, and from then on nothing moves, also at
    the end of the stream; "jump to latest" returns and follows again."""
    page = tab.choose().page
    tab.send(LONG)
    page.wait_for_function(f"() => {SCROLLER}.scrollTop > 300")
    for _ in range(10):
        assert tab.left() <= 40
        page.wait_for_timeout(50)
    page.mouse.move(700, 400)
    page.mouse.wheel(0, -120)
    jump = page.get_by_test_id("jump-latest")
    jump.wait_for()
    page.wait_for_timeout(300)
    place = tab.top()
    had = tab.answer_length()
    tab.wait_for_more(had + 300)
    assert tab.top() == place
    jump.click()
    jump.wait_for(state="detached")
    tab.wait_for_more(tab.answer_length())
    assert tab.left() <= 40
    page.mouse.wheel(0, -200)
    jump.wait_for()
    page.wait_for_timeout(300)
    place = tab.top()
    tab.wait_message(2, "finished")
    page.wait_for_timeout(300)
    assert tab.top() == place
    tab.send("n=30 rate=100")
    tab.wait_message(4, "finished")
    assert tab.left() <= 40


def test_keys_leave_and_return(tab: ChatPage) -> None:
    """Page up leaves, End returns."""
    page = tab.choose().page
    tab.send(LONG)
    page.wait_for_function(f"() => {SCROLLER}.scrollTop > 600")
    page.get_by_role("region", name="Conversation").focus()
    page.keyboard.press("PageUp")
    page.get_by_test_id("jump-latest").wait_for()
    page.wait_for_timeout(400)
    place = tab.top()
    tab.wait_for_more(tab.answer_length() + 100)
    assert tab.top() == place
    page.keyboard.press("End")
    page.get_by_test_id("jump-latest").wait_for(state="detached")
    tab.wait_for_more(tab.answer_length())
    assert tab.left() <= 40


def test_an_error_moves_nothing(tab: ChatPage) -> None:
    """The error bubble that appears at the end does not move who reads further up."""
    page = tab.choose("simulator:overloaded-after").page
    tab.send("n=400 rate=100 kind=markdown fault=overloaded-after at=300")
    page.wait_for_function(f"() => {SCROLLER}.scrollTop > 300")
    page.mouse.move(700, 400)
    page.mouse.wheel(0, -100)
    page.wait_for_timeout(300)
    place = tab.top()
    tab.wait_message(2, "failed")
    page.wait_for_timeout(200)
    assert tab.top() == place
