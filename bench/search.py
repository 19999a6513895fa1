"""What a search in a person's own messages costs, on SQLite. The floor reads every message and looks for the words."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from bench.tables import number, show, spread
from streamchat.chat.messages import Message, TextPart
from streamchat.chat.request import NewRun
from streamchat.storage import Storage

WORDS = 150
_TURNS = 100
_TIMES = 5
OWNER = "bench"
# what is asked for → the query
QUERIES = {
    "two words": "word00007 word00042",
    "a word that is in all": "everywhere",
    "the beginning of every word": "wor",
}


async def run(quick: bool) -> None:
    messages = 4_000 if quick else 20_000
    with tempfile.TemporaryDirectory(prefix="streamchat-bench-") as folder:
        store = Storage(f"sqlite:///{Path(folder) / 'bench.db'}")
        await store.open()
        try:
            conversations = await _fill(store, messages)
            rows = []
            for name, query in QUERIES.items():
                floor = [await _timed(lambda q=query: _read_all(store, conversations, q)) for _ in range(2)]
                ours = [await _timed(lambda q=query: store.search(OWNER, q)) for _ in range(_TIMES)]
                rows.append([name, number(min(floor), 0), spread(ours)])
        finally:
            await store.close()
    note = f"{messages:,} messages of {WORDS} words in {messages // _TURNS} conversations; ms, the first 20 hits."
    show("A search, SQLite", ["", "*baseline*: read all", "`Storage.search`"], rows, note)


async def _fill(store: Storage, messages: int) -> list[str]:
    """Questions with their words; the ids of the conversations."""
    chance, ids = random.Random(1), []
    for start in range(0, messages, _TURNS):
        history = [Message("", "user", (TextPart(_text(chance)),)) for _ in range(_TURNS - 1)]
        begun = await store.begin(
            OWNER,
            NewRun(client_message_id=f"{start}", parts=(TextPart(_text(chance)),), model="m", history=history),
            worker="bench",
        )
        ids.append(begun.conversation_id)
    return ids


def _text(chance: random.Random) -> str:
    return "everywhere " + " ".join(f"word{chance.randrange(1000):05d}" for _ in range(WORDS - 1))


async def _read_all(store: Storage, conversations: list[str], query: str) -> int:
    words, found = query.split(), 0
    for conversation_id in conversations:
        for message in (await store.conversation(OWNER, conversation_id)).messages:
            found += all(word in message.text for word in words)
            await asyncio.sleep(0)
    return found


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    started = time.perf_counter()
    await work()
    return (time.perf_counter() - started) * 1000
