"""An answer is played again in its details, and is then what it was."""

from __future__ import annotations

import json
from pathlib import Path

from playwright.sync_api import Locator, expect

from tests.browser.conftest import OpenPage
from tests.browser.test_content_policy import reported, violations
from tests.support.chat_page import ChatPage, numbered

__all__ = ["reported"]
PATIENCE = 90_000


def replayed(chat: ChatPage) -> Locator:
    """The replay of the last answer, at its end."""
    details = chat.answers.last.get_by_test_id("details")
    details.locator("summary").first.click()
    details.get_by_test_id("replay").click()
    panel = details.get_by_test_id("replay-panel")
    panel.get_by_test_id("replay-speed").select_option("20")
    length = panel.get_attribute("data-length") or ""
    expect(panel).to_have_attribute("data-position", length, timeout=PATIENCE)
    return panel


def test_a_replay_ends_as_the_answer_is(reported: None, open_page: OpenPage):
    """With its Markdown, its thinking and its tool calls; step by step it grows; its recording is a file."""
    chat = open_page("/?model=simulator:tour")
    chat.ask("Show me what you can do rate=400").wait_status("finished", timeout=PATIENCE)
    answer = chat.answers.last
    original = answer.locator("> [data-testid=answer]").all_text_contents()
    panel = replayed(chat)
    again = panel.locator("[data-testid=answer]")
    # Blocks of a long text are filled in one after the other.
    expect(again).to_have_text(original, timeout=PATIENCE)
    panel.get_by_test_id("replay-restart").click()
    expect(panel).to_have_attribute("data-position", "0")
    lengths = []
    for position in range(1, 6):
        panel.get_by_test_id("replay-step").click()
        expect(panel).to_have_attribute("data-position", str(position))
        lengths.append(len(panel.locator(".replay-answer").inner_text()))
    assert lengths == sorted(lengths)
    with chat.page.expect_download() as download:
        answer.get_by_test_id("recording").click()
    recording = json.loads(Path(download.value.path()).read_text())
    assert len(recording["events"]) == int(panel.get_attribute("data-length") or 0)
    panel.get_by_test_id("replay-continue").click()
    branch = chat.answers.last.get_by_test_id("branch")
    expect(branch).to_have_attribute("data-index", "2", timeout=PATIENCE)
    chat.wait_status("finished", timeout=PATIENCE)
    assert violations(chat.page) == []


def test_it_fits_on_a_phone(phone: ChatPage):
    """Without sideways scrolling, and with controls that a finger can hit."""
    phone.open("/")
    phone.ask("n=30 rate=0 kind=numbered").wait_status("finished", timeout=PATIENCE)
    panel = replayed(phone)
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    for name in ("replay-play", "replay-step", "replay-restart"):
        box = panel.get_by_test_id(name).bounding_box()
        assert box is not None
        assert box["height"] >= 44


SELECT = """answer => {
    const walker = document.createTreeWalker(answer, NodeFilter.SHOW_TEXT);
    for (let node; (node = walker.nextNode()); ) {
        const at = node.data.indexOf("w000005");
        if (at >= 0) return getSelection().setBaseAndExtent(node, at, node, at + 7);
    }
}"""


def test_a_branch_begins_where_text_is_selected(open_page: OpenPage):
    """The replay goes to what is selected in the answer; from there another answer goes on. Without a selection it says
    what to do."""
    chat = open_page("/?model=simulator:tour")
    chat.ask("n=30 rate=25 kind=numbered").wait_status("finished", timeout=PATIENCE)
    panel = replayed(chat)
    panel.get_by_test_id("replay-selection").click()
    expect(chat.said).to_contain_text("Select text in the answer")
    chat.answers.last.locator("> [data-testid=answer]").evaluate(SELECT)
    panel.get_by_test_id("replay-selection").click()
    expect(panel.locator(".replay-answer")).not_to_contain_text("w000030")
    words = panel.locator(".replay-answer").inner_text().split()
    assert words == numbered(len(words))
    assert len(words) >= 5
    panel.get_by_test_id("replay-continue").click()
    expect(chat.answers.last.get_by_test_id("branch")).to_have_attribute("data-index", "2", timeout=PATIENCE)
    chat.wait_status("finished", timeout=PATIENCE)
    assert chat.words()[: len(words)] == words
