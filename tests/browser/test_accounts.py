"""Accounts in a browser: sign up, chat, sign out, invite, revoke from a second browser, passkeys, a phone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from devservers.app import Served
from tests.browser.conftest import OpenPage
from tests.support.chat_page import ChatPage

PASSWORD = "correct horse battery"
SLOW = "n=60 rate=3 kind=numbered"


@pytest.fixture
def server(serve: Callable[..., Served]) -> Served:
    return serve(
        STREAMCHAT_ACCOUNTS="invite",
        STREAMCHAT_MODELS="simulator:tour,openai:gpt-5",
        STREAMCHAT_SECRET_KEY="a secret of the tests that is long enough",
    )


@pytest.fixture
def other(phone: ChatPage, server: Served) -> Page:
    """A tab of a second browser."""
    phone.oddities.own(server.url)
    phone.oddities.allow("401", "403", "422", "WebSocket")
    return phone.page


@pytest.fixture
def tab(open_page: OpenPage, server: Served) -> ChatPage:
    """A tab of the first browser, that nobody has signed in with."""
    tab = open_page(None, server=server)
    tab.oddities.allow("401", "403", "WebSocket")
    return tab


def fill(page: Page, name: str, button: str = "sign-in", password: str = PASSWORD) -> None:
    page.get_by_test_id("user-name").fill(name)
    page.get_by_test_id("password").fill(password)
    page.get_by_test_id(button).click()


def signed_up(tab: ChatPage, name: str = "anna") -> ChatPage:
    """The tab of the first person, with an account."""
    tab.page.goto(tab.url + "/")
    fill(tab.page, name, "sign-up")
    return tab.ready()


def test_from_sign_up_to_sign_out(tab: ChatPage):
    """The chat leads to the sign-in, which works with the keyboard and leads back; signing out closes it."""
    signed_up(tab).ask("n=20 rate=0 kind=numbered")
    tab.wait_status("finished")
    address = tab.page.url
    tab.page.get_by_test_id("sign-out").click()
    expect(tab.page.get_by_test_id("sign-in")).to_be_visible()
    tab.page.goto(address)
    expect(tab.page.get_by_test_id("user-name")).to_be_focused()
    tab.page.keyboard.type("anna")
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.type("wrong password")
    tab.page.keyboard.press("Enter")
    expect(tab.page.get_by_role("alert")).to_have_text("This name and password do not fit.")
    tab.page.get_by_test_id("password").fill(PASSWORD)
    tab.page.keyboard.press("Enter")
    tab.wait_status("finished")
    assert tab.page.url == address


def test_a_key_of_a_vendor(tab: ChatPage):
    """A person brings one: of it the page shows the ending, also after a reload, and the vendor's model can be chosen,
    until the key is removed."""
    page = signed_up(tab).page
    models = "fetch('/v1/models').then((answer) => answer.json()).then(({data}) => data.map(({id}) => id))"
    assert page.evaluate(models) == ["simulator:tour"]
    page.goto(tab.url + "/account")
    page.get_by_test_id("own-key-vendor").select_option("openai")
    page.get_by_test_id("own-key").fill("sk-CANARY-of-anna-4321")
    page.get_by_test_id("set-own-key").click()
    row = page.get_by_test_id("own-keys").get_by_role("listitem")
    expect(row).to_contain_text("…4321")
    expect(page.get_by_test_id("own-key")).to_have_value("")
    page.reload()
    expect(row).to_contain_text("…4321")
    assert "CANARY" not in page.content()
    assert page.evaluate(models) == ["simulator:tour", "openai:gpt-5"]
    page.get_by_test_id("remove-own-key").click()
    expect(row).to_have_count(0)
    assert page.evaluate(models) == ["simulator:tour"]


def test_webhooks_and_their_deliveries(tab: ChatPage):
    """A webhook is added, its secret shown once, and the log of its deliveries tells what came of each."""
    page = signed_up(tab).page
    page.goto(tab.url + "/account")
    page.get_by_test_id("webhook-url").fill("https://receiver.invalid/hook")
    page.get_by_test_id("create-webhook").click()
    expect(page.get_by_test_id("new-webhook")).to_contain_text("whsec_")
    page.goto(tab.url + "/")
    tab.ready().ask("n=3 rate=0 kind=numbered")
    tab.wait_status("finished")
    page.goto(tab.url + "/account")
    page.get_by_test_id("show-deliveries").click()
    row = page.get_by_test_id("deliveries").get_by_role("listitem")
    expect(row).to_contain_text("run.ended")
    page.get_by_test_id("remove-webhook").click()
    expect(row).to_be_hidden()
    expect(page.get_by_test_id("webhooks").get_by_role("listitem")).to_have_count(0)


def test_a_revoked_session_in_mid_answer(tab: ChatPage, other: Page):
    """A session is ended from a second browser: the answer goes on, the page asks to sign in, then shows all of it."""
    signed_up(tab).ask(SLOW)
    tab.wait_text("w000003")
    address = tab.page.url
    other.goto(tab.url + "/account")
    fill(other, "anna")
    expect(other.get_by_test_id("sessions").locator("li")).to_have_count(2)
    foreign = other.get_by_test_id("sessions").locator("li", has_not_text="This browser")
    foreign.get_by_test_id("end-session").click()
    expect(tab.page.get_by_test_id("user-name")).to_be_visible()
    fill(tab.page, "anna")
    tab.wait_status("finished", timeout=60_000)
    tab.wait_text("w000060")
    assert tab.page.url == address


def test_an_invitation(tab: ChatPage, other: Page):
    """An admin makes one, somebody else signs up with it on a phone, and neither sees the other's conversations; then
    that person takes everything along and deletes the account."""
    signed_up(tab).ask("zebrafish n=3 rate=0")
    tab.wait_status("finished")
    tab.page.goto(tab.url + "/account")
    tab.page.get_by_test_id("create-invitation").click()
    code = tab.page.get_by_test_id("new-invitation").locator("code")
    expect(code).not_to_be_empty()
    address = code.inner_text()
    conversation = tab.page.evaluate("fetch('/api/conversations').then((r) => r.json())")["conversations"][0]["id"]
    other.goto(address)
    width = other.evaluate("document.documentElement.scrollWidth")
    assert width <= 390
    fill(other, "bert", "sign-up")
    chat = ChatPage(other, tab.served, tab.oddities, tab.url)
    chat.ready()
    expect(chat.rows).to_have_count(0)
    other.goto(f"{tab.url}/c/{conversation}")
    expect(other.get_by_text("zebrafish")).to_have_count(0)
    other.goto(tab.url + "/account")
    expect(other.get_by_test_id("create-key")).to_be_visible()
    expect(other.get_by_test_id("create-invitation")).to_be_hidden()
    assert other.evaluate("document.documentElement.scrollWidth") <= 390
    with other.expect_download() as download:
        other.get_by_test_id("export-person").click()
    assert '"name":"bert"' in Path(download.value.path()).read_text()
    other.locator("[name=old]").fill("wrong password")
    other.locator("[name=new]").fill("another password")
    other.get_by_role("button", name="Change it").click()
    expect(other.get_by_role("alert")).to_contain_text("old password is wrong")
    other.get_by_test_id("delete-name").fill("anna")
    other.get_by_test_id("delete-person").click()
    expect(other.get_by_role("alert")).to_contain_text("repeat its name")
    other.get_by_test_id("delete-name").fill("bert")
    other.get_by_test_id("delete-person").click()
    expect(other.get_by_test_id("user-name")).to_be_visible()
    expect(other).to_have_url(re.compile("/sign-in"))


def test_the_account_is_shown_once_its_lists_are_there(tab: ChatPage):
    """Else what somebody is about to click moves away."""
    signed_up(tab)
    held: list[Route] = []
    tab.page.route("**/api/account/keys", lambda route: held.append(route))
    with tab.page.expect_request("**/api/account/keys"):
        tab.page.goto(tab.url + "/account", wait_until="commit")
    expect(tab.page.locator("main")).to_have_attribute("aria-busy", "true")
    expect(tab.page.get_by_test_id("create-invitation")).to_be_hidden()
    held[0].continue_()
    expect(tab.page.get_by_test_id("create-invitation")).to_be_visible()


def test_a_passkey(tab: ChatPage, context: BrowserContext):
    """Made on the page of the account, it signs in without a name and without a password, and can be removed."""
    device = context.new_cdp_session(tab.page)
    device.send("WebAuthn.enable")
    options = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    options |= {"isUserVerified": True, "automaticPresenceSimulation": True}
    device.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    tab.url = tab.url.replace("127.0.0.1", "localhost")  # an address has no passkeys, a name has
    tab.oddities.own(tab.url)
    signed_up(tab)
    tab.page.goto(tab.url + "/account")
    tab.page.get_by_test_id("passkey-name").fill("My laptop")
    tab.page.get_by_test_id("create-passkey").click()
    expect(tab.page.get_by_test_id("passkeys").get_by_text("My laptop")).to_be_visible()
    tab.page.get_by_test_id("sign-out").click()
    tab.page.get_by_test_id("passkey").click()
    tab.ready()
    tab.page.goto(tab.url + "/account")
    tab.page.get_by_test_id("passkeys").get_by_role("button", name="Remove").click()
    expect(tab.page.get_by_test_id("passkeys").locator("li")).to_have_count(0)
    entries = tab.page.request.get(tab.url + "/api/audit").json()["entries"]
    passkey = [one for one in reversed(entries) if "passkey" in one["event"]]
    assert [one["event"] for one in passkey] == ["passkey-added", "passkey-removed"]
    assert passkey[0]["detail"] == passkey[1]["detail"]
    tab.page.get_by_test_id("sign-out").click()
    tab.page.get_by_test_id("passkey").click()
    expect(tab.page.get_by_role("alert")).to_have_text("This passkey does not fit.")


def test_the_sign_in_can_be_read(tab: ChatPage):
    """Text and background differ enough in both schemes, and what is pressed is large enough for a thumb."""
    tab.page.set_viewport_size({"width": 390, "height": 844})
    for scheme in ("light", "dark"):
        tab.page.emulate_media(color_scheme=scheme)
        tab.page.goto(tab.url + "/sign-in")
        colours = tab.page.evaluate(
            "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
        )
        text, page = [[int(n) for n in colour.removeprefix("rgb(").rstrip(")").split(",")] for colour in colours]
        assert (sum(page) > sum(text)) is (scheme == "light")
        assert abs(sum(page) - sum(text)) > 450, scheme
    for test_id in ("user-name", "password", "sign-up"):
        box = tab.page.get_by_test_id(test_id).bounding_box()
        assert box is not None
        assert box["height"] >= 44
        assert box["x"] + box["width"] <= 390
