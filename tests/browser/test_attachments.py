"""Files in the composer, as a person attaches them: chosen, dropped, pasted; and what is refused says why."""

from __future__ import annotations

import base64
import re
from typing import Any

from playwright.sync_api import FilePayload, Locator, expect

from tests.browser.conftest import OpenPage
from tests.support.chat_page import ChatPage
from tests.support.made_files import bomb, locked_pdf, pdf, png, zip_archive

TRANSFER = """([name, type, data]) => {
    const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
    const transfer = new DataTransfer();
    transfer.items.add(new File([bytes], name, { type }));
    return transfer;
}"""


def attached(chat: ChatPage, state: str | None = None) -> Locator:
    selector = "[data-testid=attachment]" + (f"[data-state={state}]" if state else "")
    return chat.page.locator(selector)


def choose(chat: ChatPage, *files: tuple[str, bytes], media_type: str = "image/png") -> None:
    payloads: list[FilePayload] = [{"name": name, "mimeType": media_type, "buffer": content} for name, content in files]
    chat.page.get_by_test_id("attach").set_input_files(payloads)


def hand_over(chat: ChatPage, target: str, event: str, name: str, content: bytes) -> bool:
    """Dispatch a drop or a paste with a file. Returns whether the browser would do something of its own with it."""
    data = [name, "image/png", base64.b64encode(content).decode()]
    transfer: Any = chat.page.evaluate_handle(TRANSFER, data)
    script = """([target, event, transfer]) => {
        const options = { bubbles: true, cancelable: true };
        const made = event === "paste"
            ? new ClipboardEvent("paste", { ...options, clipboardData: transfer })
            : new DragEvent(event, { ...options, dataTransfer: transfer });
        return document.querySelector(target).dispatchEvent(made);
    }"""
    return chat.page.evaluate(script, [target, event, transfer])


def test_files_are_chosen_dropped_and_pasted(open_page: OpenPage):
    """They are there after a reload, and sent with the message; every tab shows them, by their address."""
    chat = open_page().choose("openai:tour")
    choose(chat, ("cat.png", png(40, 30)))
    expect(attached(chat, "ready")).to_have_count(1)
    for event in ("dragover", "drop"):  # beside the composer
        assert hand_over(chat, "[data-testid=model-picker]", event, "dropped.png", png(31, 30)) is False
    expect(attached(chat, "ready")).to_have_count(2)
    assert hand_over(chat, "[data-testid=composer]", "paste", "pasted.png", png(32, 30)) is False
    expect(attached(chat, "ready")).to_have_count(3)
    chat.page.reload()
    chat.ready()
    expect(attached(chat, "ready")).to_have_count(3)
    choose(chat, ("a.pdf", pdf("it says zebra")), media_type="application/pdf")
    attached(chat).filter(has_text="dropped.png").get_by_role("button").click()
    expect(attached(chat, "ready")).to_have_count(3)
    chat.page.wait_for_function("() => [...document.querySelectorAll('.attachments img')].every((i) => i.naturalWidth)")
    chat.ask("what is in these?")
    expect(attached(chat)).to_have_count(0)
    other = open_page(f"/c/{chat.conversation_id}")
    for tab in (chat, other):
        pictures = tab.questions.locator("img")
        expect(pictures).to_have_count(2)
        assert re.fullmatch(r"/api/files/[\w-]+", pictures.first.get_attribute("src") or "")
        expect(tab.questions.get_by_role("link", name="a.pdf (1 page)")).to_be_visible()
        tab.page.wait_for_function("() => [...document.querySelectorAll('.question img')].every((i) => i.naturalWidth)")


def test_a_file_that_cannot_be_sent_says_why(open_page: OpenPage):
    """Nothing is sent before it is removed; a model that cannot see says so; 200 files at once are no harm."""
    chat = open_page().choose("simulator:tour")
    chat.oddities.allow("Failed to load resource")
    choose(chat, ("a.png", zip_archive()), ("large.png", bomb()), ("a.pdf", locked_pdf()), ("empty.pdf", pdf("")))
    expect(attached(chat, "error")).to_have_count(4)
    for message in ("ZIP archive", "20,000 × 20,000", "password", "no text in this PDF"):
        expect(attached(chat, "error").filter(has_text=message)).to_have_count(1)
    chat.send("look")
    expect(chat.said).to_contain_text("could not be uploaded")
    expect(chat.messages).to_have_count(0)
    for _ in range(4):
        attached(chat).first.get_by_role("button").click()

    choose(chat, *((f"{n}.png", png(2, 2 + n)) for n in range(200)))
    expect(chat.said).to_contain_text("180 of these were left out")
    expect(attached(chat, "ready")).to_have_count(20)
    expect(chat.page.get_by_test_id("cannot-see")).to_contain_text("cannot see pictures")
    chat.picker.select_option("openai:tour")
    expect(chat.page.get_by_test_id("cannot-see")).to_have_count(0)
    chat.composer.fill("")
    chat.send_button.click()
    expect(chat.questions.locator("img")).to_have_count(20)


def test_a_large_picture_is_scaled_down_before_its_upload(open_page: OpenPage):
    """To what models take, and a message that was sent meanwhile waits for it."""
    chat = open_page().choose("openai:tour")
    choose(chat, ("wide.png", png(5000, 1000)))
    chat.send("how wide is it?")
    picture = chat.questions.locator("img")
    expect(picture).to_be_visible()
    assert picture.get_attribute("width") == "2000"
    assert picture.get_attribute("height") == "400"
