"""The page as a person uses it, by the test ids of the contract, and everything odd that it did meanwhile.

Rules: what a test did not expect (console errors, page errors, dialogs, requests to another origin, popups) fails
it at the end; nothing waits for a fixed time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import (
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Locator,
    Page,
    Request,
    TimeoutError,
    WebError,
    expect,
)

from devservers.app import Served

WATCH = Path(__file__).with_name("watch.js").read_text()
SCROLLER = "document.querySelector('[role=region][aria-label=Conversation]')"
# What the page does about a change of size it does in a ResizeObserver, between layout and paint. Only one that is made
# after it sees what is painted; anything else may look in between.
LEFT = f"(s => s.scrollHeight - s.clientHeight - s.scrollTop)({SCROLLER})"
LAST = "[...document.querySelectorAll('[data-testid=answer]')].at(-1)?.textContent.length ?? 0"
PATIENCE = 30_000  # ms
expect.set_options(timeout=PATIENCE)


class Oddities:
    """What the pages of a browser context, of one test, did that it did not ask for."""

    def __init__(self, context: BrowserContext) -> None:
        self._own: set[str] = set()
        self._allowed: list[re.Pattern[str]] = []
        self.found: list[str] = []
        self._context = context
        self._listeners: dict[Any, Callable[[Any], None]] = {
            "console": self._console,
            "weberror": self._error,
            "dialog": self._dialog,
            "request": self._request,
        }
        for event, listener in self._listeners.items():
            context.on(event, listener)

    def close(self) -> None:
        """Look no longer: the context goes on to another test."""
        for event, listener in self._listeners.items():
            self._context.remove_listener(event, listener)

    def own(self, *urls: str) -> None:
        """These addresses are the app's own."""
        self._own |= {urlsplit(url).netloc for url in urls}

    def allow(self, *patterns: str) -> None:
        """Reports that match are expected in this test."""
        self._allowed += [re.compile(pattern, re.DOTALL) for pattern in patterns]

    def unexpected(self) -> list[str]:
        return [text for text in self.found if not any(pattern.search(text) for pattern in self._allowed)]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "assert"):
            self.found.append(f"console: {message.text} ({message.location.get('url', '')})")

    def _error(self, error: WebError) -> None:
        self.found.append(f"page error: {error.error}")

    def _dialog(self, dialog: Dialog) -> None:
        self.found.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme not in ("data", "blob", "about") and url.netloc not in self._own:
            self.found.append(f"foreign request: {request.url}")


