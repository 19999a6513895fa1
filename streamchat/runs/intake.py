"""Between a provider and the log: neighbouring deltas that wait are joined, and silence has limits.

Knows nothing of the log. Rules:

* Only what is already there is joined: a stream that keeps up passes through delta by delta.
* Deadlines count *content*: a ping of the provider is no event, so it resets nothing.
* Closing this generator closes the provider's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from streamchat.chat.events import Event, merge
from streamchat.errors import ProviderError, StreamBroken
from streamchat.runs.bell import Bell


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds of patience: until the first event, between events, and for the whole answer."""

    first: float = 120.0
    idle: float = 180.0
    total: float = 3600.0


async def intake(source: AsyncGenerator[Event, None], deadlines: Deadlines) -> AsyncGenerator[Event, None]:
    """The provider's events, joined where they wait. Raises what the provider raises, and
    ``ProviderError`` (no first event in time) or ``StreamBroken`` (silence, or too long in all)."""
    waiting: deque[Event] = deque()
    bell = Bell()
    pump = asyncio.create_task(_pump(source, waiting, bell))
    pump.add_done_callback(lambda done: done.cancelled() or done.exception())  # looked at, also where nobody asks
    now = asyncio.get_running_loop().time
    end, first = now() + deadlines.total, True
    try:
        while True:
            patience = deadlines.first if first else deadlines.idle
            if not waiting and not pump.done() and not await bell.wait(min(patience, end - now())):
                raise _overdue(deadlines, first, now() >= end)
            ended = pump.done()
            while waiting:
                first = False
                yield _next(waiting)
            if ended and not waiting:
                pump.result()
                return
            if now() >= end:
                raise _overdue(deadlines, first, True)
    finally:
        pump.cancel()
        # Not ``await pump``: a Stop that comes while the connection closes would be taken for the pump's end.
        await asyncio.wait([pump])


async def _pump(source: AsyncGenerator[Event, None], waiting: deque[Event], bell: Bell) -> None:
    try:
        async with aclosing(source):
            async for event in source:
                waiting.append(event)
                bell.ring()
    finally:
        bell.ring()


def _next(waiting: deque[Event]) -> Event:
    event = waiting.popleft()
    while waiting and (joined := merge(event, waiting[0])) is not None:
        waiting.popleft()
        event = joined
    return event


def _overdue(deadlines: Deadlines, first: bool, total: bool) -> ProviderError:
    if total:
        return StreamBroken(f"The answer took longer than {deadlines.total:g} s and was ended.", kind="total-timeout")
    if first:
        sentence = f"The model did not begin to answer within {deadlines.first:g} s."
        return ProviderError(sentence, kind="first-token-timeout", retryable=True)
    return StreamBroken(f"The model fell silent for {deadlines.idle:g} s.", kind="stall")
