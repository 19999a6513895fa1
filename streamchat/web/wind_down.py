"""Orderly shutdown: end the runs first, so that every reader sees an ending, then the streams, then the server.

Knows nothing of servers. Rules:

* Our own server calls it before it closes its connections. Other servers wait for their connections first, and with
  them for whole answers: under those the shutdown begins with the signal that ends the server.
* It runs once, however often it is called.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import FrameType

from streamchat.web.streaming import end_all
from streamchat.wiring import ServiceHolder


class WindDown:
    """Callable that ends the runs and then the streams of a server."""

    def __init__(self, holder: ServiceHolder) -> None:
        self._holder = holder
        self._task: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        """Shut down, and wait until it is done."""
        await asyncio.shield(self._begin())

    @asynccontextmanager
    async def on_signal(self) -> AsyncIterator[None]:
        """Lifespan: SIGTERM and SIGINT also begin the shutdown, beside whatever the server does with them."""
        loop = asyncio.get_running_loop()

        def handler(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(self._begin)
            before = previous[signal.Signals(number)]
            if callable(before):
                before(number, frame)

        # Not ``loop.add_signal_handler``: the server may have its own there, which has to run as well.
        on_main = threading.current_thread() is threading.main_thread()
        signals = (signal.SIGTERM, signal.SIGINT) if on_main else ()
        previous = {number: signal.getsignal(number) for number in signals}
        for number in signals:
            signal.signal(number, handler)
        try:
            yield
        finally:
            for number, before in previous.items():
                signal.signal(number, before)
            if self._task is not None:
                await self._task

    def _begin(self) -> asyncio.Task[None]:
        if self._task is None:
            self._task = asyncio.ensure_future(self._end())
        return self._task

    async def _end(self) -> None:
        try:
            runs = self._holder.services.runs
        except RuntimeError:  # the services were never opened
            return
        await runs.close()
        await end_all()
