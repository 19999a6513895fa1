"""Every screen by the rules of axe: nothing serious and nothing critical, in the light theme and in the dark one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from devservers.app import Served
from tests import ROOT
from tests.browser.conftest import OpenPage
from tests.browser.test_accounts import fill
from tests.browser.test_compare import MODELS, compare
from tests.browser.test_conversations import imported
from tests.browser.test_tool_approval import Asked
from tests.browser.test_tool_panel import PLOT, WAVE, call
from tests.support.chat_page import PATIENCE, ChatPage
from tests.support.wire import Wire

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
# Of the rules, those about colours depend on the theme.
COLOURS = ["color-contrast", "link-in-text-block"]
FOUND = """async (rules) => {
    const only = rules ? { runOnly: rules } : {};
    const { violations } = await axe.run(document, { resultTypes: ["violations"], preload: false, ...only });
    return violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => [id, target.join(" "), failureSummary]));
}"""


def check(page: Page) -> None:
    """Assert that axe finds nothing serious here, in both themes."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    for theme, rules in (("light", None), ("dark", COLOURS)):
        page.evaluate("(theme) => { document.documentElement.className = theme; }", theme)
        page.evaluate("new Promise(requestAnimationFrame)")
        assert page.evaluate(FOUND, rules) == [], theme


@pytest.fixture
def told(tab: ChatPage, wire: Wire) -> Asked:
    return Asked(tab.choose(), wire)


def test_the_empty_page(chat: ChatPage):
    check(chat.page)


def test_a_conversation(chat: ChatPage, mark: str):
    """While an answer streams, complete, with its details, with its menus."""
    chat.ask(f"{mark} n=100000 rate=10 kind=markdown seed=3").wait_text(r"\w+ \w+ \w+")
    check(chat.page)
    chat.stop_button.click()
    chat.wait_status("stopped")
    chat.ask(f"{mark} n=150 rate=0 kind=markdown seed=4").wait_status("finished")
    chat.answers.last.get_by_test_id("details").locator("summary").click()
    expect(chat.page.get_by_test_id("run-id")).to_be_visible()
    check(chat.page)
    chat.page.get_by_test_id("replay").click()
    expect(chat.page.get_by_test_id("replay")).to_have_attribute("aria-expanded", "true")
    check(chat.page)
    chat.page.get_by_test_id("tools").click()
    check(chat.page)
    chat.page.keyboard.press("Escape")
    chat.rows.first.hover()
    chat.page.get_by_test_id("conversation-menu").first.click()
    check(chat.page)
    chat.page.get_by_test_id("share").click()
    expect(chat.page.locator("dialog")).to_be_visible()
    check(chat.page)


def test_an_error(tab: ChatPage, mark: str):
    """An answer that broke off, and one that was refused before it began."""
    tab.choose("simulator:overloaded-after")
    tab.ask(f"{mark} n=40 rate=0 kind=numbered fault=overloaded-after at=20").wait_status("failed")
    tab.composer.fill("x" * 200_001)
    tab.composer.press("Enter")
    expect(tab.said).to_be_visible()
    check(tab.page)


def test_settings_of_a_chat(chat: ChatPage):
    chat.page.get_by_test_id("parameters").click()
    expect(chat.page.get_by_test_id("system-prompt")).to_be_visible()
    check(chat.page)


def test_search_and_archive(chat: ChatPage):
    imported(chat.served, "Seen by axe", "a quagga question", "a quagga answer")
    chat.page.get_by_test_id("search").fill("quagga")
    expect(chat.page.get_by_test_id("search-hit").first).to_be_visible()
    check(chat.page)
    chat.page.get_by_test_id("search").fill("")
    chat.page.get_by_test_id("archived").click()
    check(chat.page)


def test_answers_side_by_side(tab: ChatPage):
    compare(tab.choose(MODELS[0]), "n=20 rate=0 kind=markdown", MODELS[0], MODELS[2])
    expect(tab.page.get_by_test_id("keep").first).to_be_visible()
    check(tab.page)


