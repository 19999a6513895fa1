"""Messages that are edited, answered again, switched and deleted, as a person does it: after a reload, in two tabs."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Locator, expect

from devservers.app import Served
from tests.browser.conftest import OpenPage
from tests.browser.test_conversations import imported
from tests.support.chat_page import ChatPage
from tests.support.wire import Wire


def question(chat: ChatPage, number: int) -> Locator:
    """The question with this number, from 1."""
    return chat.questions.nth(number - 1)


def answer(chat: ChatPage, number: int) -> Locator:
    """The answer with this number, from 1."""
    return chat.answers.nth(number - 1)


def edit(chat: ChatPage, number: int, text: str) -> None:
    message = question(chat, number)
    message.hover()
    message.get_by_test_id("edit").click()
    chat.page.get_by_test_id("edit-box").fill(text)
    chat.page.get_by_test_id("edit-save").click()


def started(chat: ChatPage, *texts: str, model: str = "simulator:tour") -> ChatPage:
    """A conversation with these questions, each answered with its words."""
    chat.choose(model)
    for text in texts:
        chat.ask(f"n=3 rate=0 {text}").wait_status("finished")
    return chat


def second(open_page: OpenPage, chat: ChatPage) -> ChatPage:
    """Another tab of the same conversation."""
    return open_page(f"/c/{chat.conversation_id}")


def test_a_question_is_edited_and_both_versions_can_be_walked(tab: ChatPage, open_page: OpenPage) -> None:
    """The edited question is answered anew; the picker goes back and forth, in every tab, and survives a reload."""
    chat = started(tab, "one", "two")
    other = second(open_page, chat)
    edit(chat, 1, "n=3 rate=0 uno")
    for each in (chat, other):
        expect(each.questions).to_have_count(1)
        expect(question(each, 1)).to_contain_text("uno")
        expect(question(each, 1).get_by_test_id("branch")).to_have_attribute("data-index", "2")
        expect(question(each, 1).get_by_test_id("branch")).to_have_attribute("data-count", "2")
    chat.wait_status("finished")
    chat.page.reload()
    chat.ready()
    expect(question(chat, 1)).to_contain_text("uno")
    question(chat, 1).get_by_test_id("branch-previous").click()
    for each in (chat, other):
        expect(question(each, 1)).to_contain_text("one")
        expect(question(each, 2)).to_contain_text("two")
        expect(question(each, 1).get_by_test_id("branch")).to_have_attribute("data-index", "1")
    other.page.reload()
    other.ready()
    expect(question(other, 2)).to_contain_text("two")
    question(other, 1).get_by_test_id("branch-next").click()
    expect(question(chat, 1)).to_contain_text("uno")
    expect(chat.questions).to_have_count(1)
    # By keyboard: the focus stays with the versions, though the button that was pressed is gone.
    question(chat, 1).get_by_test_id("branch-previous").press("Enter")
    expect(question(chat, 1).get_by_test_id("branch-next")).to_be_focused()
    chat.page.keyboard.press("Enter")
    expect(question(chat, 1).get_by_test_id("branch-previous")).to_be_focused()
    expect(question(chat, 1)).to_contain_text("uno")


def test_a_complete_answer_is_given_again_also_by_another_model(tab: ChatPage) -> None:
    """Each answer is a version; the conversation keeps its model."""
    chat = started(tab, "one")
    answer(chat, 1).get_by_test_id("regenerate").click()
    expect(answer(chat, 1).get_by_test_id("branch")).to_have_attribute("data-count", "2")
    chat.wait_status("finished")
    answer(chat, 1).get_by_test_id("regenerate-with").select_option("simulator:reasoning")
    expect(answer(chat, 1).get_by_test_id("branch")).to_have_attribute("data-count", "3")
    chat.wait_status("finished")
    expect(answer(chat, 1).get_by_test_id("details")).to_contain_text("simulator:reasoning")
    expect(chat.picker).to_have_value("simulator:tour")
    answer(chat, 1).get_by_test_id("branch-previous").click()
    expect(answer(chat, 1).get_by_test_id("details")).to_contain_text("simulator:tour")
    # The same answer again, a second time: another version, not the first request once more.
    answer(chat, 1).get_by_test_id("regenerate").click()
    expect(answer(chat, 1).get_by_test_id("branch")).to_have_attribute("data-count", "4")


def test_a_message_is_deleted_and_brought_back(tab: ChatPage, open_page: OpenPage) -> None:
    """In both tabs it goes and comes back to its place; everything from here on likewise."""
    chat = started(tab, "one", "two")
    other = second(open_page, chat)
    ids = chat.messages.evaluate_all("messages => messages.map(m => m.dataset.messageId)")
    answer(chat, 1).get_by_test_id("delete-message").click()
    for each in (chat, other):
        expect(each.messages).to_have_count(3)
    chat.page.get_by_test_id("undo").click()
    for each in (chat, other):
        expect(each.messages).to_have_count(4)
        assert each.messages.evaluate_all("messages => messages.map(m => m.dataset.messageId)") == ids
    message = question(chat, 2)
    message.hover()
    message.get_by_test_id("message-menu").click()
    chat.page.get_by_test_id("delete-from-here").click()
    for each in (chat, other):
        expect(each.messages).to_have_count(2)
    other.page.reload()
    other.ready()
    expect(other.messages).to_have_count(2)
    chat.page.get_by_test_id("undo").click()
    for each in (chat, other):
        expect(each.messages).to_have_count(4)


def test_two_tabs_delete_the_same_message(tab: ChatPage, open_page: OpenPage) -> None:
    """The second one does no harm, and a message that streams stops when it is deleted."""
    chat = started(tab, "one")
    other = second(open_page, chat)
    message_id = answer(other, 1).get_attribute("data-message-id")
    answer(chat, 1).get_by_test_id("delete-message").click()
    for each in (chat, other):
        expect(each.messages).to_have_count(1)
    status = other.page.evaluate(
        "id => fetch(`/api/messages/${id}`, {method: 'DELETE'}).then(r => r.status)", message_id
    )
    assert status == 200
    chat.ask("n=5000 rate=8 kind=numbered")
    other.wait_for_more(20)
    other.questions.last.hover()
    other.questions.last.get_by_test_id("message-menu").click()
    other.page.get_by_test_id("delete-from-here").click()
    for each in (chat, other):
        expect(each.messages).to_have_count(1)
        expect(each.send_button).to_be_visible()


def test_two_tabs_edit_the_same_message(tab: ChatPage, open_page: OpenPage) -> None:
    """Both are versions of it. What one was still writing when the other one was sent is there again with the version
    that it was written for, also after a reload; what was cancelled is not."""
    chat = started(tab, "one")
    other = second(open_page, chat)
    question(chat, 1).hover()
    question(chat, 1).get_by_test_id("edit").click()
    box = chat.page.get_by_test_id("edit-box")
    box.fill("n=3 rate=0 eins")
    edit(other, 1, "n=3 rate=0 uno")
    for each in (chat, other):
        expect(question(each, 1)).to_contain_text("uno")
    other.wait_status("finished")
    question(chat, 1).get_by_test_id("branch-previous").click()
    expect(box).to_have_value("n=3 rate=0 eins")
    chat.page.reload()
    chat.ready()
    expect(box).to_have_value("n=3 rate=0 eins")
    chat.page.get_by_test_id("edit-save").click()
    for each in (chat, other):
        expect(question(each, 1)).to_contain_text("eins")
        expect(question(each, 1).get_by_test_id("branch")).to_have_attribute("data-count", "3")
    chat.wait_status("finished")
    question(chat, 1).hover()
    question(chat, 1).get_by_test_id("edit").click()
    box.fill("something else")
    box.press("Escape")
    chat.page.reload()
    chat.ready()
    expect(question(chat, 1)).to_contain_text("eins")
    expect(box).to_have_count(0)


def test_a_conversation_keeps_its_model(serve: Callable[..., Served], open_page: OpenPage) -> None:
    """The model of a new chat is this browser's last choice; that of a conversation is its own, in every tab.

    Going from this machine to a vendor is said first.
    """
    server = serve(OPENAI_API_KEY="sk-none", STREAMCHAT_MODELS="simulator:tour,simulator:reasoning,openai:gpt-6-luna")
    chat = open_page(None, server=server).choose("simulator:tour")
    chat.ask("n=3 rate=0").wait_status("finished")
    address = f"/c/{chat.conversation_id}"
    new = open_page("/", server=server)
    new.picker.select_option("openai:gpt-6-luna")
    new.page.goto(server.url + address)
    new.ready()
    expect(new.picker).to_have_value("simulator:tour")
    new.picker.select_option("openai:gpt-6-luna")
    dialog = new.page.get_by_role("dialog")
    expect(dialog).to_contain_text("stayed on this machine")
    new.page.get_by_test_id("stay-local").click()
    expect(new.picker).to_have_value("simulator:tour")
    new.picker.select_option("simulator:reasoning")
    expect(chat.picker).to_have_value("simulator:reasoning")
    new.picker.select_option("openai:gpt-6-luna")
    new.page.get_by_test_id("confirm-remote").click()
    expect(chat.picker).to_have_value("openai:gpt-6-luna")
    new.page.reload()
    expect(new.picker).to_have_value("openai:gpt-6-luna")


def test_a_click_shows_the_other_conversation_at_once(tab: ChatPage, wire: Wire) -> None:
    """While the server does not answer: its title and a skeleton, none of the text before it; what is sent waits, and
    lands in it alone.
    """
    chat = started(tab, "first")
    first = chat.conversation_id
    chat = started(tab, "second")
    second_id = chat.conversation_id
    page = chat.page
    wire.mute = wire.deaf = True
    page.locator(f"[data-conversation-id='{first}']").click()
    expect(page.get_by_test_id("skeleton")).to_be_visible()
    expect(page.locator(".thread-title")).to_contain_text("first")
    expect(chat.messages).to_have_count(0)
    chat.send("n=3 rate=0 third")
    wire.mute = wire.deaf = False
    wire.cut()
    expect(chat.questions).to_have_count(2)
    expect(question(chat, 2)).to_contain_text("third")
    texts = page.evaluate(
        "id => fetch(`/api/conversations/${id}`).then(r => r.json()).then(c => c.messages.map(m => m.text).join(' '))",
        second_id,
    )
    assert "third" not in texts
    assert re.search(rf"/c/{first}$", page.url)


def test_a_conversation_is_forked_from_a_message(tab: ChatPage, open_page: OpenPage) -> None:
    """What stands up to there is another conversation, in every tab's list and after a reload; what is asked in it
    leaves the first one as it was."""
    chat = started(tab, "one", "two")
    first = chat.conversation_id
    other = second(open_page, chat)
    answer(chat, 1).hover()
    answer(chat, 1).get_by_test_id("message-menu").click()
    chat.page.get_by_test_id("fork").click()
    chat.page.wait_for_url(lambda url: "/c/" in url and str(first) not in url)
    expect(chat.messages).to_have_count(2)
    expect(question(chat, 1)).to_contain_text("one")
    fork = chat.conversation_id
    for each in (chat, other):
        expect(each.page.locator(f"[data-testid=conversation-item][data-conversation-id='{fork}']")).to_be_visible()
    chat.ask("n=3 rate=0 another").wait_status("finished")
    chat.page.reload()
    chat.ready()
    expect(chat.questions).to_have_count(2)
    expect(question(chat, 2)).to_contain_text("another")
    expect(question(other, 2)).to_contain_text("two")
    other.page.reload()
    other.ready()
    expect(other.questions).to_have_count(2)
    expect(question(other, 2)).to_contain_text("two")


def test_a_message_is_copied_as_markdown_or_as_text(context: BrowserContext, open_page: OpenPage) -> None:
    """The button copies what the model wrote, the menu what is read."""
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    chat = open_page("/")
    chat.open(f"/c/{imported(chat.served, 'Copies', 'a *question*', 'An **answer** with `code`.')}")
    for message, markdown, text in (
        (answer(chat, 1), "An **answer** with `code`.", "An answer with code."),
        (question(chat, 1), "a *question*", "a *question*"),
    ):
        message.hover()
        message.get_by_test_id("copy").click()
        chat.page.wait_for_function("async (text) => (await navigator.clipboard.readText()) === text", arg=markdown)
        message.get_by_test_id("message-menu").click()
        chat.page.get_by_role("menuitem", name="Copy as text").click()
        chat.page.wait_for_function("async (text) => (await navigator.clipboard.readText()) === text", arg=text)
