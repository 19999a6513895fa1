"""The page by keyboard alone: no test here moves a mouse."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.test_conversations import imported
from tests.browser.test_tool_approval import Asked
from tests.support.chat_page import ChatPage
from tests.support.wire import Wire

MOST_STOPS = 60  # of the Tab key on the way from one end of the page to anything that is not in a message
HERE = "document.activeElement?.getAttribute('data-testid') ?? document.activeElement?.getAttribute('aria-label')"


def focused(page: Page) -> str | None:
    """The test id of the focused element, or its name."""
    return page.evaluate(HERE)


def tab_to(page: Page, wanted: str, key: str = "Tab") -> None:
    """Press Tab until the element with this test id or name has the focus."""
    for _ in range(MOST_STOPS):
        if focused(page) == wanted:
            return
        page.keyboard.press(key)
    raise AssertionError(f"{wanted} is not reached with {key}")


def from_the_start(page: Page) -> None:
    """The focus is before all elements of the page."""
    page.evaluate("document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute('tabindex')")


def test_a_visit_from_question_to_export(chat: ChatPage, mark: str):
    """Write, stop, retry, walk the versions, open the details, edit the question, rename and pin the conversation, find
    it, begin another one."""
    page = chat.page
    expect(chat.composer).to_be_focused()
    page.keyboard.type(f"{mark} n=2000 rate=10 kind=numbered")
    page.keyboard.press("Enter")
    chat.wait_text("w000003")
    page.keyboard.press("Escape")
    chat.wait_status("stopped")
    # What can be done with the answer is before the composer.
    tab_to(page, "retry", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(chat.answers.last.get_by_test_id("branch")).to_have_attribute("data-count", "2")
    chat.wait_status("streaming")
    chat.wait_text("w000003")
    page.keyboard.press("Escape")
    chat.wait_status("stopped")
    page.keyboard.press("/")
    expect(chat.composer).to_be_focused()
    tab_to(page, "branch-previous", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(chat.answers.last.get_by_test_id("branch")).to_have_attribute("data-index", "1")
    page.keyboard.press("/")
    tab_to(page, "edit", "Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("edit-box")).to_be_focused()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type(f"{mark} changed n=3 rate=0 kind=numbered")
    tab_to(page, "edit-save")
    page.keyboard.press("Enter")
    chat.wait_status("finished")
    expect(chat.questions.first).to_contain_text("changed")
    # The list, from the start of the page.
    from_the_start(page)
    tab_to(page, "conversation-item")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("rename-box")).to_be_focused()
    page.keyboard.type(f"Keys {mark}")
    page.keyboard.press("Enter")
    expect(page.locator(".thread-title")).to_have_text(f"Keys {mark}")
    from_the_start(page)
    tab_to(page, "search")
    page.keyboard.type(f"{mark} changed")
    hit = page.get_by_test_id("search-hit").first
    expect(hit).to_be_visible()
    tab_to(page, "search-hit")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/c/[^#]+#"))
    from_the_start(page)
    tab_to(page, "new-chat")
    page.keyboard.press("Enter")
    expect(chat.composer).to_be_focused()
    page.keyboard.type("next")
    expect(chat.composer).to_have_value("next")


def test_the_composer_is_one_key_away(open_page: OpenPage, tab: ChatPage):
    """However long the conversation is: by "/" from anywhere, and by the first Tab stop of the page. In a field "/" is
    a character."""
    where = imported(tab.served, "Long", *(f"text {n}" for n in range(100)))
    page = tab.open(f"/c/{where}").page
    expect(tab.messages).to_have_count(50)
    page.get_by_role("region", name="Conversation").focus()
    page.keyboard.press("/")
    expect(tab.composer).to_be_focused()
    page.keyboard.type("a/b")
    expect(tab.composer).to_have_value("a/b")
    from_the_start(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Write a message")).to_be_focused()
    expect(page.get_by_role("button", name="Write a message")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(tab.composer).to_be_focused()
    # And from the composer the model, the files and Send are a few stops away.
    for wanted in ("model-picker", "send"):
        tab_to(page, wanted)


def test_the_focus_begins_in_the_composer(open_page: OpenPage, mark: str):
    """On load, in a new chat, after a click on Send: what is typed is text of the message, and Space stops nothing."""
    chat = open_page("/")
    expect(chat.composer).to_be_focused()
    chat.page.keyboard.type(f"{mark} n=100 rate=20 kind=numbered")
    chat.send_button.click()
    expect(chat.stop_button).to_be_visible()
    chat.page.keyboard.type("and more words")
    expect(chat.composer).to_have_value("and more words")
    chat.wait_text("w000003")
    assert chat.answers.last.get_attribute("data-status") == "streaming"
    chat.page.get_by_test_id("new-chat").click()
    expect(chat.composer).to_be_focused()
    chat.page.keyboard.type("elsewhere")
    expect(chat.composer).to_have_value("elsewhere")
    chat.page.go_back()
    chat.wait_status("finished")
    chat.page.reload()
    chat.ready()
    expect(chat.composer).to_be_focused()


Opened = Callable[[Page], Any]
MENUS: dict[str, tuple[str, str]] = {
    "tools": ("tools", "[role=group][aria-label='Tools of this conversation']"),
    "conversation": ("conversation-menu", "[role=menu]"),
    "parameters": ("parameters", "[data-testid=system-prompt]"),
    "compare": ("compare", "[data-testid=compare-model]"),
}


def test_escape_closes_what_is_open_and_stops_nothing(chat: ChatPage, mark: str):
    """While an answer streams, the first Escape closes the menu, the second one stops the answer."""
    page = chat.page
    for name, (button, shown) in MENUS.items():
        chat.ask(f"{mark} n=5000 rate=8 kind=numbered").wait_text("w000002")
        page.get_by_test_id(button).first.focus()
        page.keyboard.press("Enter")
        expect(page.locator(shown).first, name).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator(shown), name).to_have_count(0)
        had = chat.answer_length()
        chat.wait_for_more(had + 10)
        assert chat.answers.last.get_attribute("data-status") == "streaming", name
        page.keyboard.press("Escape")
        chat.wait_status("stopped")


def test_escape_closes_the_list_of_models(chat: ChatPage, mark: str):
    """The browser's own list of options: Escape in it is not about the answer."""
    page = chat.page
    chat.ask(f"{mark} n=5000 rate=8 kind=numbered").wait_text("w000002")
    chat.picker.focus()
    page.keyboard.press("Alt+ArrowDown")
    page.wait_for_function("() => document.querySelector('[data-testid=model-picker]').matches(':open')")
    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.querySelector('[data-testid=model-picker]').matches(':open')")
    had = chat.answer_length()
    chat.wait_for_more(had + 10)
    assert chat.answers.last.get_attribute("data-status") == "streaming"
    page.keyboard.press("Escape")
    chat.wait_status("stopped")


def test_escape_does_not_end_what_was_decided_elsewhere(tab: ChatPage, wire: Wire):
    """While a call waits, Escape asks the server to end it if it still waits; right after another tab decided, Escape
    was meant for the form that has gone."""
    asked = Asked(tab.choose(), wire).ask()
    page = asked.page
    page.keyboard.press("Escape")
    for _ in range(100):
        if wire.calls("stop"):
            break
        page.wait_for_timeout(50)
    assert [call["waiting_only"] for call in wire.calls("stop")] == [True]
    # In one script: between the end of the form and the key there is no time for a slow machine.
    page.evaluate(
        """() => {
            window.pressed = 0;
            new MutationObserver((_, observer) => {
                if (document.querySelector(".approval")) return;
                observer.disconnect();
                document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
                window.pressed += 1;
            }).observe(document.body, { childList: true, subtree: true });
        }"""
    )
    asked.change(state="running", schema=None, status="streaming")
    page.wait_for_function("() => window.pressed === 1")
    asked.tab.paints()
    assert len(wire.calls("stop")) == 1
