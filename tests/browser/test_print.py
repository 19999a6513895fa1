"""Paper and the browser's search reach all of a conversation, whatever of it the page had loaded, folded or skipped."""

from __future__ import annotations

import io
import json
import re
import unicodedata

import httpx
import pytest
from playwright.sync_api import Page, expect
from pypdf import PdfReader

from tests.browser.conftest import OpenPage
from tests.support.chat_page import ChatPage

MESSAGES = 130  # more than a page of them
LINE = "start " + "x" * 400 + " end-of-long-line"
ROW = "| " + " | ".join(["a-rather-wide-cell"] * 9) + " | last-cell |"
ANSWER = "\n".join(
    ["Print this:", "", "```text", LINE, "```", "", "|" + " A |" * 10, "|" + "---|" * 10, ROW, "", "- [x] done-task"]
)
QUESTION = "a word of the question " * 220 + "end-of-the-question"


def whole_conversation(url: str) -> str:
    """A conversation with a long line, a wide table, a long question, thoughts, a call, and many messages."""
    call = {
        "type": "tool_call",
        "id": "c",
        "name": "look_up",
        "state": "done",
        "arguments": {"city": "numbat-argument"},
        "result": "quokka-result",
    }
    answer = [{"type": "reasoning", "text": "zebrafish-thought"}, call, {"type": "text", "text": ANSWER}]
    messages = [{"role": "user", "parts": [{"type": "text", "text": QUESTION}]}, {"role": "assistant", "parts": answer}]
    for n in range(2, MESSAGES):
        role = "assistant" if n % 2 else "user"
        messages.append({"role": role, "parts": [{"type": "text", "text": f"message-number-{n}."}]})
    body = {"title": "Paper", "messages": [{"id": "x", "status": "finished"} | message for message in messages]}
    answered = httpx.post(
        f"{url}/api/conversations/import", json={"text": json.dumps(body)}, trust_env=False, timeout=60
    )
    assert answered.status_code == 201, answered.text
    return answered.json()["conversations"][0]["id"]


def printed(page: Page) -> str:
    """The text of the page on paper, without white space."""
    pages = PdfReader(io.BytesIO(page.pdf(format="A4"))).pages
    text = unicodedata.normalize("NFKC", "".join(one.extract_text() for one in pages))  # without ligatures
    return re.sub(r"\s+", "", text)


@pytest.fixture
def paper(open_page: OpenPage, tab: ChatPage) -> ChatPage:
    """The conversation, of which the page has the end."""
    tab.open(f"/c/{whole_conversation(tab.url)}")
    expect(tab.messages).to_have_count(50)
    return tab


def test_all_of_a_conversation_is_printed(paper: ChatPage):
    """With the key that prints: what the page had not loaded, long lines, wide tables, folded questions, thoughts and
    calls; in both themes, dark text on white."""
    page = paper.page
    page.evaluate("() => { window.print = () => { window.printed = (window.printed ?? 0) + 1; }; }")
    page.keyboard.press("ControlOrMeta+p")
    page.wait_for_function("() => window.printed === 1")
    assert paper.messages.count() == MESSAGES
    wanted = [f"message-number-{n}." for n in range(2, MESSAGES)]
    wanted += ["end-of-long-line", "last-cell", "end-of-the-question", "done-task"]
    wanted += ["zebrafish-thought", "numbat-argument", "quokka-result"]
    for theme in ("light", "dark"):
        page.evaluate("(theme) => { document.documentElement.className = theme; }", theme)
        text = printed(page)
        assert [one for one in wanted if one not in text] == [], theme
        for furniture in ("Askanything", "Newchat", "Showall", "Copyanswer"):
            assert furniture not in text
        page.emulate_media(media="print")
        colours = page.evaluate(
            "[...document.querySelectorAll('body, .answer, .question .text')].map(e => getComputedStyle(e).color)"
        )
        assert all(sum(map(int, re.findall(r"\d+", colour)[:3])) < 3 * 110 for colour in set(colours)), set(colours)
        page.emulate_media(media="null")


def test_the_browser_search_reaches_everything(paper: ChatPage):
    """With the key that searches the rest is loaded, without a move of what is in view; text in closed panels is found,
    and they are closed again after a reload."""
    page = paper.page
    last = f"document.querySelector('[data-message-id=\"{paper.messages.last.get_attribute('data-message-id')}\"]')"
    place = page.evaluate(f"{last}.getBoundingClientRect().top")
    page.keyboard.press("ControlOrMeta+f")
    expect(paper.messages).to_have_count(MESSAGES)
    page.wait_for_selector("[aria-busy][data-settled=true]")
    assert abs(page.evaluate(f"{last}.getBoundingClientRect().top") - place) <= 1
    for word, panel in (("zebrafish-thought", ".reasoning"), ("quokka-result", ".tool")):
        assert page.locator(panel).get_attribute("open") is None
        assert page.evaluate("(word) => window.find(word, false, false, true)", word), word
    assert page.evaluate("window.find('message-number-2.', false, false, true)")
    page.reload()
    paper.ready()
    page.keyboard.press("ControlOrMeta+f")
    expect(paper.messages).to_have_count(MESSAGES)
    for panel in (".reasoning", ".tool"):
        assert page.locator(panel).get_attribute("open") is None


def test_the_list_holds_all_and_shows_the_current_row(open_page: OpenPage, tab: ChatPage):
    """A conversation that is far down in the list: its row is there and in view when it is opened by its address."""
    items = [
        {"title": f"Row {n}", "messages": [{"id": "x", "role": "user", "status": "finished", "parts": [
            {"type": "text", "text": f"text {n}"}]}]}
        for n in range(150)
    ]  # fmt: skip
    url = f"{tab.url}/api/conversations/import"
    answered = httpx.post(url, json={"text": json.dumps(items)}, trust_env=False, timeout=120)
    made = answered.json()["conversations"]
    assert answered.status_code == 201
    current = tab.page.locator("[data-testid=conversation-item][aria-current=page]")
    for one in (made[0], made[75], made[-1]):
        tab.open(f"/c/{one['id']}")
        expect(current).to_have_attribute("data-conversation-id", one["id"])
        expect(current).to_be_in_viewport()
