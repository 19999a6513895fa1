"""The composer: what sends, what does not, and what is kept."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.served import Served
from tests.page.chat import Chat

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]
PRESS = """(e, init) => e.dispatchEvent(
  new KeyboardEvent('keydown', {key: 'Enter', bubbles: true, cancelable: true, ...init}))"""


def count(page: Page) -> int:
    return page.get_by_test_id("message").count()


def test_nothing_is_sent_by_accident(chat: Chat) -> None:
    """Empty text, Shift+Enter and the Enter that ends a composition do not send."""
    page = chat.open().page
    chat.send("  \n ")
    page.get_by_test_id("send").click()
    chat.composer.fill("one")
    chat.composer.press("Shift+Enter")
    page.keyboard.type("two")
    assert chat.composer.input_value() == "one\ntwo"
    chat.composer.evaluate(PRESS, {"keyCode": 229})
    chat.composer.evaluate(PRESS, {"isComposing": True})
    chat.composer.evaluate("e => e.dispatchEvent(new CompositionEvent('compositionend', {bubbles: true}))")
    chat.composer.evaluate(PRESS, {"keyCode": 13})
    page.wait_for_timeout(500)
    assert count(page) == 0
    assert chat.composer.input_value() == "one\ntwo"


def test_twice_is_once(chat: Chat) -> None:
    """Enter three times and two clicks at once are one message and one answer, which goes on; Esc stops it."""
    page = chat.open().page
    chat.composer.fill("n=300 rate=50")
    page.evaluate("""() => {
      const area = document.querySelector('[data-testid=composer]');
      const enter = {key: 'Enter', bubbles: true, cancelable: true};
      for (let i = 0; i < 3; i += 1) area.dispatchEvent(new KeyboardEvent('keydown', enter));
      for (let i = 0; i < 2; i += 1) document.querySelector('[data-testid=send]')?.click();
    }""")
    chat.wait_for(2, "streaming")
    chat.wait_for_more(20)
    assert count(page) == 2
    assert chat.composer.input_value() == ""
    page.keyboard.press("Escape")
    chat.wait_for(2, "stopped")
    assert page.evaluate("document.activeElement.dataset.testid") == "composer"


def test_too_long_a_message_stays(chat: Chat) -> None:
    """More than the limit gets one sentence, and the draft stays."""
    chat.open().send("x" * 200_001)
    assert "too long" in chat.page.locator(".said").inner_text()
    assert len(chat.composer.input_value()) == 200_001
    assert count(chat.page) == 0


def test_drafts_and_the_model_are_kept(chat: Chat) -> None:
    """Each conversation keeps its draft, through a reload, and the model stays chosen."""
    page = chat.open().page
    chat.send("n=5 rate=100")
    chat.wait_for(2, "finished")
    there = page.url
    chat.composer.fill("for later")
    page.get_by_test_id("new-chat").click()
    page.wait_for_url(f"{chat.url}/")
    page.wait_for_function("document.querySelector('[data-testid=composer]').value === ''")
    chat.composer.fill("something new")
    page.get_by_test_id("model-picker").select_option("simulator:cut")
    page.locator(f"[data-conversation-id='{there.rsplit('/', 1)[1]}']").click()
    page.wait_for_function("document.querySelector('[data-testid=composer]').value === 'for later'")
    page.goto(chat.url)
    page.wait_for_function("document.querySelector('[data-testid=composer]').value === 'something new'")
    page.wait_for_function("document.querySelector('[data-testid=model-picker]').value === 'simulator:cut'")


def test_a_phone(app: Served, browser: Browser) -> None:
    """On a phone nothing scrolls sideways, and what is touched is 44 px high."""
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    chat = Chat(context.new_page(), app.url).open()
    chat.send("n=300 rate=1000 kind=markdown seed=4")
    chat.wait_for(2, "finished")
    page = chat.page
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("[aria-controls=sidebar]").click()
    page.get_by_test_id("new-chat").wait_for()
    small = page.evaluate("""() => [...document.querySelectorAll('button, summary, select, nav a')]
      .filter((e) => e.getClientRects().length && e.getBoundingClientRect().height < 43.5).map((e) => e.outerHTML)""")
    assert small == []
    page.get_by_test_id("new-chat").click()
    page.wait_for_function("document.querySelector('.sidebar').dataset.open === 'false'")
    context.close()
