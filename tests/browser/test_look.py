"""The look of the page: its language, its theme, what the operator made of it, and everything by keyboard."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Browser, expect

from devservers.app import Served
from tests.browser.conftest import OpenPage


def test_a_german_browser_gets_a_german_page(served: Served, browser: Browser) -> None:
    """Named by the document, from the first text that is shown on; the choice of English is kept over a reload."""
    context = browser.new_context(locale="de-DE")
    page = context.new_page()
    page.goto(served.url)
    expect(page.get_by_test_id("new-chat")).to_have_text("Neuer Chat")
    assert page.locator("html").get_attribute("lang") == "de"
    right = page.locator("#sidebar").evaluate("e => e.getBoundingClientRect().right")
    buttons = page.locator(".sidebar-foot > *")
    assert all(end <= right for end in buttons.evaluate_all("all => all.map(e => e.getBoundingClientRect().right)"))
    icons = page.locator(".sidebar-foot svg").evaluate_all("all => all.map(e => e.getBoundingClientRect().width)")
    assert icons == [14, 14, 14]
    page.get_by_test_id("settings").click()
    page.get_by_test_id("language").select_option("en")
    expect(page.get_by_test_id("new-chat")).to_have_text("New chat")
    page.reload()
    expect(page.get_by_test_id("new-chat")).to_have_text("New chat")
    assert page.locator("html").get_attribute("lang") == "en"
    tops = buttons.evaluate_all("all => all.map(e => e.getBoundingClientRect().top)")
    assert len(tops) == 3
    assert len(set(tops)) == 1, "English needs one line"
    context.close()


def test_the_theme_is_kept_and_there_before_the_page_is(served: Served, browser: Browser) -> None:
    """Dark stays dark over a reload, in a browser whose system is light; the bars of the browser follow."""
    context = browser.new_context(color_scheme="light")
    page = context.new_page()
    page.goto(served.url)
    page.get_by_test_id("settings").click()
    page.get_by_test_id("theme-dark").check()
    expect(page.locator("html.dark")).to_have_count(1)
    page.reload(wait_until="commit")
    page.wait_for_selector("body", state="attached")
    assert "dark" in (page.locator("html").get_attribute("class") or "")
    expect(page.get_by_test_id("send")).to_be_enabled()
    colours = page.eval_on_selector_all("meta[name=theme-color]", "metas => metas.map((meta) => meta.content)")
    assert set(colours) == {"#171716"}
    context.close()


def test_the_palette_is_used_by_keyboard(open_page: OpenPage) -> None:
    """Opened, searched, chosen and closed without a mouse; the focus is then where it was. If its code is not loaded,
    the page says so, and loads it when it is next opened."""
    chat = open_page("/")
    expect(chat.composer).to_be_focused()
    chat.oddities.allow("ERR_FAILED", "dynamically imported module")
    chat.page.route("**/overlays-*.js", lambda route: route.abort())
    chat.page.keyboard.press("Control+k")
    expect(chat.said).to_contain_text("could not be loaded")
    chat.page.unroute_all()
    chat.page.keyboard.press("Control+k")
    expect(chat.page.get_by_test_id("palette-query")).to_be_focused()
    chat.page.keyboard.type("theme dark")
    chat.page.keyboard.press("Enter")
    expect(chat.page.locator("html.dark")).to_have_count(1)
    expect(chat.composer).to_be_focused()  # as before
    chat.page.keyboard.press("Control+k")
    chat.page.keyboard.press("Escape")
    expect(chat.page.get_by_test_id("palette")).to_have_count(0)
    expect(chat.composer).to_be_focused()
    chat.page.keyboard.press("Control+k")
    chat.page.keyboard.type("system prompt")
    chat.page.keyboard.press("Enter")
    expect(chat.page.get_by_test_id("parameters")).to_be_focused()
    chat.page.keyboard.press("Tab")
    expect(chat.page.get_by_test_id("system-prompt")).to_be_visible()


def test_the_operators_name_and_accent(serve: Callable[..., Served], browser: Browser) -> None:
    """The built-in name is never seen, and the accent is the operator's."""
    server = serve(STREAMCHAT_APP_NAME="Acme", STREAMCHAT_ACCENT="#7c3aed")
    page = browser.new_context().new_page()
    page.goto(server.url)
    expect(page.locator(".brand")).to_have_text("Acme")
    expect(page.locator("html[data-pending]")).to_have_count(0)
    assert page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--accent')").strip() == "#7c3aed"
    expect(page).to_have_title("Acme")
    page.context.close()


def test_a_rating_is_there_after_a_reload(open_page: OpenPage) -> None:
    """With its reason, in this tab and in the next."""
    chat = open_page("/?model=simulator:tour")
    chat.ask("Hello rate=0 n=20").wait_status("finished")
    for rating in ("up", "down"):
        button = chat.page.get_by_test_id(f"feedback-{rating}")
        button.click()
        chat.page.get_by_test_id("feedback-reason").fill(f"Because {rating}")
        chat.page.get_by_test_id("feedback-send").click()
        expect(chat.page.get_by_test_id("feedback-reason")).to_have_count(0)
        expect(button).to_have_attribute("title", f"Because {rating}")
        chat.page.reload()
        expect(button).to_have_attribute("aria-pressed", "true")
        expect(button).to_have_attribute("title", f"Because {rating}")
