"""What is written during an answer, and what a conversation tells its model, as a person does it."""

from __future__ import annotations

import json
from collections.abc import Callable

from playwright.sync_api import expect

from devservers.app import Served
from tests.browser.conftest import OpenPage
from tests.support.chat_page import ChatPage, numbered
from tests.support.vendor import Reply, Vendor


def test_a_follow_up_waits_for_the_answer(tab: ChatPage, open_page: OpenPage) -> None:
    """Two are queued, one is removed; the other is sent once, though two tabs of the browser have it."""
    chat = tab.choose("simulator:tour")
    chat.ask("n=50 rate=5 kind=numbered")
    other = open_page(f"/c/{chat.conversation_id}")
    chat.send("n=3 rate=0 second")
    chat.send("n=3 rate=0 third")
    for each in (chat, other):
        expect(each.page.get_by_test_id("queued")).to_have_count(2)
    assert chat.composer.input_value() == ""
    chat.page.get_by_test_id("queued").last.get_by_label("Remove").click()
    for each in (chat, other):
        expect(each.questions).to_have_count(2)
        expect(each.questions.last).to_contain_text("second")
        expect(each.page.get_by_test_id("queued")).to_have_count(0)
    chat.wait_status("finished")
    expect(chat.questions).to_have_count(2)


def test_a_queue_survives_a_reload_and_can_be_sent_now(tab: ChatPage) -> None:
    """Now stops the answer, and the message follows; what is edited goes back to the composer."""
    chat = tab.choose("simulator:tour")
    chat.ask("n=100000 rate=5 kind=numbered")
    chat.send("n=3 rate=0 second")
    chat.send("third")
    chat.page.reload()
    chat.ready()
    expect(chat.page.get_by_test_id("queued")).to_have_count(2)
    chat.page.get_by_test_id("queued").last.get_by_label("Edit").click()
    expect(chat.composer).to_have_value("third")
    chat.page.get_by_test_id("send-now").click()
    expect(chat.answers.first).to_have_attribute("data-status", "stopped")
    expect(chat.questions).to_have_count(2)
    expect(chat.composer).to_have_value("third")
    chat.wait_status("finished")


def test_what_a_program_queues_is_shown_in_every_tab(tab: ChatPage, open_page: OpenPage) -> None:
    """Its question and its answer that waits, below the one under way, which goes on; then it is answered."""
    chat = tab.choose("simulator:tour")
    chat.ask("n=64 rate=8 kind=numbered")
    other = open_page(f"/c/{chat.conversation_id}")
    path = f"/api/conversations/{chat.conversation_id}/messages"
    queue = "path => fetch(path, {method: 'POST', headers: {'Content-Type': 'application/json'}, body: JSON.stringify("
    queue += "{message: 'n=3 rate=0 kind=numbered second', queue: true})}).then(answer => answer.status)"
    assert chat.page.evaluate(queue, path) == 201
    for each in (chat, other, open_page(f"/c/{chat.conversation_id}")):
        expect(each.questions.last).to_contain_text("second")
        expect(each.answers.last.locator(".notice")).to_contain_text("Waiting for the answer before it")
        expect(each.answers.first).to_have_attribute("data-status", "streaming")
    chat.send("n=2 rate=0 kind=numbered third")
    for each in (chat, other):
        expect(each.questions).to_have_count(3)
        expect(each.questions.last).to_contain_text("third")
        each.wait_status("finished")
        assert [each.words(nth) for nth in range(3)] == [numbered(64), numbered(3), numbered(2)]


