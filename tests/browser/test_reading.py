"""The page never fights its reader: typing, and what stays where it is while words come."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.support.chat_page import ChatPage, numbered
from tests.support.simulated import Simulated


def test_a_real_composition_does_not_send(chat: ChatPage, mark: str):
    """The Enter that chooses a candidate of an input method is not Send, with the browser's own events."""
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


def test_twice_is_once(chat: ChatPage, simulated: Simulated, mark: str):
    """Enter three times and two clicks at once, and a double click on Send: one question, one answer that goes on to
    its end, one request of the provider, and one element for each message at all times."""
    first = f"{mark} first n=20 rate=40 kind=numbered"
    chat.composer.fill(first)
    chat.page.evaluate(
        """() => {
            const press = () => document.querySelector("[data-testid=composer]").dispatchEvent(
                new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
            press(); press(); press();
            for (let i = 0; i < 2; i += 1) document.querySelector("[data-testid=send]")?.click();
        }"""
    )
    chat.wait_status("finished")
    assert chat.questions.count() == chat.answers.count() == 1
    assert chat.composer.input_value() == ""
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
    chat.ask(f"{mark} n=350 rate=60 kind=markdown seed=9")
    typed = "the quick brown fox jumps over the lazy dog 0123456789 "
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
    chat.ask(f"{mark} n=50 rate=20 kind=numbered").wait_text("w000002")
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
    chat.ask(f"{mark} n=30 rate=20 kind=numbered")
    expect(region).to_have_text("Generating")
    expect(chat.page.locator("[aria-busy=true]")).to_have_count(1)
    chat.wait_status("finished")
    expect(region).to_have_text("Complete, 30 words")
    expect(chat.page.locator("[aria-busy=true]")).to_have_count(0)
