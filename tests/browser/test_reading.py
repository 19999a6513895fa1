"""The page never fights its reader: scrolling, typing, and what stays where it is while words come."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.support.chat_page import ChatPage, numbered
from tests.support.simulated import Simulated

# The element that scrolls is whatever scrolls around the thread: found, not named.
SCROLLER = """() => {
    let node = document.querySelector("[data-testid=message]");
    while (node && !(node.scrollHeight > node.clientHeight + 1 && /auto|scroll/.test(getComputedStyle(node).overflowY)))
        node = node.parentElement;
    return node ?? document.scrollingElement;
}"""
DISTANCE = f"() => {{ const s = ({SCROLLER})(); return s.scrollHeight - s.clientHeight - s.scrollTop; }}"
# Where a message that is in view stands on the screen, at every frame until the answer has ended and a while longer.
STANDS = """(id) => {
    const seen = new Set();
    window.stood = seen;
    const look = () => {
        const node = document.querySelector(`[data-message-id="${id}"]`);
        seen.add(Math.round(node.getBoundingClientRect().top));
        window.standing = requestAnimationFrame(look);
    };
    look();
}"""


def wheel(chat: ChatPage, pixels: int) -> None:
    box = chat.messages.last.bounding_box()
    assert box
    chat.page.mouse.move(box["x"] + 20, 300)
    chat.page.mouse.wheel(0, pixels)


def test_following_stays_at_the_end(chat: ChatPage, mark: str):
    """While following, the end is never more than 40 px away, with Markdown of all kinds growing."""
    chat.ask(f"{mark} n=400 rate=80 kind=markdown seed=3")
    chat.page.evaluate(
        f"""() => {{
            window.far = 0;
            const look = () => {{ window.far = Math.max(window.far, ({DISTANCE})()); requestAnimationFrame(look); }};
            look();
        }}"""
    )
    chat.wait_status("finished")
    chat.paints()
    assert chat.page.evaluate(f"({SCROLLER})().scrollTop") > 100, "there was something to follow"
    assert chat.page.evaluate("window.far") <= 40
    assert chat.jump_latest.count() == 0


def test_one_scroll_up_ends_following(chat: ChatPage, mark: str):
    """One turn of the wheel: from then on the view moves 0 px, to the end of the stream and after it. Jump to latest
    appears, goes to the end, and follows again."""
    chat.ask(f"{mark} first n=300 rate=0 kind=markdown seed=5").wait_status("finished")
    chat.ask(f"{mark} second n=300 rate=50 kind=markdown seed=6")
    chat.paints(30)
    assert chat.page.evaluate(DISTANCE) <= 40
    wheel(chat, -300)
    expect(chat.jump_latest).to_be_visible()
    chat.paints(20)  # a wheel may glide
    first = chat.questions.first.get_attribute("data-message-id")
    chat.page.evaluate(STANDS, first)
    chat.wait_status("finished")
    chat.paints(30)
    assert len(chat.page.evaluate("[...window.stood]")) == 1, "the view moved by itself"
    assert chat.page.evaluate(DISTANCE) > 40
    chat.jump_latest.click()
    chat.page.wait_for_function(f"() => ({DISTANCE})() <= 40")
    expect(chat.jump_latest).to_have_count(0)


def test_jump_to_latest_follows_again(chat: ChatPage, mark: str):
    """Pressed in mid-stream, it returns to the end and stays there while more comes."""
    chat.ask(f"{mark} n=500 rate=60 kind=markdown seed=7")
    chat.page.wait_for_function(f"() => ({SCROLLER})().scrollTop > 200")
    wheel(chat, -200)
    expect(chat.jump_latest).to_be_visible()
    chat.jump_latest.click()
    expect(chat.jump_latest).to_have_count(0)
    top = chat.page.evaluate(f"({SCROLLER})().scrollTop")
    chat.page.wait_for_function(f"() => ({SCROLLER})().scrollTop > {top} + 100")
    assert chat.page.evaluate(DISTANCE) <= 40
    chat.stop_button.click()
    chat.wait_status("stopped")


def test_enter_during_a_composition_does_not_send(chat: ChatPage, mark: str):
    """The Enter that chooses a candidate of an input method is not Send; the next Enter is."""
    chat.composer.fill(f"{mark} n=2 rate=0 kind=numbered にほん")
    # In one script: some browsers end the composition first, and send the same Enter right after it.
    chat.composer.evaluate(
        """(area) => {
            const enter = (how) => area.dispatchEvent(
                new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true, ...how }));
            area.dispatchEvent(new CompositionEvent("compositionstart", { bubbles: true }));
            enter({ isComposing: true });
            enter({ keyCode: 229 });
            area.dispatchEvent(new CompositionEvent("compositionend", { bubbles: true }));
            enter({});
        }"""
    )
    chat.paints(30)
    assert chat.messages.count() == 0
    assert "にほん" in chat.composer.input_value()
    chat.page.wait_for_timeout(200)  # longer than any guard after a composition
    chat.composer.press("Enter")
    chat.wait_status("finished")
    expect(chat.questions).to_have_count(1)


def test_a_real_composition_does_not_send(chat: ChatPage, mark: str):
    """The same with the browser's own input method events."""
    devtools = chat.page.context.new_cdp_session(chat.page)
    chat.composer.fill(f"{mark} n=2 rate=0 kind=numbered ")
    chat.composer.press("End")
    devtools.send("Input.imeSetComposition", {"text": "にほん", "selectionStart": 3, "selectionEnd": 3})
    devtools.send(
        "Input.dispatchKeyEvent",
        {"type": "rawKeyDown", "key": "Process", "code": "Enter", "windowsVirtualKeyCode": 229},
    )
    chat.paints()
    assert chat.messages.count() == 0
    devtools.send("Input.insertText", {"text": "日本"})
    assert chat.composer.input_value().endswith("日本")
    chat.page.wait_for_timeout(200)  # longer than any guard after a composition
    chat.composer.press("Enter")
    chat.wait_status("finished")
    expect(chat.questions).to_contain_text(["日本"])