def test_a_conversation_keeps_its_system_prompt(tab: ChatPage, open_page: OpenPage) -> None:
    """Given in a new chat, it is the conversation's: after a reload, in another tab. A preset applies it elsewhere."""
    chat = tab.choose("simulator:tour")
    page = chat.page
    page.get_by_test_id("parameters").click()
    page.get_by_test_id("system-prompt").fill("Be <b>brief</b>.")
    page.get_by_test_id("temperature").fill("0.5")
    page.get_by_test_id("preset-name").fill("Brief")
    page.get_by_test_id("preset-save").click()
    page.keyboard.press("Escape")
    chat.ask("n=3 rate=0").wait_status("finished")
    other = open_page(f"/c/{chat.conversation_id}")
    for each in (chat, other):
        each.page.reload()
        each.ready()
        each.page.get_by_test_id("parameters").click()
        expect(each.page.get_by_test_id("system-prompt")).to_have_value("Be <b>brief</b>.")
        expect(each.page.get_by_test_id("temperature")).to_have_value("0.5")
    other.page.get_by_test_id("system-prompt").fill("Be long.")
    other.page.keyboard.press("Tab")
    expect(page.get_by_test_id("system-prompt")).to_have_value("Be long.")
    stored = page.evaluate("id => fetch(`/api/conversations/${id}`).then(r => r.json())", chat.conversation_id)
    assert (stored["system"], stored["options"]) == ("Be long.", {"temperature": 0.5})
    chat.open("/")
    page.get_by_test_id("parameters").click()
    expect(page.get_by_test_id("system-prompt")).to_have_value("")
    page.get_by_test_id("preset").click()
    expect(page.get_by_test_id("system-prompt")).to_have_value("Be <b>brief</b>.")


def test_a_default_is_that_of_every_new_chat(tab: ChatPage, open_page: OpenPage) -> None:
    """After a reload, in another tab, and in the request; a conversation that was there before keeps its own."""
    chat = tab.choose("simulator:tour")
    chat.ask("n=3 rate=0").wait_status("finished")
    before = chat.conversation_id
    chat.page.get_by_test_id("new-chat").click()
    chat.page.get_by_test_id("parameters").click()
    chat.page.get_by_test_id("max-tokens").fill("77")
    chat.page.get_by_test_id("effort").select_option("low")
    chat.page.get_by_test_id("make-default").click()
    chat.page.keyboard.press("Escape")
    chat.page.reload()
    chat.ready()
    for each in (chat, open_page("/")):
        each.page.get_by_test_id("parameters").click()
        expect(each.page.get_by_test_id("max-tokens")).to_have_value("77")
        expect(each.page.get_by_test_id("effort")).to_have_value("low")
        each.page.keyboard.press("Escape")
    chat.ask("n=3 rate=0").wait_status("finished")
    stored = chat.page.evaluate("id => fetch(`/api/conversations/${id}`).then(r => r.json())", chat.conversation_id)
    assert stored["options"] == {"max_tokens": 77, "reasoning_effort": "low"}
    chat.open(f"/c/{before}")
    chat.page.get_by_test_id("parameters").click()
    expect(chat.page.get_by_test_id("max-tokens")).to_have_value("")


def test_the_search_of_a_vendor_is_a_switch(
    vendor: Vendor, serve: Callable[..., Served], open_page: OpenPage, mark: str
) -> None:
    """Where the model's vendor searches. Switched on in a new chat, it is the conversation's: the vendor is asked for
    it, every tab shows it, also after a reload, and switched off in one of them it is off."""
    vendor.answer = lambda _: Reply(status=400, body=json.dumps({"error": {"type": "x", "message": "not today"}}))
    base = {"ANTHROPIC_API_KEY": "sk-ant-x", "ANTHROPIC_BASE_URL": vendor.url.removesuffix("/v1")}
    own = serve(STREAMCHAT_MODELS="anthropic:claude-test,simulator:tour", STREAMCHAT_RETRIES="0", **base)
    chat = open_page("/", server=own).choose("simulator:tour")
    chat.page.get_by_test_id("parameters").click()
    expect(chat.page.get_by_test_id("system-prompt")).to_be_visible()
    expect(chat.page.get_by_test_id("web-search")).to_have_count(0)
    chat.choose("anthropic:claude-test")
    chat.page.get_by_test_id("parameters").click()
    chat.page.get_by_test_id("web-search").check()
    chat.page.keyboard.press("Escape")
    chat.ask(f"{mark} what is new?").wait_status("failed")
    assert "web_search" in [tool["name"] for tool in vendor.requests[-1]["tools"]]
    other = open_page(f"/c/{chat.conversation_id}", server=own)
    chat.page.reload()
    chat.ready()
    for each in (chat, other):
        each.page.get_by_test_id("parameters").click()
        expect(each.page.get_by_test_id("web-search")).to_be_checked()
    other.page.get_by_test_id("web-search").click()
    expect(chat.page.get_by_test_id("web-search")).not_to_be_checked()
    other.page.keyboard.press("Escape")
    other.ask(f"{mark} and now?").wait_status("failed")
    assert "web_search" not in [tool["name"] for tool in vendor.requests[-1].get("tools", [])]
