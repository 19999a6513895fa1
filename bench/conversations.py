"""A long conversation among many: pages of the list, opening it, another branch; in the store and in a browser."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

from playwright.async_api import Page

from bench.app import MODEL, app
from bench.browser import chromium, visit
from bench.load import simulator
from bench.measure import timed
from bench.tables import number, percentile, show
from streamchat.chat.messages import Message, TextPart
from streamchat.identity import LOCAL_OWNER
from streamchat.settings import Settings
from streamchat.simulator import texts
from streamchat.storage import Storage

WORDS = 100
PAGE = 50
SHOWN = 100
ENDS = ("The first end.", "The second end.")
HEAD = ["", "p50 ms", "p95 ms"]
# Milliseconds from a click until the last message of the conversation has this text, on the screen: a change of the
# size of `mark` is noticed in the frame that paints the text, and a message then arrives when the frame is done.
_CLICKED = """([element, text]) => new Promise((done, failed) => {
    const patience = setTimeout(() => failed("the text does not come"), 30_000);
    const mark = document.createElement("i");
    mark.style = "position:fixed;inset:0 auto auto 0;width:1px;height:1px;contain:strict;visibility:hidden";
    document.body.append(mark);
    const { port1, port2 } = new MessageChannel();
    const sizes = new ResizeObserver(() => mark.dataset.found && port2.postMessage(0));
    const changes = new MutationObserver(() => {
        const messages = document.querySelectorAll('[data-testid="message"]');
        if (mark.dataset.found || !messages[messages.length - 1]?.textContent.includes(text)) return;
        mark.dataset.found = true;
        mark.style.height = "2px";
    });
    port1.onmessage = () => {
        const took = performance.now() - began;
        clearTimeout(patience);
        changes.disconnect();
        sizes.disconnect();
        mark.remove();
        done(took);
    };
    sizes.observe(mark);
    changes.observe(document.body, { subtree: true, childList: true, characterData: true });
    const began = performance.now();
    element.click();
})"""


async def run(quick: bool) -> None:
    conversations, messages, times = (1_000, 2_000, 10) if quick else (10_000, 2_000, 40)
    with tempfile.TemporaryDirectory(prefix="streamchat-bench-") as folder:
        data = Path(folder)
        await _in_the_store(data, conversations, messages, times)
        await _in_the_browser(data, times // 2)


async def _in_the_store(data: Path, conversations: int, messages: int, times: int) -> None:
    store = Storage(Settings.model_validate({"STREAMCHAT_DATA_DIR": data}).database)
    await store.open()
    try:
        for n in range(conversations - 1):
            await store.insert_conversation(LOCAL_OWNER, f"Conversation {n}", [Message("", "user", (TextPart("Hi"),))])
        long, leaves = await _long(store, messages)
        middle = None
        for _ in range(conversations // PAGE // 2):
            middle = (await store.conversations(LOCAL_OWNER, limit=PAGE, before=middle))[-1].cursor
        turn = iter(range(2 * times + 2))

        async def switch() -> None:
            await store.select_branch(LOCAL_OWNER, leaves[next(turn) % 2])
            await store.branch_page(LOCAL_OWNER, long, limit=SHOWN)

        rows = [
            [
                f"the first {PAGE} of the list",
                *await _timed(lambda: store.conversations(LOCAL_OWNER, limit=PAGE), times),
            ],
            [
                f"{PAGE} from the middle of it",
                *await _timed(lambda: store.conversations(LOCAL_OWNER, limit=PAGE, before=middle), times),
            ],
            [
                f"the last {SHOWN} messages of a conversation",
                *await _timed(lambda: store.branch_page(LOCAL_OWNER, long, limit=SHOWN), times),
            ],
            [f"another branch, and its last {SHOWN}", *await _timed(switch, times)],
        ]
        await store.select_branch(LOCAL_OWNER, leaves[1])
    finally:
        await store.close()
    note = f"{conversations:,} conversations, one of them of {messages:,} messages of {WORDS} words. To reach: 50 ms."
    show("A long conversation among many, SQLite", HEAD, rows, note)


async def _long(store: Storage, messages: int) -> tuple[str, list[str]]:
    """Store a long conversation whose last question has two answers; its id, and theirs."""
    text = [TextPart("".join(islice(texts.markdown(WORDS, seed=seed), WORDS))) for seed in range(50)]
    roles = ("user", "assistant")
    turns = [Message("", roles[n % 2], (text[n % 50],), stop_reason="stop") for n in range(messages - 1)]
    ends = [Message("", "assistant", (TextPart(end),), model=MODEL, stop_reason="stop") for end in ENDS]
    long = await store.insert_conversation(LOCAL_OWNER, "The long one", [*turns, ends[0]])
    first = (await store.branch_page(LOCAL_OWNER, long, limit=1)).messages[-1].id
    asked = {"client_message_id": "again", "model": MODEL, "worker": "bench", "continue_partial": False}
    again = await store.begin_again(LOCAL_OWNER, message_id=first, **asked)
    await store.end(replace(again.answer, status="finished", parts=ends[1].parts, stop_reason="stop"), 1)
    return long, [first, again.run_id]


async def _in_the_browser(data: Path, times: int) -> None:
    opened, switched = [], []
    async with simulator() as provider, chromium() as browser, app(provider, data=data) as running:
        async with visit(browser, running.url) as tab:
            item = tab.page.get_by_test_id("conversation-item").first
            for _ in range(times):
                opened.append(await _click(tab.page, "conversation-item", ENDS[1]))
                await tab.page.get_by_test_id("new-chat").click()
                await tab.page.wait_for_function("!document.querySelector('[data-testid=message]')")
            await item.click()
            await tab.page.get_by_text(ENDS[1]).wait_for()
            for _ in range(times):
                switched.append(await _click(tab.page, "branch-previous", ENDS[0]))
                switched.append(await _click(tab.page, "branch-next", ENDS[1]))
    rows = [
        ["opening it, to its last message", *_figures(opened)],
        ["another branch of it", *_figures(switched)],
    ]
    show("The same, from a click to the paint in Chromium", HEAD, rows, "To reach: 300 ms, and 50 ms.")


async def _click(page: Page, test_id: str, text: str) -> float:
    await asyncio.sleep(0.3)  # as a person does not click within the moment
    element = await page.get_by_test_id(test_id).and_(page.locator(":enabled, a")).first.element_handle()
    return await page.evaluate(_CLICKED, [element, text])


async def _timed(work: Callable[[], Awaitable[object]], times: int) -> list[str]:
    return _figures(await timed(work, times))


def _figures(taken: list[float]) -> list[str]:
    return [number(percentile(taken, share)) for share in (0.5, 0.95)]
