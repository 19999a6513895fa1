"""The view follows the newest text, and never fights the reader."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.chat_page import LEFT, SCROLLER, ChatPage

# An answer that is stopped by its test, however slow the machine is.
ENDLESS = "n=100000 rate=120 kind=markdown seed=7"
# The greatest distance from the end that was painted, until the page is told to look no longer.
FAR = f"""() => {{
    window.far = 0;
    const sizes = new ResizeObserver(() => {{ window.far = Math.max(window.far, {LEFT}); }});
    sizes.observe({SCROLLER});
    sizes.observe({SCROLLER}.firstElementChild);
    window.lookNoLonger = () => sizes.disconnect();
}}"""
# Where the first message stands on the screen, in each frame from now on.
STANDS = """() => {
    const seen = new Set();
    window.stood = seen;
    const node = document.querySelector("[data-testid=message]");
    const look = () => {
        if (window.stood !== seen) return;
        seen.add(Math.round(node.getBoundingClientRect().top));
        requestAnimationFrame(look);
    };
    look();
}"""


def leave_and_stay(tab: ChatPage, end: Callable[[], object], status: str) -> None:
    """Leave the end by the wheel: nothing moves when the last answer ends, nor after it. Then return."""
    page = tab.page
    jump = page.get_by_test_id("jump-latest")
    page.mouse.wheel(0, -200)
    jump.wait_for()
    page.wait_for_timeout(300)
    page.evaluate(STANDS)
    place = tab.top()
    end()
    tab.wait_status(status)
    tab.paints(30)
    assert tab.top() == place
    assert page.evaluate("window.stood.size") == 1, f"the view moved when the answer was {status}"
    assert tab.left() > 40
    jump.click()
    page.wait_for_function(f"() => {LEFT} <= 40")
    jump.wait_for(state="detached")


def test_following_and_leaving(tab: ChatPage) -> None:
    """Following stays within 40 px of the end in every frame, with Markdown of all kinds growing; one wheel up ends it
    at once, and from then on nothing moves, also when the answer is stopped, when one ends, and after it; "jump to
    latest" returns and follows again, in mid-stream and after the end."""
    page = tab.choose().page
    tab.send(ENDLESS)
    tab.answers.first.wait_for()
    page.evaluate(FAR)
    page.wait_for_function(f"() => {SCROLLER}.scrollTop > 300")
    tab.wait_for_more(tab.answer_length() + 300)
    page.evaluate("window.lookNoLonger()")
    assert page.evaluate("window.far") <= 40
    jump = page.get_by_test_id("jump-latest")
    assert jump.count() == 0
    page.mouse.move(700, 400)
    page.mouse.wheel(0, -120)
    jump.wait_for()
    page.wait_for_timeout(300)  # a wheel may glide
    page.evaluate(STANDS)
    place = tab.top()
    had = tab.answer_length()
    tab.wait_for_more(had + 300)
    assert tab.top() == place
    assert page.evaluate("window.stood.size") == 1, "the view moved by itself"
    jump.click()
    jump.wait_for(state="detached")
    top = tab.top()
    page.wait_for_function(f"(top) => {SCROLLER}.scrollTop > top + 100", arg=top)
    assert tab.left() <= 40
    leave_and_stay(tab, lambda: page.keyboard.press("Escape"), "stopped")
    tab.send("n=300 rate=120 kind=markdown seed=7")
    tab.answers.nth(1).locator("p").first.wait_for()
    leave_and_stay(tab, lambda: None, "finished")
    tab.send("n=30 rate=100")
    tab.wait_message(6, "finished")
    assert tab.left() <= 40


def test_keys_leave_and_return(tab: ChatPage) -> None:
    """Page up leaves, End returns."""
    page = tab.choose().page
    tab.send(ENDLESS)
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
    page.keyboard.press("Escape")
    tab.wait_message(2, "stopped")


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
