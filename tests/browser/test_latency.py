"""The page /latency: figures and links of the answers that were asked, with charts, within the page's own rules."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.test_content_policy import reported, violations
from tests.support.chat_page import ChatPage

__all__ = ["reported"]
PATIENCE = 90_000


def test_answers_have_their_place_in_the_figures(reported: None, open_page: OpenPage, serve):
    """Finished and failed ones are counted, drawn and linked to; the way there begins in an answer's details."""
    server = serve(STREAMCHAT_MODELS="simulator:tour,simulator:overloaded-after", STREAMCHAT_RETRIES="0")
    chat = open_page("/", server=server)
    chat.ask("n=20 rate=0 kind=numbered ttft=300").wait_status("finished", timeout=PATIENCE)
    slow = chat.message_id()
    chat.ask("n=20 rate=0 kind=numbered fault=overloaded-after at=3").wait_status("failed", timeout=PATIENCE)
    chat.answers.first.get_by_test_id("details").locator("summary").click()
    stage = chat.answers.first.locator(".timeline .stage > span").last.bounding_box()
    assert stage is not None
    assert min(stage["width"], stage["height"]) > 1
    chat.page.get_by_role("link", name="Latency of all answers").click()
    page = chat.page
    results = page.get_by_test_id("latency-results")
    expect(results).to_have_attribute("data-answers", "2", timeout=PATIENCE)
    charts = page.get_by_test_id("latency-chart")
    expect(charts).to_have_count(3)
    for name, shape in (
        ("by-day", "circle"),
        ("distribution", ".recharts-bar path"),
        ("failures", ".recharts-bar path"),
    ):
        chart = page.locator(f"[data-testid=latency-chart][data-chart={name}]")
        expect(chart.locator(shape).first).to_be_attached(timeout=PATIENCE)
    failed = page.locator("[data-chart=failures]")
    failed.get_by_role("button", name="Show numbers").click()
    expect(failed.get_by_role("cell", name="overloaded")).to_be_visible()
    # The table of models is scrolled in its place where it is wider.
    page.set_viewport_size({"width": 390, "height": 844})
    table = page.locator(".latency-models .tool-table").bounding_box()
    assert table is not None
    assert table["x"] + table["width"] <= 390
    page.set_viewport_size({"width": 1280, "height": 800})
    link = page.locator(f"[data-testid=slow-answer][data-message-id='{slow}']")
    expect(link).to_be_visible()
    assert violations(page) == []
    link.click()
    expect(page.locator(f"[data-message-id='{slow}']")).to_be_visible(timeout=PATIENCE)


def test_it_is_found_in_the_list_of_conversations(chat: ChatPage):
    """A link beside that of the lab leads there, and a link there leads back."""
    chat.page.get_by_role("navigation").get_by_role("link", name="Latency", exact=True).click()
    expect(chat.page.get_by_role("heading", level=1)).to_have_text("How fast your answers came", timeout=PATIENCE)
    chat.page.get_by_role("link", name="Chat", exact=True).click()
    chat.ready()


def test_the_chart_library_is_loaded_by_charts_only(open_page: OpenPage, serve):
    """Neither the chat nor this page without answers loads it."""
    chat = open_page(None, server=serve(STREAMCHAT_MODELS="simulator:tour"))
    loaded: list[str] = []
    chat.page.on("response", lambda answer: loaded.append(answer.text()) if answer.url.endswith(".js") else None)
    chat.open("/")
    chat.page.goto(f"{chat.url}/latency")
    expect(chat.page.get_by_test_id("latency-results")).to_have_attribute("data-answers", "0", timeout=PATIENCE)
    assert loaded
    assert not any("recharts-responsive-container" in text for text in loaded)


@pytest.mark.parametrize("path", ["/latency"])
def test_a_phone_needs_no_sideways_scrolling(phone: ChatPage, path: str):
    phone.page.goto(phone.url + path)
    expect(phone.page.get_by_test_id("latency-results")).to_be_visible(timeout=PATIENCE)
    assert phone.page.evaluate("document.documentElement.scrollWidth") <= 390
    for name in ("latency-days", "latency-figure", "latency-model"):
        box = phone.page.get_by_test_id(name).bounding_box()
        assert box is not None
        assert box["height"] >= 44
