"""The list of conversations as a person uses it: rename, pin, archive, delete, search, pages, export, import, share."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Locator, expect

from devservers.app import Served
from tests.browser.conftest import OpenPage
from tests.support.chat_page import ChatPage

MODEL = "simulator:tour"


@pytest.fixture
def own(serve: Callable[..., Served]) -> Served:
    """A server with conversations of this test alone."""
    return serve(STREAMCHAT_MODELS=MODEL)


def imported(server: Served, title: str, *texts: str) -> str:
    """A conversation with these messages, by turns. Returns its id."""
    messages = [
        {
            "id": "x",
            "role": ("user", "assistant")[n % 2],
            "status": "finished",
            "parts": [{"type": "text", "text": text}],
        }
        for n, text in enumerate(texts)
    ]
    body = {"text": json.dumps({"title": title, "messages": messages})}
    answer = httpx.post(f"{server.url}/api/conversations/import", json=body, trust_env=False, timeout=60)
    assert answer.status_code == 201, answer.text
    return answer.json()["conversations"][0]["id"]


def row(chat: ChatPage, conversation_id: str) -> Locator:
    return chat.page.locator(f"[data-testid=conversation-item][data-conversation-id='{conversation_id}']")


def act(chat: ChatPage, conversation_id: str, action: str) -> None:
    """Choose an action of a conversation's menu."""
    entry = chat.page.locator(".conversation-row", has=row(chat, conversation_id))
    entry.hover()
    entry.get_by_test_id("conversation-menu").click()
    chat.page.get_by_test_id(action).click()


def test_rename_pin_archive_delete(own: Served, open_page: OpenPage) -> None:
    """Each in a second tab too and after a reload; what was archived or deleted comes back."""
    old, new = imported(own, "Old", "q", "a"), imported(own, "New", "q", "a")
    chat, other = open_page(f"/c/{old}", server=own), open_page(f"/c/{old}", server=own)
    act(chat, old, "rename")
    box = chat.page.get_by_test_id("rename-box")
    box.fill("<b>Herons</b> & co")
    box.press("Enter")
    for each in (chat, other):
        expect(row(each, old)).to_have_text("<b>Herons</b> & co")
        expect(each.page.locator(".thread-title")).to_have_text("<b>Herons</b> & co")
    assert [chat.rows.nth(n).get_attribute("data-conversation-id") for n in (0, 1)] == [new, old]
    act(chat, old, "pin")
    for each in (chat, other):
        expect(each.rows.first).to_have_attribute("data-conversation-id", old)
    act(chat, new, "archive")
    for each in (chat, other):
        expect(row(each, new)).to_have_count(0)
    chat.page.get_by_test_id("undo").click()
    expect(row(other, new)).to_be_visible()
    act(chat, new, "archive")
    chat.page.get_by_test_id("archived").click()
    act(chat, new, "archive")
    chat.page.get_by_test_id("archived").click()
    expect(row(chat, new)).to_be_visible()
    act(chat, old, "delete-conversation")
    expect(other.page.locator(".missing")).to_be_visible()
    chat.page.wait_for_url(f"{own.url}/")
    other.page.reload()
    expect(other.page.locator(".missing")).to_be_visible()
    expect(row(other, old)).to_have_count(0)
    chat.page.get_by_test_id("undo").click()
    expect(chat.messages).to_have_count(2)
    expect(other.messages).to_have_count(2)
    expect(other.rows.first).to_have_attribute("data-conversation-id", old)


def test_every_conversation_can_be_reached(own: Served, open_page: OpenPage) -> None:
    """250 conversations: the list loads them page by page, each once."""
    items = [
        {"title": f"Number {n}", "messages": [{"id": "x", "role": "user", "status": "finished", "parts": [
            {"type": "text", "text": f"text {n}"}]}]}
        for n in range(250)
    ]  # fmt: skip
    body = {"text": json.dumps(items)}
    answer = httpx.post(f"{own.url}/api/conversations/import", json=body, trust_env=False, timeout=120)
    assert answer.status_code == 201
    chat = open_page("/", server=own)
    expect(chat.rows).to_have_count(100)
    for count in (100, 200):  # the next page comes when the end of the list is seen
        chat.rows.nth(count - 1).scroll_into_view_if_needed()
        expect(chat.rows.nth(count)).to_be_attached()
    chat.rows.nth(200).scroll_into_view_if_needed()
    expect(chat.rows).to_have_count(250)
    ids = chat.rows.evaluate_all("rows => rows.map(row => row.dataset.conversationId)")
    assert len(set(ids)) == 250
    row(chat, ids[-1]).click()
    expect(chat.messages).to_have_count(1)


