"""The real page in front of the cluster: it comes back by itself when its worker dies."""

from __future__ import annotations

import psycopg
from playwright.sync_api import Browser

from devservers.cluster import Machine
from tests.support.chat_page import ChatPage, Oddities, numbered


def stored(machine: Machine, run_id: str) -> tuple[str, int]:
    """Status of an answer, and the process that wrote it."""
    with psycopg.connect(machine.database) as connection:
        found = connection.execute("select status, worker from message where id = %s", (run_id,)).fetchone()
    assert found
    return found[0], int(found[1].rpartition(":")[2])


def test_the_page_outlives_its_worker(machine: Machine, browser: Browser):
    """Its worker is killed in mid answer: without a touch the page shows what is stored, and Retry is answered."""
    context = browser.new_context()
    oddities = Oddities(context)
    oddities.own(machine.url)
    oddities.allow("WebSocket connection to .* failed", "ERR_")
    chat = ChatPage(context.new_page(), machine.one, oddities, machine.url).open("/")
    chat.picker.select_option("simulator:tour")
    chat.ask("kind=numbered n=5000 rate=50").wait_text("w000030")
    pid = stored(machine, chat.message_id())[1]
    (worker,) = (which for which in (machine.one, machine.two) if which.pid == pid)
    worker.kill()
    try:
        chat.wait_status("interrupted")
        assert stored(machine, chat.message_id())[0] == "interrupted"
        words = chat.words()
        assert len(words) >= 30
        assert words == numbered(len(words))
        chat.ask("kind=numbered n=20 rate=50").wait_status("finished")
        assert chat.words() == numbered(20)
        assert oddities.unexpected() == []
        context.close()
    finally:
        worker.start()