def test_an_approval(told: Asked):
    """The form as it comes, and with a field that is wrong."""
    told.ask()
    check(told.page)
    told.form.get_by_label("Days").fill("many")
    told.button("Approve with changes").click()
    expect(told.form.get_by_label("Days")).to_be_focused()
    check(told.page)


def test_tool_calls_and_thoughts(told: Asked):
    """Running, done, failed; a plot and a table; thoughts that are opened."""
    table = {"$view": "table", "columns": ["a", "b"], "rows": [[n, n * n] for n in range(30)]}
    plot = PLOT | {"series": [{"name": "a", "points": WAVE}]}
    told.open(
        {"type": "reasoning", "text": "First **this**, then `that`."},
        call("running", progress=["one", "two"], arguments={"city": "Lima"}),
        call("done", "d", arguments={"city": "Lima"}, result="Sunny.", duration_ms=300),
        call("error", "e", arguments={"city": "Lima"}, error="There is no such city."),
        call("done", "t", arguments={}, result=table),
        call("done", "p", arguments={}, result=plot),
    )
    told.page.locator(".reasoning summary").click()
    told.page.locator(".recharts-line path").first.wait_for()
    check(told.page)


def test_the_drawer_of_a_phone(phone: ChatPage, mark: str):
    phone.open("/")
    phone.ask(f"{mark} n=60 rate=0 kind=markdown seed=5").wait_status("finished")
    check(phone.page)
    phone.page.get_by_role("button", name="Conversations").click()
    expect(phone.page.get_by_test_id("new-chat")).to_be_in_viewport()
    check(phone.page)


def test_the_lab(tab: ChatPage):
    """Before a race, and with its numbers."""
    tab.page.goto(f"{tab.url}/lab?n=20&rate=200&ttft=10")
    tab.page.get_by_test_id("lab-start").wait_for()
    check(tab.page)
    tab.page.get_by_test_id("lab-start").click()
    row = tab.page.locator("[data-testid=lab-row][data-transport=page][data-last-ms]")
    expect(row).to_be_visible(timeout=PATIENCE)
    check(tab.page)


def test_latency(chat: ChatPage, mark: str):
    chat.ask(f"{mark} n=3 rate=0 kind=numbered").wait_status("finished")
    chat.page.goto(f"{chat.url}/latency")
    expect(chat.page.get_by_test_id("latency-results")).to_be_visible(timeout=PATIENCE)
    check(chat.page)


@pytest.mark.parametrize("path", ["/status", "/no/such/page", "/c/doesnotexist"])
def test_other_pages(tab: ChatPage, path: str):
    tab.oddities.allow("404")
    tab.page.goto(tab.url + path)
    expect(tab.page.get_by_role("heading", level=1).or_(tab.page.locator(".missing")).first).to_be_visible()
    check(tab.page)


@pytest.fixture(scope="module")
def with_accounts(built: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder: Path = tmp_path_factory.mktemp("axe") / "data"
    server = Served(folder, {"STREAMCHAT_ACCOUNTS": "open", "STREAMCHAT_MODELS": "simulator:tour"}).start()
    yield server
    server.stop()


def test_accounts(open_page: OpenPage, with_accounts: Served):
    """Signing in and up, one's own account, and the page of the admin."""
    tab = open_page(None, server=with_accounts)
    tab.oddities.allow("401", "403", "WebSocket")
    page = tab.page
    page.goto(f"{tab.url}/sign-up")
    expect(page.get_by_test_id("sign-up")).to_be_visible()
    check(page)
    fill(page, "anna", "sign-up")
    tab.ready()
    page.goto(f"{tab.url}/account")
    page.get_by_test_id("to-admin").wait_for()
    check(page)
    page.get_by_test_id("to-admin").click()
    page.get_by_test_id("admin-people").wait_for()
    check(page)
    page.context.clear_cookies()
    page.goto(f"{tab.url}/sign-in")
    expect(page.get_by_test_id("sign-in")).to_be_visible()
    check(page)
