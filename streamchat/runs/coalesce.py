"""Coalescing and deadlines between a provider and the log.

Knows nothing of the log. Rules:

* Only neighbouring deltas that already wait are joined: a stream that keeps up passes delta by delta.
* Each event has the time of its arrival from the provider; joined events have that of the first.
* Deadlines measure *content*: a ping of the provider is no event and resets nothing.
* Closing this generator closes the provider's.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from time import monotonic
from typing import NamedTuple

from streamchat.chat.events import Event, merge
from streamchat.defaults import FIRST_TOKEN_SECONDS, IDLE_SECONDS, TOTAL_SECONDS
from streamchat.errors import ProviderError, StreamBroken
from streamchat.runs.wakeup import Wakeup


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Time limits in seconds: until the first event, between events, and for the whole answer."""

    first: float = FIRST_TOKEN_SECONDS
    idle: float = IDLE_SECONDS
    total: float = TOTAL_SECONDS


class Arrival(NamedTuple):
    """An event, and its time by ``time.monotonic()``, in seconds."""

    event: Event
    at: float


async def intake(
    source: AsyncGenerator[Event, None], deadlines: Deadlines, clock: Callable[[], float] = monotonic
) -> AsyncGenerator[Arrival, None]:
    """Yield the provider's events, joined if they wait.

    Raises what the provider raises, ``ProviderError`` if the first event is late, and ``StreamBroken`` for silence or
    if the whole answer takes too long.
    """
    waiting: deque[Arrival] = deque()
    wakeup = Wakeup()
    pump = asyncio.create_task(_pump(source, waiting, wakeup, clock))
    pump.add_done_callback(
        lambda done: done.cancelled() or done.exception()
    )  # retrieved, so that asyncio does not log it
    now = asyncio.get_running_loop().time
    end, first = now() + deadlines.total, True
    try:
        while True:
            patience = deadlines.first if first else deadlines.idle
            if not waiting and not pump.done() and not await wakeup.wait(min(patience, end - now())):
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
        wakeup.close()
        pump.cancel()
        # Not ``await pump``: a Stop that comes while the connection closes would be taken for the pump's end.
        await asyncio.wait([pump])


async def _pump(
    source: AsyncGenerator[Event, None], waiting: deque[Arrival], wakeup: Wakeup, clock: Callable[[], float]
) -> None:
    try:
        async with aclosing(source):
            async for event in source:
                waiting.append(Arrival(event, clock()))
                wakeup.set()
    finally:
        wakeup.set()


def _next(waiting: deque[Arrival]) -> Arrival:
    first = waiting.popleft()
    if not waiting:
        return first
    event = first.event
    while waiting and (joined := merge(event, waiting[0].event)) is not None:
        waiting.popleft()
        event = joined
    return Arrival(event, first.at)


def _overdue(deadlines: Deadlines, first: bool, total: bool) -> ProviderError:
    if total:
        return StreamBroken(f"The answer took longer than {deadlines.total:g} s and was ended.", kind="total-timeout")
    if first:
        message = f"The model did not begin to answer within {deadlines.first:g} s."
        return ProviderError(message, kind="first-token-timeout", retryable=True)
    return StreamBroken(f"The model fell silent for {deadlines.idle:g} s.", kind="stall")
