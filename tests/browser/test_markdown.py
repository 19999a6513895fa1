"""Markdown while it streams: no half of a construct is ever shown, nothing that is done changes, and a fresh load shows
the same.

All constructs stream at the same time in one page, each as an answer of its own.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.constructs import CONSTRUCTS
from tests.support.chat_page import ChatPage
from tests.support.long import LONG
from tests.support.wire import Wire

OPEN = {"k": "open", "g": 10**9, "conversation": None, "earlier": False, "missing": False, "title": ""}
# What is shown outside of code and formulas, after each change.
RECORD = """() => {
  window.recorded = {};
  const visible = (answer) => {
    const copy = answer.cloneNode(true);
    for (const other of copy.querySelectorAll("figure.code, .tex")) other.remove();
    return copy.textContent;
  };
  const around = ({ target }) => (target.closest ? target : target.parentElement)?.closest("[data-role=assistant]");
  const look = (records) => {
    for (const message of new Set(records.map(around))) {
      const answer = message?.querySelector("[data-testid=answer]");
      if (!answer) continue;
      const blocks = [...answer.querySelectorAll(":scope > .block")];
      const now = (window.recorded[message.dataset.messageId] ??=
        { texts: [], counts: [], known: new Map(), replaced: 0, typeset: 0, elements: new Set() });
      const text = visible(answer);
      if (now.texts.at(-1) !== text) now.texts.push(text);
      if (now.counts.at(-1) !== blocks.length) now.counts.push(blocks.length);
      for (const [i, block] of blocks.entries()) {
        const closed = i < blocks.length - 1;
        if (now.known.has(i) && now.known.get(i) !== block) now.replaced += 1;
        if (closed) now.known.set(i, block);
      }
      for (const formula of answer.querySelectorAll(".tex[data-state=done], .tex[data-state=invalid], .diagram")) {
        if (!now.elements.has(formula)) { now.elements.add(formula); now.typeset += 1; }
      }
    }
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
}"""
RECORDED = """() => Object.fromEntries(Object.entries(window.recorded).map(
  ([id, { texts, counts, replaced, typeset }]) => [id, { texts, counts, replaced, typeset }]))"""
FINAL = """() => Object.fromEntries([...document.querySelectorAll("[data-testid=message][data-role=assistant]")].map(
  (message) => [message.dataset.messageId, message.querySelector("[data-testid=answer]").innerHTML]))"""
PENDING = "[data-testid=answer] .tex[data-state=pending]"
DIAGRAMS = (
    "() => document.querySelectorAll('.diagram').length === 1 && document.querySelectorAll('.code-note').length === 1"
)
MARKERS = [
    "**",
    "*",
    "__",
    "~~",
    "`",
    "](",
    "][",
    "[^",
    "|",
    "#",
    "---",
    "===",
    "![",
    "[ ]",
    "[x]",
    "- ",
    "> ",
    "[s]:",
    "$",
    "\\",
]
# A list with a blank line between its items has paragraphs in them, and so other elements.
BECOMES_LOOSE = {"formula in list"}
# What is shown of these meanwhile is no beginning of what is shown in the end.
NO_PREFIX = {"footnote", "reference", "alert", "formula that is wrong"}


def answer(name: str, text: str = "", **more: Any) -> dict[str, Any]:
    parts = [{"type": "text", "text": text}] if text else []
    common = {"id": name, "role": "assistant", "model": "m", "text": text, "parts": parts, "seq": 0}
    return {**common, "status": "streaming", "stop_reason": None, **more}


def finished(name: str, text: str) -> dict[str, Any]:
    return answer(name, text, status="finished", stop_reason="stop")


class Feed:
    """Streams the constructs side by side."""

    def __init__(self, tab: ChatPage, wire: Wire) -> None:
        self.tab, self.wire = tab, wire
        tab.choose()
        wire.quiet = True
        tab.page.evaluate(RECORD)

    def stream(self, texts: dict[str, str], cut: Callable[[str], list[str]]) -> None:
        """``cut`` cuts a text into the pieces in which it comes."""
        self.wire.tell(OPEN | {"messages": [answer(name) for name in texts]})
        expect(self.tab.answers).to_have_count(len(texts))
        pieces = {name: cut(text) for name, text in texts.items()}
        at = dict.fromkeys(texts, 0)
        seq = dict.fromkeys(texts, 0)
        while any(pieces.values()):
            for name, left in pieces.items():
                if left:
                    piece = left.pop(0)
                    seq[name] += 1
                    self.wire.tell({"m": name, "s": seq[name], "p": 0, "o": at[name], "t": piece})
                    at[name] += utf16(piece)
            self.tab.paints(1)
        for name, text in texts.items():
            end = {"k": "end", "m": name, "s": seq[name] + 1, "status": "finished", "stop_reason": "stop"}
            self.wire.tell(end | {"length": utf16(text), "c": zlib.crc32(text.encode())})
        expect(self.tab.page.locator("[data-testid=message][data-status=streaming]")).to_have_count(0)
        self.settle()

    def settle(self) -> None:
        """Until formulas are typeset, diagrams are drawn, and code is coloured."""
        expect(self.tab.page.locator(PENDING)).to_have_count(0)
        self.tab.page.wait_for_function(DIAGRAMS)
        before = ""
        for _ in range(40):
            self.tab.paints(20)
            now = str(self.tab.page.evaluate(FINAL))
            if now == before:
                return
            before = now
        raise AssertionError("the answers do not settle")

    def load(self, texts: dict[str, str]) -> dict[str, str]:
        """The elements of the same answers in a page that never saw them stream."""
        self.wire.quiet = False
        self.tab.choose()
        self.wire.quiet = True
        self.wire.tell(OPEN | {"messages": [finished(name, text) for name, text in texts.items()]})
        expect(self.tab.answers).to_have_count(len(texts))
        self.settle()
        return self.tab.page.evaluate(FINAL)


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def faults(name: str, seen: dict[str, Any]) -> list[str]:
    texts: list[str] = seen["texts"]
    final = texts[-1]
    found = [
        f"{name}: {marker!r} in {text!r}"
        for text in texts
        for marker in MARKERS
        if text.count(marker) > final.count(marker)
    ]
    found += [
        f"{name}: private characters in {text!r}" for text in texts if re.search("[\ue000-\uf8ff]|streamdown", text)
    ]
    if name not in NO_PREFIX:
        sure = ((text, "".join(text.split())[:-3]) for text in texts)
        whole = "".join(final.split())
        found += [f"{name}: {text!r} is taken back" for text, beginning in sure if not whole.startswith(beginning)]
    if seen["counts"] != sorted(seen["counts"]):
        found.append(f"{name}: blocks {seen['counts']}")
    if seen["replaced"]:
        found.append(f"{name}: closed blocks are replaced")
    return found


@pytest.fixture
def feed(tab: ChatPage, wire: Wire) -> Feed:
    return Feed(tab, wire)


def test_every_construct_by_the_character(feed: Feed) -> None:
    """More than sixty constructs, one character at a time; in the short version the letters of a word, of which none is
    a marker, come together. No raw marker of what ends formatted is shown, what is shown stays, blocks never get fewer,
    closed blocks stay the same elements, each formula and diagram is made once, and a fresh load shows the same
    elements."""
    assert len(CONSTRUCTS) >= 60
    feed.stream(CONSTRUCTS, list if LONG else re.compile(r"[^\W\d_]+|.", re.DOTALL).findall)
    recorded = feed.tab.page.evaluate(RECORDED)
    assert [fault for name in CONSTRUCTS for fault in faults(name, recorded[name])] == []
    streamed = feed.tab.page.evaluate(FINAL)
    made = {name: len(re.findall(r'class="tex[ "][^>]*data-state="(?:done|inv)|figure class="code diagram', html))
            for name, html in streamed.items()}  # fmt: skip
    again = {name: recorded[name]["typeset"] for name in made if recorded[name]["typeset"] != made[name]}
    assert set(again) <= BECOMES_LOOSE
    assert feed.load(CONSTRUCTS) == streamed


@pytest.mark.skipif(not LONG, reason="in `make soak`: by the character there is more to go wrong")
@pytest.mark.parametrize("seed", [1, 2])
def test_every_construct_in_random_pieces(feed: Feed, seed: int) -> None:
    """The same, in pieces of one to a dozen characters."""
    chance = random.Random(seed)

    def cut(text: str) -> list[str]:
        return [text[:size], *cut(text[size:])] if text and (size := chance.randint(1, 12)) else []

    feed.stream(CONSTRUCTS, cut)
    recorded = feed.tab.page.evaluate(RECORDED)
    assert [fault for name in CONSTRUCTS for fault in faults(name, recorded[name])] == []
    streamed = feed.tab.page.evaluate(FINAL)
    assert feed.load(CONSTRUCTS) == streamed


ROWS = 5000 if LONG else 1500
TOO_MUCH = {
    "rows": "| a | b | c |\n|---|---|---|\n" + "".join(f"| {i} | *b* | c |\n" for i in range(ROWS)),
    "a line": "word " * (200_000 if LONG else 50_000),
    "asterisks": "*" * 20_000,
    "combining characters": "\u0301\u0323" * 20_000,
    "braces": "$$" + "{" * 5000 + "}" * 5000 + "$$",
    "nested braces": "$$" + "{" * 2000 + "x" + "}" * 2000 + "$$",
    "roots": "$$" + "\\sqrt" * 900 + "$$",
    "a diagram without an end": "```mermaid\nflowchart LR\n" + "  A --> B\n" * 3000,
    "a large diagram": "```mermaid\nflowchart LR\n" + "".join(f"  A{i} --> A{i + 1}\n" for i in range(1500)) + "```\n",
    "dollars": "$a " * 20_000,
    "brackets": "\\(" * 20_000,
}


def test_too_much_is_bounded(tab: ChatPage, wire: Wire) -> None:
    """What no person would write is shown, if need be as its source; the page can be used meanwhile and afterwards."""
    tab.choose()
    wire.quiet = True
    for generation, (name, text) in enumerate(TOO_MUCH.items(), OPEN["g"]):
        half = len(text) // 2
        wire.tell(OPEN | {"g": generation, "messages": [answer(name, text[:half])]})
        expect(tab.answers, name).to_have_attribute("data-message-id", name)
        wire.tell({"m": name, "s": 1, "p": 0, "o": half, "t": text[half:]})
        end = {"k": "end", "m": name, "s": 2, "status": "finished", "stop_reason": "stop"}
        wire.tell(end | {"length": utf16(text), "c": zlib.crc32(text.encode())})
        expect(tab.answers, name).to_have_attribute("data-status", "finished")
        tab.composer.fill(f"still here after {name}")
        expect(tab.page.locator(PENDING), name).to_have_count(0)
        assert tab.page.evaluate("document.querySelector('[data-testid=answer]').textContent.length") > 50, name
        if name == "rows":
            expect(tab.page.locator("[data-testid=answer] tbody tr")).to_have_count(ROWS)
