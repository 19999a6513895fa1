"""What an answer costs the page grows with the answer's new words only: not with its length, not with the history.

Bounds are far from what a quiet machine needs: here only the order of things is tested, figures are the benchmarks'.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, Playwright, WebSocket, expect

from devservers.app import Served
from streamchat.chat.events import Finished, TextDelta
from streamchat.chat.fold import fold
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.storage import Storage
from tests.browser.conftest import OpenPage, new_context
from tests.conftest import launch
from tests.support.chat_page import ChatPage, Oddities, numbered
from tests.support.long import LONG
from tests.support.loop import LoopThread
from tests.support.relay import Relay
from tests.support.simulated import Simulated
from tests.support.tabs import Tabs

EXCHANGES = 100
MANY = 10_000 if LONG else 2000
FILLER = "Some **words** of an older answer, `code` and a list:\n\n- one\n- two\n\n```python\nprint('x')\n```\n"


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """One that compiles as those of people do: how the page keeps up is what is tested here."""
    started = launch(playwright)
    yield started
    started.close()


@pytest.fixture(scope="module")
def shared_tabs(browser: Browser) -> Tabs:
    return Tabs(new_context(browser))


@pytest.fixture(scope="module")
def long_thread(served: Served, loop: LoopThread) -> str:
    """The address of a conversation of 200 messages, written by the app's own storage."""

    async def write() -> str:
        store = Storage(f"sqlite:///{served.database}")
        await store.open()
        place: str | None = None
        for number in range(EXCHANGES):
            begun = await store.begin(
                "local",
                NewRun(
                    conversation_id=place,
                    client_message_id=f"long-thread-{number}",
                    parts=(TextPart(f"Question {number} of a long thread"),),
                    model="openai:tour",
                ),
                worker="tests",
            )
            place = begun.conversation_id
            answer = fold(begun.answer, [TextDelta(f"Answer {number}. {FILLER}"), Finished("stop")])
            assert await store.end(answer, 2)
        await store.close()
        return f"/c/{place}"

    return loop.run(write(), 60)


def unfold(chat: ChatPage) -> None:
    """Until all of the long thread's messages are in the page."""
    expect(chat.answers.last).to_be_visible()
    earlier = chat.page.get_by_role("button", name="Show earlier messages")
    while earlier.count():
        shown = chat.messages.count()
        earlier.click()
        expect(chat.messages).not_to_have_count(shown)
    assert chat.messages.count() >= 2 * EXCHANGES
    # Long texts are rendered over several frames.
    quiet = 0
    while quiet < 3:
        chat.forget()
        chat.paints(15)
        quiet = 0 if chat.seen()["mutations"] else quiet + 1


class Frames:
    """The text frames that came to the page on its websockets, decompressed."""

    def __init__(self, chat: ChatPage) -> None:
        self.sizes: list[int] = []
        self.texts: list[str] = []
        chat.page.on("websocket", self._opened)

    def _opened(self, socket: WebSocket) -> None:
        socket.on("framereceived", self._received)

    def _received(self, payload: str | bytes) -> None:
        if isinstance(payload, str):
            self.texts.append(payload)
            self.sizes.append(len(payload.encode()))

    def pieces(self) -> list[tuple[int, dict[str, Any]]]:
        """Size and content of the frames that carry a piece of an answer and nothing else."""
        found = []
        for text, size in zip(self.texts, self.sizes, strict=True):
            match = re.search(r'"f_rx_state_":(\{"m".*?\})\}', text)
            if match and '"t":' in match[1]:
                found.append((size, json.loads(match[1])))
        return found


@dataclass
class Visit:
    """What three answers at the end of the long thread did, all of whose messages were in the page."""

    pieces: list[tuple[int, dict[str, Any]]]  # the frames of 100 words, with their sizes
    answer: str  # the id of an answer in Markdown, and how much changed in which message while it streamed
    changed: dict[str, int]
    words: list[str]  # of ``MANY`` as fast as they come; the bytes of what was sent, of the frames and on the wire
    sent: int
    framed: int
    carried: int


