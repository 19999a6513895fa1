"""The page below a path of the public address, from the same build as at the root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from devservers.app import Served
from devservers.ports import free_port
from tests.browser.conftest import OpenPage
from tests.support.chat_page import ChatPage

PATH = "/team/chat"


@pytest.fixture
def below(built: None, tmp_path: Path, open_page: OpenPage) -> Iterator[ChatPage]:
    port = free_port()
    address = f"http://localhost:{port}{PATH}"
    settings = {"STREAMCHAT_PUBLIC_URL": f"{address}/", "STREAMCHAT_MODELS": "simulator:tour"}
    server = Served(tmp_path / "data", settings, port).start()
    yield open_page("/", server=server, url=address)
    server.stop()


def test_a_chat_below_a_path(below: ChatPage):
    """Socket, transcript, lazily loaded parts, links and a reload work there, its modules are kept, nothing is asked
    for outside the path."""
    outside: list[str] = []
    below.page.on("request", lambda request: outside.append(request.url) if PATH not in request.url else None)
    below.ask("n=20 rate=0 kind=markdown")
    below.wait_status("finished")
    address = below.page.url
    assert f"{PATH}/c/" in address
    expect(below.page.get_by_test_id("new-chat")).to_have_attribute("href", f"{PATH}/")
    below.page.get_by_test_id("details").locator("summary").click()
    for link in below.page.locator("a[href]").all():
        assert (link.get_attribute("href") or "").startswith((f"{PATH}/", "http")), link.get_attribute("href")
    with below.page.expect_download() as download:
        below.page.get_by_role("link", name="Events of this answer").click()
    assert "event: finished" in Path(download.value.path()).read_text()
    with below.page.expect_response(f"**{PATH}/assets/*.js") as module:
        below.page.reload()
    assert "max-age" in module.value.headers["cache-control"]
    below.wait_status("finished")
    below.page.get_by_test_id("new-chat").click()
    expect(below.answers).to_have_count(0)
    below.rows.first.click()
    below.wait_status("finished")
    assert below.page.url == address
    assert outside == []


def test_an_unknown_address_below_a_path_leads_back(below: ChatPage):
    """The page of an address that names nothing has a way to the chat, which is below the path too."""
    below.oddities.allow("404")
    below.page.goto(below.url + "/no/such/page")
    expect(below.page.get_by_role("link", name="Go to streamchat")).to_have_attribute("href", f"{PATH}/")
