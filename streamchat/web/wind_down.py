"""Orderly shutdown: end the runs first, so that every reader sees an ending, then the streams, then the server.

Knows nothing of servers. Rules:

* Our own server calls it once it accepts no new connections, and before it closes those it has.
* Another server gets the signal that ends it only when this is done: it would wait for its connections, and with them
  for whole answers, or end before the answers are stored.
* It runs once, however often it is called and however many signals come.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any

from streamchat.web.streaming import end_all
from streamchat.wiring import ServiceHolder

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class WindDown:
    """Callable that ends the runs and then the streams of a server."""

    def __init__(self, holder: ServiceHolder) -> None:
        self.called_by_server = False
        """Whether the server calls this itself, so that signals are its own affair."""
        self._holder = holder
        self._task: asyncio.Task[None] | None = None

    async def __call__(self) -> None:
        """Shut down, and wait until it is done."""
        await asyncio.shield(self._begin())

    @asynccontextmanager
    async def on_signal(self) -> AsyncIterator[None]:
        """Lifespan: SIGTERM and SIGINT begin the shutdown, and reach the server when it is done."""
        if self.called_by_server or threading.current_thread() is not threading.main_thread():
            yield
            return
        held = _HeldSignals(asyncio.get_running_loop(), self._begin)
        held.hold()
        try:
            yield
        finally:
            held.release()
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


class _HeldSignals:
    """Keeps the signals that end a server from it until what ``begin`` starts is done."""

    def __init__(self, loop: asyncio.AbstractEventLoop, begin: Callable[[], asyncio.Task[None]]) -> None:
        self._loop = loop
        self._begin = begin
        self._handlers: dict[int, Any] = {}
        self._wakeup = -1

    def hold(self) -> None:
        # A handler that the server gave to the loop hears of signals through this descriptor, not as a handler here.
        self._wakeup = signal.set_wakeup_fd(-1)
        for number in SIGNALS:
            self._handlers[number] = signal.signal(number, self._came)

    def release(self) -> None:
        if self._handlers:
            signal.set_wakeup_fd(self._wakeup)
            for number, handler in self._handlers.items():
                signal.signal(number, signal.SIG_DFL if handler is None else handler)  # None: not set from Python
            self._handlers = {}

    def _came(self, number: int, frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._end, number)

    def _end(self, number: int) -> None:
        self._begin().add_done_callback(lambda task: self._pass_on(number))

    def _pass_on(self, number: int) -> None:
        if self._handlers:  # not yet passed on
            self.release()
            signal.raise_signal(number)
