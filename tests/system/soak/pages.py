"""The readers of a soak that are Chromium pages: driven by one thread, one after the other."""

from __future__ import annotations

import time
from collections.abc import Iterable

from playwright.sync_api import Browser, BrowserContext, Error, expect

from devservers.app import Served
from tests.support.chat_page import PATIENCE, ChatPage, Oddities
from tests.support.relay import Relay
from tests.system.soak.crowd import MODEL, Diary
from tests.system.soak.plan import PAGES, Step

# What a browser says while a server is away or a connection breaks.
AWAY = (
    r"net::ERR_",
    r"WebSocket connection to .* failed",
    r"Failed to fetch",
    r"Unable to preload CSS",
    r"error loading dynamically imported module",
    r"Error loading route module .* reloading page",
)
LOAD_SECONDS = 90
# Id, role, status and the text of each message, as a person finds them on the page.
READ = """() => [...document.querySelectorAll("[data-testid=message]")].map((message) => [
    message.dataset.messageId, message.dataset.role, message.dataset.status ?? "",
    [...message.querySelectorAll("[data-testid=answer]")].map((answer) => answer.textContent).join("")])"""


class Pages:
    """Each in a browser context of its own, which keeps the page's code while it is away; they speak to the server
    through a relay that can cut connections."""

    def __init__(self, browser: Browser, served: Served, relay: Relay, diary: Diary) -> None:
        self._browser = browser
        self._served = served
        self._relay = relay
        self._diary = diary
        self._paths: dict[int, str] = {}
        self.chats: dict[int, ChatPage] = {}
        self._contexts: dict[int, BrowserContext] = {}
        self.oddities: list[Oddities] = []

    def come(self, paths: dict[int, str]) -> None:
        """Page n shows conversation n."""
        self._paths = paths
        for number in range(PAGES):
            if number not in self.chats:
                self._open(number)

    def leave(self) -> None:
        for number in list(self.chats):
            self._close(number)

    def close(self) -> None:
        """For good."""
        self.leave()
        for context in self._contexts.values():
            context.close()

    def play(self, steps: Iterable[Step]) -> None:
        """These steps, none before its time."""
        for step in steps:
            while (early := step.at - self._diary.now) > 0:
                time.sleep(min(early, 0.2))
            self._diary.write(step)
            try:
                self._do(self.chats[step.who], step)
            except (Error, AssertionError) as error:
                self._diary.write(step, f"not done: {str(error).splitlines()[0]}")

    def settle(self) -> None:
        """Until no page waits for anything."""
        for number, chat in self.chats.items():
            if not self._usable(chat):
                self._load(number, chat)
            expect(chat.page.locator("[data-status=streaming]")).to_have_count(0, timeout=60_000)
            expect(chat.stop_button).to_have_count(0, timeout=PATIENCE)

    def shown(self, number: int) -> list[tuple[str, str, str, str]]:
        return [tuple(told) for told in self.chats[number].page.evaluate(READ)]

    def _do(self, chat: ChatPage, step: Step) -> None:
        match step.what:
            case "ask":
                self._ask(chat, step.text)
            case "stop":
                if chat.stop_button.count():
                    chat.stop_button.click(timeout=1000)
            case "cut":
                self._relay.cut()
            case "reload":
                self._load(step.who, chat)
            case "leave":
                self._close(step.who)
                time.sleep(step.seconds)
                self._open(step.who)

    def _ask(self, chat: ChatPage, text: str) -> None:
        chat.composer.fill(text, timeout=2000)
        if chat.stop_button.count():
            self._diary.write("there is no Send while an answer is written")
            chat.composer.fill("", timeout=2000)
            return
        chat.composer.press("Enter")
        try:
            expect(chat.composer).to_have_value("", timeout=5000)
        except AssertionError:
            self._diary.write(f"still in the composer: {text[:40]}")

    def _open(self, number: int) -> None:
        if number not in self._contexts:
            context = self._contexts[number] = self._browser.new_context(viewport={"width": 1000, "height": 700})
            oddities = Oddities(context)
            oddities.own(self._relay.url)
            oddities.allow(*AWAY)
            self.oddities.append(oddities)
        context, oddities = self._contexts[number], self.oddities[number]
        chat = self.chats[number] = ChatPage(context.new_page(), self._served, oddities, self._relay.url)
        self._load(number, chat)
        model = f"{MODEL}:tour"
        chat.picker.select_option(model)

    def _load(self, number: int, chat: ChatPage) -> None:
        """As a person does it: again, until there is a page to use."""
        end, problem = time.monotonic() + LOAD_SECONDS, ""
        while time.monotonic() < end:
            try:
                chat.page.goto(self._relay.url + self._paths[number], timeout=10_000)
                expect(chat.composer).to_be_editable(timeout=10_000)
                expect(chat.messages.first).to_be_attached(timeout=10_000)
                return
            except (Error, AssertionError) as error:
                if problem != (problem := str(error).splitlines()[0][:120]):
                    self._diary.write(f"page {number} is loaded again: {problem}")
                time.sleep(0.5)
        raise AssertionError(f"page {number} cannot be loaded: {problem}")

    def _usable(self, chat: ChatPage) -> bool:
        return chat.composer.count() == 1 and chat.messages.count() > 0

    def _close(self, number: int) -> None:
        self.chats.pop(number).page.close()
