"""The composer: what sends, what does not, and what is kept."""

from __future__ import annotations

import re

from playwright.sync_api import Page, Route, expect

from tests.support.chat_page import ChatPage, numbered

PRESS = """(e, init) => e.dispatchEvent(
  new KeyboardEvent('keydown', {key: 'Enter', bubbles: true, cancelable: true, ...init}))"""


def count(page: Page) -> int:
    return page.get_by_test_id("message").count()


def test_nothing_is_sent_by_accident(tab: ChatPage) -> None:
    """Empty text, Shift+Enter and the Enter that ends a composition do not send; the next Enter does, and the line
    break is kept as it was written."""
    page = tab.choose().page
    tab.send("  \n ")
    page.get_by_test_id("send").click()
    tab.composer.fill("n=2 rate=0 kind=numbered")
    tab.composer.press("Shift+Enter")
    page.keyboard.type("second line にほん")
    written = "n=2 rate=0 kind=numbered\nsecond line にほん"
    assert tab.composer.input_value() == written
    tab.composer.evaluate(PRESS, {"keyCode": 229})
    tab.composer.evaluate(PRESS, {"isComposing": True})
    # In one go, as a browser does it: an Enter that comes later is one to send.
    tab.composer.evaluate(
        f"""(e, init) => {{
      e.dispatchEvent(new CompositionEvent('compositionend', {{bubbles: true}}));
      ({PRESS})(e, init);
    }}""",
        {"keyCode": 13},
    )
    page.wait_for_timeout(500)  # longer than any guard after a composition
    assert count(page) == 0
    assert tab.composer.input_value() == written
    tab.composer.press("Enter")
    tab.wait_status("finished")
    expect(tab.questions).to_have_count(1)
    assert re.search(r"numbered\s*\n\s*second line にほん", tab.questions.first.inner_text())


def test_drafts_and_the_model_are_kept(tab: ChatPage) -> None:
    """Each conversation keeps its draft, through a reload, and the model stays chosen."""
    page = tab.choose().page
    tab.send("n=5 rate=100")
    tab.wait_message(2, "finished")
    there = page.url
    tab.composer.fill("for later")
    page.get_by_test_id("new-chat").click()
    page.wait_for_url(f"{tab.url}/")
    page.wait_for_function("() => document.querySelector('[data-testid=composer]').value === ''")
    tab.composer.fill("something new")
    page.get_by_test_id("model-picker").select_option("simulator:cut")
    page.locator(f"[data-conversation-id='{there.rsplit('/', 1)[1]}']").click()
    page.wait_for_function("() => document.querySelector('[data-testid=composer]').value === 'for later'")
    page.goto(tab.url)
    page.wait_for_function("() => document.querySelector('[data-testid=composer]').value === 'something new'")
    page.wait_for_function("() => document.querySelector('[data-testid=model-picker]').value === 'simulator:cut'")


def test_a_phone(phone: ChatPage) -> None:
    """On a phone nothing scrolls sideways, and what is touched is 44 px high."""
    phone.choose().send("n=300 rate=1000 kind=markdown seed=4")
    phone.wait_message(2, "finished")
    page = phone.page
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("[aria-controls=sidebar]").click()
    page.get_by_test_id("new-chat").wait_for()
    small = page.evaluate("""() => [...document.querySelectorAll('button, summary, select, nav a')]
      .filter((e) => e.getClientRects().length && e.getBoundingClientRect().height < 43.5).map((e) => e.outerHTML)""")
    assert small == []
    page.get_by_test_id("new-chat").click()
    page.wait_for_function("() => document.querySelector('.sidebar').dataset.open === 'false'")


def test_what_is_written_before_the_page_is_ready(tab: ChatPage) -> None:
    """Its code is late: what was typed stays, a press on Send waits for the code, and the message is sent once."""
    page = tab.page
    held: list[Route] = []
    is_late = True

    def hold(route: Route) -> None:
        if is_late:
            held.append(route)
        else:
            route.continue_()

    page.route("**/assets/*.js", hold)
    page.goto(f"{tab.url}/?model=simulator:tour", wait_until="commit")
    tab.composer.fill("n=5 rate=0 kind=numbered")
    expect(page.get_by_test_id("send")).to_be_disabled()
    is_late = False
    for route in held:
        route.continue_()
    page.get_by_test_id("send").click()
    tab.wait_status("finished")
    assert tab.words() == numbered(5)
    assert count(page) == 2
