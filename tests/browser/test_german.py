"""Every page in German: none of them keeps an English text of ours, and messages of the server are German as well."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from devservers.app import Served
from tests import ROOT
from tests.browser.test_accounts import fill
from tests.support.chat_page import PATIENCE, WATCH, ChatPage, Oddities

TEXTS = ROOT / "streamchat" / "web" / "look" / "texts"
ENGLISH = {
    text
    for table in TEXTS.glob("*.de.json")
    for text, translation in json.loads(table.read_text("utf-8")).items()
    if text != translation and "{" not in text
}
SHOWN = """() => {
  const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (nodes.nextNode()) {
    const { data, parentElement } = nodes.currentNode;
    if (data.trim() && !parentElement.closest("script, code")) texts.push(data.trim().replace(/\\s+/g, " "));
  }
  return [...texts, document.title.split(" · ")[0]];
}"""


@pytest.fixture
def server(serve: Callable[..., Served]) -> Served:
    return serve(
        STREAMCHAT_ACCOUNTS="invite",
        STREAMCHAT_MODELS="simulator:tour,simulator:rate-limited,openai:gpt-5",
        STREAMCHAT_SECRET_KEY="a secret of the tests that is long enough",
        STREAMCHAT_RETRIES="0",
    )


@pytest.fixture
def page(browser: Browser, server: Served) -> Iterator[Page]:
    context = browser.new_context(locale="de-DE", viewport={"width": 1280, "height": 800})
    context.add_init_script(WATCH)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    yield page
    context.close()


def english(page: Page) -> set[str]:
    """Return the texts of ours that are shown in English."""
    return ENGLISH & set(page.evaluate(SHOWN))


def test_every_page_is_german(page: Page, server: Served):
    """From the sign-in to the administration, with what scripts put in, what failed and what a model's answer says."""
    page.goto(server.url + "/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Konto anlegen")
    expect(page.get_by_test_id("user-name")).to_be_focused()
    assert english(page) == set()
    fill(page, "anna", "sign-up", password="short")
    expect(page.get_by_role("alert")).to_have_text("Ein Passwort hat 8 bis 1000 Zeichen.")
    fill(page, "anna", "sign-up")

    oddities = Oddities(page.context)
    oddities.own(server.url)
    oddities.allow("401", "403", "404", "WebSocket")
    chat = ChatPage(page, server, oddities, server.url).ready()
    chat.choose("simulator:rate-limited").ask("Hallo")
    chat.wait_status("failed")
    expect(chat.errors).to_contain_text("begrenzt die Anfragen")
    option = page.locator("option[value='openai:gpt-5']").first
    expect(option).to_have_text("gpt-5 (Geben Sie einen eigenen Schlüssel für OpenAI an.)")
    assert english(page) == set()

    for path, heading in (
        ("/lab", "Was Streaming ändert"),
        ("/latency", "Wie schnell Ihre Antworten kamen"),
        ("/account", "anna"),
        ("/admin", "Verwaltung"),
        ("/status?idle=1", "Verbindung"),
    ):
        page.goto(server.url + path)
        expect(page.get_by_role("heading", level=1)).to_have_text(heading)
        page.wait_for_load_state("networkidle")
        assert english(page) == set(), path
    expect(page.locator("#verdict")).to_have_text("Alles funktioniert.", timeout=60_000)

    page.goto(server.url + "/account")
    page.get_by_test_id("delete-name").fill("berta")
    page.get_by_test_id("delete-person").click()
    expect(page.get_by_role("alert")).to_have_text("Um ein Konto zu löschen, wiederholen Sie seinen Namen.")
    assert english(page) == set()
