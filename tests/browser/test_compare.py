"""One question to several models side by side, as a person does it: after a reload, in two tabs, on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Locator, expect

from devservers.app import Served
from tests.browser.conftest import OpenPage
from tests.support.chat_page import ChatPage

MODELS = ["simulator:tour", "simulator:slow", "simulator:reasoning"]
ENDLESS = "n=5000 rate=5 kind=numbered"


def choose(chat: ChatPage, *others: str) -> None:
    """Have these models answer the next question too."""
    chat.page.get_by_test_id("compare").click()
    for model in others:
        chat.page.locator(f"[data-testid=compare-model][data-model='{model}']").check()
    chat.page.keyboard.press("Escape")


def columns(chat: ChatPage) -> Locator:
    return chat.page.get_by_test_id("compared-answer")


def column(chat: ChatPage, number: int) -> Locator:
    """The column with this number, from 1."""
    return columns(chat).nth(number - 1)


def status(chat: ChatPage, number: int, expected: str) -> None:
    """Until the answer in this column has this status."""
    expect(column(chat, number).get_by_test_id("message")).to_have_attribute("data-status", expected)


def compare(chat: ChatPage, text: str, *models: str) -> ChatPage:
    """Ask these models in the chat that is open, whose own is the first."""
    choose(chat, *models[1:])
    chat.send(text)
    expect(columns(chat)).to_have_count(len(models))
    return chat


def more_than(answer: Locator, words: int) -> None:
    """Until the answer has this word, counted from 1."""
    expect(answer.get_by_test_id("answer").last).to_contain_text(f"w{words:06d}")


def reloaded(chat: ChatPage) -> ChatPage:
    chat.page.reload()
    return chat.ready()


def test_three_models_answer_side_by_side_and_one_is_kept(tab: ChatPage, open_page: OpenPage) -> None:
    """All at once, the same in every tab and after a reload; the one that is kept goes on, the others are versions."""
    chat = compare(tab.choose(MODELS[0]), ENDLESS, *MODELS)
    expect(chat.questions).to_have_count(1)
    other = open_page(f"/c/{chat.conversation_id}")
    for each in (chat, other, reloaded(chat)):
        for number in (1, 2, 3):
            status(each, number, "streaming")
            more_than(column(each, number), 5)
    # At one moment: the page scrolls as the answers grow.
    boxes = columns(chat).evaluate_all("all => all.map(one => [one.getBoundingClientRect().x, one.offsetTop])")
    assert [x for x, _ in boxes] == sorted({x for x, _ in boxes})
    assert len({top for _, top in boxes}) == 1
    column(other, 2).get_by_test_id("stop-one").click()
    for each in (chat, other):
        status(each, 2, "stopped")
        status(each, 1, "streaming")
        status(each, 3, "streaming")
    kept = column(chat, 2).get_by_test_id("message").get_attribute("data-message-id")
    column(chat, 2).get_by_test_id("keep").click()
    for each in (chat, other):
        expect(columns(each)).to_have_count(0)
        expect(each.answers).to_have_count(1)
        expect(each.answers.last).to_have_attribute("data-message-id", kept or "")
        expect(each.answers.last.get_by_test_id("branch")).to_have_attribute("data-index", "2")
        expect(each.answers.last.get_by_test_id("branch")).to_have_attribute("data-count", "3")
        expect(each.picker).to_have_value(MODELS[1])
        expect(each.send_button).to_be_visible()
    reloaded(other).answers.last.get_by_test_id("branch-previous").click()
    for each in (chat, other):
        expect(each.answers.last.get_by_test_id("branch")).to_have_attribute("data-index", "1")
        expect(each.answers).to_have_count(1)  # the other one goes once this one is there
        each.wait_status("stopped")
    chat.ask("n=3 rate=0 next").wait_status("finished")
    expect(other.answers).to_have_count(2)


def test_stop_stops_all_and_nothing_is_asked_before_one_is_kept(tab: ChatPage, open_page: OpenPage) -> None:
    """What is written meanwhile waits, and is sent to the model of the answer that is kept."""
    chat = tab.choose(MODELS[0])
    chat.ask("n=3 rate=0 first").wait_status("finished")
    compare(chat, ENDLESS, *MODELS[:2])
    other = open_page(f"/c/{chat.conversation_id}")
    more_than(column(chat, 1), 3)
    chat.send("n=3 rate=0 later")
    expect(chat.page.get_by_test_id("queued")).to_have_count(1)
    other.stop_button.click()
    for each in (chat, other):
        status(each, 1, "stopped")
        status(each, 2, "stopped")
    reloaded(chat)
    expect(columns(chat)).to_have_count(2)
    expect(chat.page.get_by_test_id("queued")).to_have_count(1)
    other.send("now")
    expect(other.said).to_contain_text("Keep one of the answers first")
    expect(other.composer).to_have_value("now")
    column(chat, 1).get_by_test_id("keep").click()
    for each in (chat, other):
        expect(columns(each)).to_have_count(0)
    expect(chat.page.get_by_test_id("queued").get_by_test_id("send-now")).to_be_visible()
    chat.page.get_by_test_id("send-now").click()
    for each in (chat, other):
        expect(each.questions).to_have_count(3)
        each.wait_status("finished")


def test_the_next_question_may_be_compared_too(tab: ChatPage) -> None:
    """A choice that was made meanwhile is for it, beside the model that was kept; then it is used up."""
    chat = compare(tab.choose(MODELS[0]), "n=3 rate=0", MODELS[0], MODELS[2])
    choose(chat, MODELS[1])
    status(chat, 1, "finished")
    status(chat, 2, "finished")
    column(chat, 2).get_by_test_id("keep").click()
    expect(columns(chat)).to_have_count(0)
    expect(chat.picker).to_have_value(MODELS[2])
    chat.send("n=3 rate=0 again")
    expect(columns(chat)).to_have_count(2)
    expect(column(chat, 1).locator("h3")).to_contain_text("easoning")
    status(chat, 1, "finished")
    status(chat, 2, "finished")
    expect(chat.page.get_by_test_id("comparing")).to_have_count(0)


def test_one_fails_and_is_tried_again_in_its_place(tab: ChatPage) -> None:
    """While the other one goes on; the columns keep their order, also after a reload."""
    chat = compare(tab.choose(MODELS[0]), ENDLESS, MODELS[0], "simulator:overloaded-after")
    failed = column(chat, 2).get_by_test_id("message")
    expect(failed.get_by_test_id("error")).to_be_visible()
    old = failed.get_attribute("data-message-id")
    label = column(chat, 2).locator("h3").inner_text()
    first = column(chat, 1).get_attribute("data-message-id")
    column(chat, 2).get_by_test_id("retry").click()
    expect(column(chat, 2)).not_to_have_attribute("data-message-id", old or "")
    new = column(chat, 2).get_attribute("data-message-id")
    reloaded(chat)
    expect(columns(chat)).to_have_count(2)
    expect(column(chat, 1)).to_have_attribute("data-message-id", first or "")
    expect(column(chat, 2)).to_have_attribute("data-message-id", new or "")
    expect(column(chat, 2).locator("h3")).to_have_text(label)


def test_on_a_phone_one_is_shown_at_a_time(phone: ChatPage) -> None:
    """With a switch between them, while they are written and after a reload; nothing is wider than the screen."""
    chat = compare(phone.choose(MODELS[0]), ENDLESS, *MODELS)
    switches = chat.page.get_by_test_id("compared-switch")
    for number in (3, 2, 1):
        switches.nth(number - 1).click()
        for each in (1, 2, 3):
            expect(column(chat, each)).to_be_visible(visible=each == number)
        more_than(column(chat, number), 3)
    assert chat.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    reloaded(chat)
    switches.nth(2).click()
    column(chat, 3).get_by_test_id("keep").click()
    expect(columns(chat)).to_have_count(0)
    expect(chat.picker).to_have_value(MODELS[2])
    chat.wait_status("streaming")
    chat.stop_button.click()
    chat.wait_status("stopped")


def test_a_local_conversation_says_when_a_compared_model_is_remote(
    serve: Callable[..., Served], open_page: OpenPage
) -> None:
    """Before it is chosen; refused, it is not chosen."""
    server = serve(OPENAI_API_KEY="sk-none", STREAMCHAT_MODELS="simulator:tour,openai:gpt-6-luna")
    chat = open_page(None, server=server).choose("simulator:tour")
    chat.ask("n=3 rate=0").wait_status("finished")
    remote = chat.page.locator("[data-testid=compare-model][data-model='openai:gpt-6-luna']")
    chat.page.get_by_test_id("compare").click()
    remote.click()
    expect(chat.page.get_by_role("dialog")).to_contain_text("stayed on this machine")
    chat.page.get_by_test_id("stay-local").click()
    expect(chat.page.get_by_test_id("comparing")).to_have_count(0)
    if not remote.is_visible():
        chat.page.get_by_test_id("compare").click()
    expect(remote).not_to_be_checked()
    remote.click()
    chat.page.get_by_test_id("confirm-remote").click()
    expect(chat.page.get_by_test_id("comparing")).to_contain_text(re.compile("luna", re.IGNORECASE))
