"""Stopping a run that another worker writes: that worker is asked, and its ending is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from streamchat.errors import NotFound, StreamchatError
from streamchat.runs.log import Log, follow
from streamchat.runs.ports import Store

# For the other worker to end it; and when it is asked again.
STOP_SECONDS, STOP_AGAIN_SECONDS = 5.0, 1.0
_BEYOND = 2**62


async def stop_elsewhere(log: Log, store: Store, owner: str, run_id: str, ask: Callable[[str], None]) -> None:
    """Raises ``StreamchatError`` where it does not end in time."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            while not await _ends(log, run_id, ask):
                if (await store.answer(owner, run_id)).message.ended:
                    return
    except TimeoutError:
        sentence = "This answer is written by another process of the server, which does not respond. Try again."
        raise StreamchatError(sentence, kind="not-stopped") from None


async def _ends(log: Log, run_id: str, ask: Callable[[str], None]) -> bool:
    """Ask once; whether the ending comes soon."""
    ask(run_id)
    try:
        async with asyncio.timeout(STOP_AGAIN_SECONDS), aclosing(follow(log, run_id, _BEYOND)) as batches:
            async for _ in batches:
                pass
            return True
    except TimeoutError:
        return False
    except NotFound:  # Redis is away, or has lost it: the database says when it has ended
        await asyncio.sleep(STOP_AGAIN_SECONDS / 5)
        return False