class ChatPage:
    """One tab."""

    def __init__(self, page: Page, served: Served, oddities: Oddities, url: str) -> None:
        self.page = page
        self.served = served
        self.oddities = oddities
        self.url = url
        page.set_default_timeout(PATIENCE)
        page.set_default_navigation_timeout(PATIENCE)

    @property
    def composer(self) -> Locator:
        return self.page.get_by_test_id("composer")

    @property
    def send_button(self) -> Locator:
        return self.page.get_by_test_id("send")

    @property
    def stop_button(self) -> Locator:
        return self.page.get_by_test_id("stop")

    @property
    def retry_button(self) -> Locator:
        return self.page.get_by_test_id("retry").last

    @property
    def picker(self) -> Locator:
        return self.page.get_by_test_id("model-picker")

    @property
    def jump_latest(self) -> Locator:
        return self.page.get_by_test_id("jump-latest")

    @property
    def messages(self) -> Locator:
        return self.page.get_by_test_id("message")

    @property
    def questions(self) -> Locator:
        return self.page.locator("[data-testid=message][data-role=user]")

    @property
    def answers(self) -> Locator:
        return self.page.locator("[data-testid=message][data-role=assistant]")

    @property
    def errors(self) -> Locator:
        return self.page.get_by_test_id("error")

    @property
    def said(self) -> Locator:
        """The sentence beside the composer."""
        return self.page.locator("form.composer .said p")

    @property
    def rows(self) -> Locator:
        return self.page.get_by_test_id("conversation-item")

    @property
    def conversation_id(self) -> str | None:
        """That of the address, which a new conversation has shortly after its first words."""
        if self.questions.count():
            self.page.wait_for_url(re.compile(r"/[cs]/"), wait_until="commit")
        found = re.fullmatch(r"/c/([\w-]+)/?", urlsplit(self.page.url).path)
        return found[1] if found else None

    def open(self, path: str = "/") -> ChatPage:
        """Go there and wait until the page can be used."""
        self.page.goto(self.url + path)
        return self.ready()

    def choose(self, model: str = "simulator:tour") -> ChatPage:
        """Go to a new chat with this model."""
        self.page.goto(f"{self.url}/?model={model}")
        _attached(self.picker.locator(f"option:checked[value='{model}']"))
        return self

    def ready(self) -> ChatPage:
        """Until the transcript is there and the composer can be used."""
        _attached(self.composer.and_(self.page.locator(":read-write:enabled")))
        _attached(self.picker.locator("option:not([disabled])").first)
        return self

    def send(self, text: str) -> None:
        """Type and press Enter; on a phone, where Enter breaks the line, press Send."""
        self.composer.fill(text)
        if self.page.evaluate("matchMedia('(pointer: coarse)').matches"):
            self.send_button.click()
        else:
            self.composer.press("Enter")

    def ask(self, text: str) -> ChatPage:
        """Type, press Enter, and wait until the question and the place of its answer are in the thread."""
        questions, answers = self.questions.count(), self.answers.count()
        self.send(text)
        expect(self.questions).to_have_count(questions + 1, timeout=PATIENCE)
        expect(self.answers).to_have_count(answers + 1, timeout=PATIENCE)
        return self

    def wait_status(self, status: str, timeout: float = PATIENCE) -> Locator:
        """Until the last answer has this status."""
        last = self.answers.last
        try:
            _attached(last.and_(self.page.locator(f"[data-status={status}]")), timeout)
        except TimeoutError:
            expect(last, "the status that it had in the end").to_have_attribute("data-status", status, timeout=1)
        return last

    def wait_message(self, number: int, status: str) -> None:
        """Until the message with this number, from 1, has this status."""
        expect(self.messages.nth(number - 1)).to_have_attribute("data-status", status)

    def wait_text(self, pattern: str, timeout: float = PATIENCE) -> None:
        """Until the last answer's text matches somewhere."""
        expect(self.answers.last.get_by_test_id("answer")).to_contain_text(re.compile(pattern), timeout=timeout)

    def text(self, nth: int = -1) -> str:
        """The text of an answer as a person reads it, its parts one after the other."""
        return "".join(self.answers.nth(nth).get_by_test_id("answer").all_inner_texts()).strip()

    def words(self, nth: int = -1) -> list[str]:
        """The numbered words of an answer, in the order of the page."""
        return re.findall(r"w\d{6}", self.text(nth))

    def settled_html(self) -> list[str]:
        """The messages as HTML, once nothing is filled in or coloured any more."""
        self.page.wait_for_selector("[aria-busy][data-settled=true]")
        script = "[...document.querySelectorAll('[data-testid=message]')].map(e => e.outerHTML)"
        now = self.page.evaluate(script)
        for _ in range(20):
            self.page.wait_for_timeout(1200)
            before, now = now, self.page.evaluate(script)
            if now == before:
                return now
        raise AssertionError("the messages do not come to rest")

    def answer_length(self) -> int:
        """How many characters the last answer has."""
        return self.page.evaluate(LAST)

    def wait_for_more(self, than: int) -> None:
        """Until the last answer has more characters than this."""
        self.page.wait_for_function(f"n => ({LAST}) > n", arg=than)

    def top(self) -> float:
        """How far the transcript is scrolled, in pixels."""
        return self.page.evaluate(f"{SCROLLER}.scrollTop")

    def left(self) -> float:
        """How many pixels there are below what is in view, as the next animation frame shows it."""
        return self.page.evaluate(
            f"""() => new Promise((done) => {{
                const shown = new ResizeObserver((_, sizes) => {{
                    sizes.disconnect();
                    done({LEFT});
                }});
                shown.observe({SCROLLER});
            }})"""
        )

    def message_id(self, nth: int = -1) -> str:
        """The id of an answer."""
        return self.answers.nth(nth).get_attribute("data-message-id") or ""

    def seen(self) -> Any:
        """What ``watch.js`` recorded since the last ``forget``."""
        return self.page.evaluate("window.watched")

    def steps(self) -> list[int]:
        """The painted counts of numbered words of the last answer, in order."""
        return self.seen()["steps"].get(self.message_id(), [])

    def paints(self, count: int = 10) -> None:
        """Let this many animation frames go by."""
        script = """(count) => new Promise((done) => {
            const next = () => (count-- > 0 ? requestAnimationFrame(next) : done());
            next();
        })"""
        self.page.evaluate(script, count)

    def forget(self) -> None:
        self.page.evaluate("window.forgetWatched()")


def _attached(locator: Locator, timeout: float = PATIENCE) -> None:
    """Until there is such an element. An ``expect`` that does not hold yet writes down the whole page as its error
    message, each time it looks: a twentieth of the renderer's CPU time, for what each test waits for."""
    locator.wait_for(state="attached", timeout=timeout)


def numbered(n: int) -> list[str]:
    """The simulator's ``kind=numbered`` words."""
    return [f"w{i:06d}" for i in range(1, n + 1)]
