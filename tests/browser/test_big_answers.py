"""A table of hundreds of rows while it streams, and a long answer in a tab that nobody looks at."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from devservers.app import Served
from tests.browser.conftest import OpenPage
from tests.support.chat_page import ChatPage
from tests.support.vendor import Vendor, says

ROWS = 300
TABLE = [
    "Here they are.\n\n",
    "| Number | Plant | Note |\n|---:|---|---|\n",
    *(
        f"| {n} | Plant {n} | Sown in row {n}, *thinned* after week {n % 9}, see `bed-{n}`. |\n"
        for n in range(1, ROWS + 1)
    ),
    "\nThat is all.",
]


def test_a_long_table_is_left_alone_where_it_is_done(planted: Served, vendor: Vendor, open_page: OpenPage, mark: str):
    """Once there are 200 rows, nothing changes in the first 100 until the end; what is typed meanwhile arrives; every
    row is there."""
    vendor.answer = says(*TABLE, pause=0.01)
    chat = open_page("/?model=openai:one", server=planted)
    chat.ask(mark)
    page = chat.page
    page.wait_for_function("() => document.querySelectorAll('.answer tbody tr').length >= 200")
    page.evaluate(
        """() => {
            window.changed = 0;
            const observer = new MutationObserver((records) => { window.changed += records.length; });
            for (const row of [...document.querySelectorAll(".answer tbody tr")].slice(0, 100))
                observer.observe(row, { subtree: true, childList: true, characterData: true, attributes: true });
        }"""
    )
    chat.composer.press_sequentially("typed while it grows")
    expect(chat.composer).to_have_value("typed while it grows")
    chat.wait_status("finished")
    expect(page.locator(".answer tbody tr")).to_have_count(ROWS)
    assert page.evaluate("window.changed") == 0
    chat.wait_text("That is all")
    first = page.locator(".answer tbody tr").first
    assert first.is_visible()
    assert first.evaluate("e => e.isConnected && e.textContent.startsWith('1Plant 1')")


HIDE = """(hidden) => {
    const own = (name, value) => Object.defineProperty(document, name, { configurable: true, get: () => value });
    own("hidden", hidden);
    own("visibilityState", hidden ? "hidden" : "visible");
    if (hidden) {
        window.waiting = [];
        window.frames_ = window.requestAnimationFrame;
        window.requestAnimationFrame = (callback) => window.waiting.push(callback);
    } else {
        window.requestAnimationFrame = window.frames_;
        for (const callback of window.waiting) requestAnimationFrame(callback);
    }
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_an_answer_that_nobody_looks_at(chat: ChatPage, mark: str):
    """A browser without a window has no tabs in the background: so the page is told that it is hidden, and gets no
    frames. The answer is rendered once, at its end, for what waits for that, as a queued message does. The title and
    the live region tell of it; looked at again all of it is there, and the view is at its end."""
    page = chat.page
    chat.ask(f"{mark} n=5000 rate=1000 kind=numbered").wait_text("w000003")
    page.evaluate(HIDE, True)
    page.wait_for_timeout(300)  # what was due before
    page.evaluate(
        """() => {
            window.rendered = [];
            const answer = [...document.querySelectorAll("[data-testid=message][data-role=assistant]")].at(-1);
            // In its text: how long nothing has come is said beside it, each second.
            const text = "[data-testid=answer]";
            const isText = ({ target }) => (target.closest ? target : target.parentElement)?.closest(text);
            new MutationObserver((records) => records.some(isText) && window.rendered.push(answer.dataset.status))
                .observe(answer, { subtree: true, childList: true, characterData: true, attributes: true });
        }"""
    )
    page.wait_for_function("() => document.title.startsWith('● ')", polling=200, timeout=90_000)
    assert page.evaluate("document.querySelector('[aria-live=polite]').textContent") == "Complete, 5,000 words"
    assert set(page.evaluate("window.rendered")) == {"finished"}, "nothing was rendered meanwhile"
    page.evaluate(HIDE, False)
    chat.wait_status("finished")
    page.wait_for_function("() => document.title && !document.title.startsWith('● ')")
    page.wait_for_selector("[aria-busy][data-settled=true]")
    assert len(re.findall(r"w\d{6}", chat.text())) == 5000
    assert chat.left() <= 40
