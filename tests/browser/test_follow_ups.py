"""What is written during an answer, and what a conversation tells its model, as a person does it."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.support.chat_page import ChatPage, numbered


def test_a_follow_up_waits_for_the_answer(tab: ChatPage, open_page: OpenPage) -> None:
    """Two are queued, one is removed; the other is sent once, though two tabs of the browser have it."""
    chat = tab.choose("simulator:tour")
    chat.ask("n=100 rate=10 kind=numbered")
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
    chat.ask("n=200 rate=40 kind=numbered")
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
        assert [each.words(nth) for nth in range(3)] == [numbered(200), numbered(3), numbered(2)]


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