def test_a_search_leads_to_the_message(own: Served, open_page: OpenPage) -> None:
    """Hits are highlighted, and a click shows the message: far above, and on another branch."""
    texts = [f"filler {n}" for n in range(161)]
    texts[7], texts[9] = "the zebrafish is small", "the quokka smiles"
    long = imported(own, "Long", *texts)
    chat = open_page("/", server=own)
    chat.page.get_by_test_id("search").fill("zebraf")
    hit = chat.page.get_by_test_id("search-hit")
    expect(hit).to_have_count(1)
    expect(hit.locator("mark")).to_have_text("zebrafish")
    message_id = hit.get_attribute("data-message-id")
    hit.click()
    message = chat.page.locator(f"[data-testid=message][data-message-id='{message_id}']")
    expect(message).to_be_in_viewport()
    assert chat.conversation_id == long
    with httpx.Client(base_url=own.url, trust_env=False, timeout=60) as client:
        asked = client.get(f"/api/conversations/{long}").json()["messages"][8]["id"]
        assert client.post(f"/api/messages/{asked}/edit", json={"message": "n=1 rate=0"}).status_code == 201
    expect(chat.page.get_by_text("n=1 rate=0").first).to_be_attached()
    chat.page.get_by_test_id("search").fill("quokka")
    expect(hit.locator("mark")).to_have_text("quokka")
    message_id = hit.get_attribute("data-message-id")
    hit.click()
    message = chat.page.locator(f"[data-testid=message][data-message-id='{message_id}']")
    expect(message).to_be_in_viewport()
    expect(message).to_contain_text("the quokka smiles")
    chat.page.get_by_test_id("search").fill("nothing like it")
    expect(chat.page.get_by_text("Nothing was found.").last).to_be_visible()
    chat.page.get_by_test_id("search").fill("")
    expect(row(chat, long)).to_be_visible()


def test_export_and_import(own: Served, open_page: OpenPage) -> None:
    """What was exported from the menu is imported with the button, and shown; a file that is cut is refused."""
    where = imported(own, "Herons", "why?", "because")
    chat = open_page(f"/c/{where}", server=own)
    with chat.page.expect_download() as download:
        act(chat, where, "export")
    assert download.value.suggested_filename == "Herons.md"
    text = download.value.path().read_text()
    files = chat.page.get_by_test_id("import")
    files.set_input_files({"name": "Herons.md", "mimeType": "text/markdown", "buffer": text.encode()})
    chat.page.wait_for_url(lambda url: where not in url)
    expect(chat.answers.last).to_contain_text("because")
    expect(chat.rows).to_have_count(2)
    chat.oddities.allow("422")
    files.set_input_files({"name": "x.json", "mimeType": "application/json", "buffer": b'[{"title": "x", "mapp'})
    expect(chat.said).to_contain_text("not complete")


def test_a_link_shows_a_snapshot(own: Served, open_page: OpenPage) -> None:
    """Read-only: no composer and no actions; nothing that follows; nothing at all once it is taken back."""
    where = imported(own, "Herons", "why?", "because")
    chat = open_page(f"/c/{where}?model={MODEL}", server=own)
    act(chat, where, "share")
    link = chat.page.get_by_test_id("share-link")
    expect(link).not_to_have_value("")
    address = link.input_value()
    guest = open_page(None, server=own)
    guest.page.goto(address)
    expect(guest.messages).to_have_count(2)
    expect(guest.page.locator(".thread-title")).to_have_text("Herons")
    expect(guest.composer).to_be_hidden()
    expect(guest.page.get_by_test_id("delete-message")).to_have_count(0)
    expect(guest.page.get_by_test_id("edit")).to_have_count(0)
    chat.page.get_by_test_id("unshare").click()
    expect(link).to_have_count(0)
    guest.page.reload()
    expect(guest.page.locator(".missing")).to_be_visible()
