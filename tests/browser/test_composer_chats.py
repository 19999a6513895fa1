"""Temporary chats, and titles by a model, as a person meets them: after a reload, in a second tab."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import expect

from devservers.app import Served
from tests.browser.conftest import OpenPage


def test_a_chat_that_is_never_stored_and_one_that_gets_a_title(
    serve: Callable[..., Served], open_page: OpenPage
) -> None:
    """The temporary chat shows in both tabs and after a reload, in no list and no draft; deleted it is gone.

    The other chat is named by the model after its first answer, in every tab and after a reload.
    """
    server = serve(STREAMCHAT_TITLES="auto")
    chat = open_page("/?model=simulator:tour", server=server)
    page = chat.page
    page.get_by_test_id("temporary").click()
    expect(page.get_by_test_id("temporary-note")).to_be_visible()
    chat.composer.type("n=3 rate=0 zebrafish")
    chat.composer.press("Enter")
    chat.wait_status("finished")
    assert (chat.conversation_id or "").startswith("temporary-")
    page.reload()
    chat.ready().wait_status("finished")
    expect(page.get_by_test_id("temporary-note")).to_be_visible()
    page.get_by_test_id("attach").set_input_files({"name": "quokka.txt", "mimeType": "", "buffer": b"x"})
    expect(page.locator("[data-testid=attachment][data-state=ready]")).to_have_count(1)
    chat.composer.press_sequentially("quagga")
    page.get_by_test_id("new-chat").click()
    expect(page.get_by_test_id("temporary-note")).to_have_count(0)
    expect(chat.composer).to_have_value("")
    stored = page.evaluate("JSON.stringify(localStorage)")
    assert "quokka" not in stored
    assert "quagga" not in stored
    page.go_back()
    expect(page.get_by_test_id("temporary-note")).to_be_visible()
    other = open_page(f"/c/{chat.conversation_id}", server=server)
    other.ask("n=3 rate=0 again").wait_status("finished")
    for each in (chat, other):
        expect(each.questions).to_have_count(2)
        expect(each.rows).to_have_count(0)
    assert "zebrafish" not in page.evaluate("JSON.stringify(localStorage)")
    page.get_by_test_id("search").fill("zebrafish")
    expect(page.get_by_text("Nothing was found").first).to_be_visible()
    page.get_by_test_id("search").fill("")
    page.get_by_test_id("end-temporary").click()
    expect(page.get_by_test_id("temporary-note")).to_have_count(0)
    expect(other.page.get_by_text("does not exist")).to_be_visible()
    chat.ask("n=4 rate=0 kind=numbered named").wait_status("finished")
    for each in (chat, other):
        expect(each.rows).to_have_text(["w000001 w000002 w000003 w000004"])
    expect(page.locator(".thread-title")).to_have_text("w000001 w000002 w000003 w000004")
    page.reload()
    chat.ready()
    expect(page.locator(".thread-title")).to_have_text("w000001 w000002 w000003 w000004")


def test_presets_and_prompts(serve: Callable[..., Served], open_page: OpenPage) -> None:
    """A preset of this browser is taken over, saved ones are there in another tab: with ``@`` by keyboard, or from the
    list of models. A prompt comes with ``/``, and Tab goes through its placeholders.
    """
    server = serve(STREAMCHAT_MODELS="simulator:tour,simulator:reasoning")
    chat = open_page("/?model=simulator:tour", server=server)
    page = chat.page
    old = '[{"name": "Old one", "model": "simulator:tour", "settings": {"system": "As before."}}]'
    page.evaluate("old => localStorage.setItem('streamchat.presets', old)", old)
    page.reload()
    chat.ready()
    page.get_by_test_id("parameters").click()
    expect(page.get_by_test_id("preset")).to_have_text(["Old one"])
    assert page.evaluate("localStorage.getItem('streamchat.presets')") is None
    page.get_by_test_id("system-prompt").fill("Be brief.")
    page.get_by_test_id("preset-name").fill("Brief")
    page.get_by_test_id("preset-save").click()
    expect(page.get_by_test_id("preset")).to_have_text(["Brief", "Old one"])
    page.get_by_test_id("prompt-text").fill("n=3 rate=0 translate {text} to {language}")
    page.get_by_test_id("prompt-name").fill("translate")
    page.get_by_test_id("prompt-save").click()
    expect(page.get_by_test_id("prompt")).to_have_text(["translate"])
    other = open_page("/?model=simulator:reasoning", server=server)
    other.composer.press_sequentially("@")
    expect(other.page.get_by_test_id("completion")).to_have_count(2)
    other.composer.press_sequentially("o")
    other.composer.press("ArrowDown")
    other.composer.press("Escape")
    expect(other.page.get_by_test_id("completion")).to_have_count(0)
    other.composer.fill("")
    other.composer.press_sequentially("@bri")
    other.composer.press("Enter")
    expect(other.composer).to_have_value("")
    expect(other.picker).to_have_value("simulator:tour")
    other.composer.press_sequentially("/tr")
    other.composer.press("Tab")
    other.page.keyboard.type("bread")
    other.composer.press("Tab")
    other.page.keyboard.type("French")
    expect(other.composer).to_have_value("n=3 rate=0 translate bread to French")
    other.composer.press("Enter")
    other.wait_status("finished")
    other.page.reload()
    other.ready()
    about = "id => fetch(`/api/conversations/${id}`).then(r => r.json())"
    assert other.page.evaluate(about, other.conversation_id)["system"] == "Be brief."
    other.picker.select_option(label="Old one")
    other.page.get_by_test_id("parameters").click()
    expect(other.page.get_by_test_id("system-prompt")).to_have_value("As before.")
    page.reload()
    chat.ready()
    page.get_by_test_id("parameters").click()
    page.get_by_label("Delete the preset Brief").click()
    expect(page.get_by_test_id("preset")).to_have_text(["Old one"])
