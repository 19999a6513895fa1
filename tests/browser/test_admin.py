"""The page of admins: what they switch, limit and see, and what another person's tab shows of it."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from devservers.app import Served
from tests.browser.conftest import OpenPage
from tests.browser.test_accounts import fill
from tests.support.chat_page import ChatPage


def test_an_admin_sees_and_decides(open_page: OpenPage, serve: Callable[..., Served], phone: ChatPage):
    """A line for answers, use by day, a model that leaves every picker, a limit that holds, somebody kept out."""
    served = serve(
        STREAMCHAT_ACCOUNTS="open", STREAMCHAT_MODELS="simulator:tour,simulator:slow", STREAMCHAT_MAX_ANSWERS="1"
    )
    tab = open_page(None, server=served)
    tab.oddities.allow("401", "403", "422", "429", "WebSocket")
    tab.page.goto(tab.url + "/")
    fill(tab.page, "anna", "sign-up")
    tab.ready()
    phone.oddities.own(served.url)
    phone.oddities.allow("401", "403", "429", "WebSocket")
    page = phone.page
    page.goto(tab.url + "/sign-up")
    fill(page, "bert", "sign-up")
    bert = ChatPage(page, served, phone.oddities, tab.url).ready()

    # Bert's answer waits for Anna's, and says so.
    tab.ask("n=4000 rate=10 kind=numbered")
    tab.wait_text("w000002")
    bert.send("n=3 rate=0 kind=numbered")
    expect(page.locator(".notice[data-kind=queued]")).to_have_text("Waiting: 1st in line.")
    tab.stop_button.click()
    bert.wait_status("finished")
    expect(page.locator(".notice[data-kind=queued]")).to_have_count(0)

    # Anna sees who used what.
    admin = tab.page
    admin.goto(tab.url + "/account")
    admin.get_by_test_id("to-admin").click()
    person = admin.get_by_test_id("admin-people").locator("li", has_text="bert")
    expect(person).to_contain_text("today 1 answer, 0 in progress")
    used = admin.get_by_test_id("usage").locator("tbody tr", has_text="bert")
    expect(used).to_contain_text("simulator:tour")
    expect(used).to_contain_text("$0.00")
    expect(admin.get_by_test_id("health")).to_contain_text("0 of 1")

    # A model that is off leaves the picker of Bert's tab, and comes back.
    expect(bert.picker.locator("option[value='simulator:slow']")).to_have_count(1)
    model = admin.get_by_test_id("admin-models").locator("[data-model-id='simulator:slow']")
    model.get_by_text("Switch off").click()
    expect(bert.picker.locator("option[value='simulator:slow']")).to_have_count(0)
    model.get_by_text("Switch on").click()
    expect(bert.picker.locator("option[value='simulator:slow']")).to_have_count(1)

    # A limit holds for the next answer.
    person.locator("summary").click()
    person.get_by_test_id("limit-requests").fill("1")
    person.get_by_test_id("save-limits").click()
    expect(person).to_contain_text("may use 1 answer a day")
    bert.send("again")
    expect(page.get_by_role("paragraph").filter(has_text="You have used what a day allows")).to_be_visible()

    # Nobody but an admin gets here, and who is kept out has to sign in.
    assert page.goto(tab.url + "/admin").status == 403  # pyrefly: ignore[missing-attribute] it answers
    page.goto(tab.url + "/")
    bert.ready()
    person.get_by_test_id("disable").click()
    expect(page.get_by_test_id("user-name")).to_be_visible()
    assert admin.evaluate("document.documentElement.scrollWidth") <= 1280