def test_shift_enter_breaks_the_line(chat: ChatPage, mark: str):
    """Shift+Enter is a line break in the message, kept as it was written."""
    chat.composer.fill(f"{mark} n=2 rate=0 kind=numbered")
    chat.composer.press("Shift+Enter")
    chat.composer.press_sequentially("second line")
    assert chat.messages.count() == 0
    assert chat.composer.input_value().endswith("\nsecond line")
    chat.composer.press("Enter")
    chat.wait_status("finished")
    assert re.search(r"numbered\s*\n\s*second line", chat.questions.first.inner_text())


def test_twice_is_once(chat: ChatPage, simulated: Simulated, mark: str):
    """Enter twice at once, and a double click on Send: one question, one answer, one request of the provider, and one
    element for each message at all times."""
    first = f"{mark} first n=20 rate=40 kind=numbered"
    chat.composer.fill(first)
    chat.page.evaluate(
        """() => {
            const press = () => document.querySelector("[data-testid=composer]").dispatchEvent(
                new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
            press(); press(); press();
        }"""
    )
    chat.wait_status("finished")
    second = f"{mark} second n=20 rate=40 kind=numbered"
    chat.composer.fill(second)
    chat.send_button.dblclick()
    expect(chat.questions).to_have_count(2)
    chat.answers.nth(1).wait_for()
    chat.wait_text("w000020")
    assert chat.questions.count() == chat.answers.count() == 2
    assert len(simulated.requests(first)) == 1
    assert simulated.wait_closed(second, by="server")["text"] == " ".join(numbered(20))
    assert chat.seen()["doubles"] == []


def test_a_slow_double_click_on_send_is_not_stop(chat: ChatPage, mark: str):
    """Send becomes Stop under the pointer: the second click of a double click must not stop the answer."""
    chat.composer.fill(f"{mark} n=30 rate=20 kind=numbered")
    box = chat.send_button.bounding_box()
    assert box
    chat.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(chat.stop_button).to_be_visible()
    chat.page.mouse.down(click_count=2)
    chat.page.mouse.up(click_count=2)
    chat.page.wait_for_function(
        "() => /finished|stopped/.test(document.querySelector('[data-role=assistant]')?.dataset.status)"
    )
    assert chat.answers.last.get_attribute("data-status") == "finished"


def test_typing_while_an_answer_comes(chat: ChatPage, mark: str):
    """Every keystroke arrives in order while 60 tokens/s of Markdown are painted; the answer is not disturbed; the
    message waits until the answer has ended, and is sent then."""
    chat.ask(f"{mark} n=900 rate=60 kind=markdown seed=9")
    typed = "the quick brown fox jumps over the lazy dog 0123456789 " * 3
    chat.composer.press_sequentially(typed, delay=10)
    assert chat.composer.input_value() == typed
    chat.composer.press("Enter")
    expect(chat.page.get_by_test_id("queued")).to_contain_text(typed.strip())
    expect(chat.composer).to_have_value("")
    assert chat.questions.count() == 1
    expect(chat.questions).to_have_count(2, timeout=60_000)
    expect(chat.page.get_by_test_id("queued")).to_have_count(0)
    assert chat.seen()["longest"] < 2000


def test_the_draft_survives_a_reload(open_page: OpenPage, mark: str):
    """What was typed is there after a reload, also while an answer is written; each conversation has its own."""
    chat = open_page("/")
    chat.ask(f"{mark} n=100 rate=40 kind=numbered").wait_text("w000002")
    chat.composer.fill("not sent yet")
    chat.page.reload()
    chat.ready()
    expect(chat.composer).to_have_value("not sent yet")
    chat.page.get_by_test_id("new-chat").click()
    expect(chat.composer).to_have_value("")


def test_focus_stays_in_the_composer(chat: ChatPage, mark: str):
    """Sending does not take the focus away: the next message can be typed at once, through redirect and answer."""
    chat.composer.click()
    chat.composer.press_sequentially(f"{mark} n=5 rate=20 kind=numbered")
    chat.page.keyboard.press("Enter")
    chat.wait_status("finished")
    chat.page.keyboard.type("next")
    expect(chat.composer).to_have_value("next")


def test_what_is_spoken(chat: ChatPage, mark: str):
    """One polite live region speaks at the boundaries, not per token; the thread is busy meanwhile."""
    region = chat.page.locator("[aria-live=polite]")
    expect(region).to_have_count(1)
    chat.ask(f"{mark} n=60 rate=40 kind=numbered")
    expect(region).to_have_text("Generating")
    expect(chat.page.locator("[aria-busy=true]")).to_have_count(1)
    chat.wait_status("finished")
    expect(region).to_have_text("Complete, 60 words")
    expect(chat.page.locator("[aria-busy=true]")).to_have_count(0)