@pytest.fixture(scope="module")
def visit(browser: Browser, served: Served, relay: Relay, simulated: Simulated, long_thread: str) -> Visit:
    """One load of the long thread for all tests of it."""
    context = new_context(browser)
    oddities = Oddities(context)
    oddities.own(served.url, relay.url)
    chat = ChatPage(context.new_page(), served, oddities, relay.url)
    frames = Frames(chat)
    unfold(chat.open(long_thread))
    chat.ask("n=100 rate=50 kind=numbered").wait_status("finished")
    pieces = frames.pieces()
    chat.ask("n=100 rate=30 kind=markdown seed=11")
    chat.page.wait_for_function(
        "() => document.querySelector('[data-testid=message]:last-of-type').textContent.length > 20"
    )
    chat.forget()
    answer = chat.message_id()
    chat.wait_status("finished")
    changed = chat.seen()["mutations"]
    before, counted = relay.received(), sum(frames.sizes)
    text = f"long thread n={MANY} rate=0 kind=numbered"
    chat.ask(text).wait_status("finished", timeout=60_000)
    words, sent = chat.words(), len(simulated.wait_closed(text, by="server")["text"])
    framed, carried = sum(frames.sizes) - counted, relay.received() - before
    context.close()
    assert oddities.unexpected() == []
    return Visit(pieces, answer, changed, words, sent, framed, carried)


def test_a_long_answer_in_a_long_thread_is_cheap(visit: Visit):
    """As many words as fast as they come after 200 messages: whole, and fewer than ten bytes on the wire per byte of
    the answer."""
    assert visit.words == numbered(MANY)
    assert visit.carried < 10 * visit.sent
    assert visit.framed < 10 * visit.sent, "without compression too"


def test_a_token_costs_the_same_everywhere(visit: Visit, open_page: OpenPage, mark: str):
    """In a thread of 200 messages: the frame of a word has the same size at the beginning and at the end
    of the answer, and the same as in an empty conversation."""
    chat = open_page(None)
    frames = Frames(chat)
    chat.open("/").ask(f"{mark} n=100 rate=50 kind=numbered").wait_status("finished")
    overheads = []
    for pieces in (visit.pieces, frames.pieces()):
        overhead = [size - len(piece["t"]) for size, piece in pieces]
        assert len(overhead) >= 20
        usual = sorted(overhead)[len(overhead) * 9 // 10]
        assert usual - min(overhead) <= 12, "digits of its place"
        assert max(overhead) - usual <= 40, "now and then a checksum"
        overheads.append(usual)
    assert abs(overheads[0] - overheads[1]) <= 12
    assert max(overheads) <= 400


def test_three_hundred_words_a_second(chat: ChatPage, simulated: Simulated, mark: str):
    """The page keeps up: every word is there soon after the last one was sent, and was painted in many steps."""
    text = f"{mark} n=600 rate=300 kind=numbered"
    chat.ask(text).wait_status("finished", timeout=40_000)
    assert chat.words() == numbered(600)
    sent = simulated.wait_closed(text, by="server")
    painted = chat.seen()["changed"][chat.message_id()] / 1000
    assert painted - sent["last_token_at"] < 3
    assert len(chat.steps()) >= 20


def test_older_messages_are_left_alone(visit: Visit):
    """While an answer streams, nothing in any other message changes: 0 mutations of its elements."""
    assert visit.changed[visit.answer] > 5
    assert set(visit.changed) == {visit.answer}


def test_streamed_and_loaded_are_the_same(chat: ChatPage, mark: str):
    """The elements of answers after they streamed are those of a fresh load of the page."""
    for seed in (13, 14, 15) if LONG else (13,):
        chat.ask(f"{mark} n=400 rate=400 chunk=burst kind=markdown seed={seed}").wait_status("finished")
    streamed = settled(chat)
    chat.page.reload()
    chat.ready().wait_status("finished")
    assert settled(chat) == streamed


def settled(chat: ChatPage) -> list[str]:
    """The HTML of the answers once it does not change any more."""
    before: list[str] = []
    for _ in range(40):
        chat.paints(15)
        now = chat.answers.get_by_test_id("answer").evaluate_all("(all) => all.map((a) => a.innerHTML)")
        if now and now == before:
            return now
        before = now
    raise AssertionError("the answers do not settle")
