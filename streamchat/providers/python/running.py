"""Runs a model's function beside the program's event loop, and hands over its events.

Rules:

* The function cannot disturb the program's loop: an async one runs on a loop of its own thread, which all async models
  share (so that their clients keep their connections), any other one in a thread of its own.
* A loop that a function blocks is left to it: the next answer gets another one.
* ``leave`` cancels the function. One that goes on all the same is abandoned: this is logged, and it is counted
  until it ends.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from math import inf
from typing import Any

from streamchat.chat import events as e
from streamchat.chat.messages import repair_surrogates
from streamchat.chat.request import Request
from streamchat.daemon_threads import DaemonThreads
from streamchat.errors import ProviderError, StreamBroken, first_line
from streamchat.providers.python.definition import Model
from streamchat.providers.python.pieces import Pieces

MAX_STUCK = 32
MAX_WAITING = 1024
"""Events that a function may be ahead of the program."""
TURN = 64
"""Pieces after which an async function that never waits lets others run."""
BLOCKED_SECONDS = 2.0
GRACE_SECONDS = 1.0
MAX_MESSAGE = 2000
logger = logging.getLogger(__name__)

_abandoned: set[Answer] = set()


def stuck() -> int:
    """Return the number of abandoned functions that are still running."""
    return len(_abandoned)


class Loops:
    """The event loop of async models, in a daemon thread. ``abandon`` lets the next caller have another one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[asyncio.AbstractEventLoop] = []
        self._all: list[asyncio.AbstractEventLoop] = []

    def current(self) -> asyncio.AbstractEventLoop:
        """Return the loop, started if need be. Raises ``RuntimeError`` if the system has no thread left."""
        with self._lock:
            if not self._free:
                loop = asyncio.new_event_loop()
                loop.set_default_executor(DaemonThreads("model's thread"))
                threading.Thread(target=self._run, args=(loop,), name="models", daemon=True).start()
                self._free.append(loop)
                self._all.append(loop)
            return self._free[0]

    def abandon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use another loop until this one is free again."""
        with self._lock:
            if loop not in self._free:
                return
            self._free.remove(loop)
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: self._free.append(loop))

    def close(self) -> None:
        """Stop all loops. One that is blocked is left to its end."""
        with self._lock:
            loops, self._all, self._free = self._all, [], []
        for loop in loops:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(loop.stop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:  # also if a function stopped it, or raised SystemExit beside itself
            with self._lock:
                self._free, self._all = [[one for one in loops if one is not loop] for loops in (self._free, self._all)]
            tasks = asyncio.all_tasks(loop)
            for task in tasks:
                task.cancel()
            _, left = loop.run_until_complete(asyncio.wait(tasks, timeout=GRACE_SECONDS)) if tasks else ((), ())
            if not left:  # otherwise the thread is a daemon, and ends with the program
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.close()


class Answer:
    """One call of a model's function. After ``start``, ``receive`` returns its events, the last of which ends it."""

    def __init__(self, model: Model, request: Request, pieces: Pieces, loops: Loops) -> None:
        self._model = model
        self._request = request
        self._pieces = pieces
        self._loops = loops
        self._home = asyncio.get_running_loop()
        self._waiting: deque[e.Event | ProviderError] = deque()
        self._asleep = False
        self._wakeup = asyncio.Event()
        self._begun = asyncio.Event()
        self._ended = asyncio.Event()
        self._lock = threading.Lock()
        self._attempt: object = None
        self._left = False
        self._over = True  # there is nothing to cancel yet
        self._cancel: Callable[[], object] = lambda: None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Call the function. Raises ``ProviderError`` if too many are stuck, or no thread is left."""
        if stuck() >= MAX_STUCK:
            raise ProviderError("Too many earlier answers of models here are stuck. No more are started.", kind="busy")
        try:
            if self._model.in_thread:
                name = f"model {self._model.name}"
                self._over = False
                threading.Thread(target=self._run_in_thread, name=name, daemon=True).start()
            else:
                await self._start_on_loop(lambda: self._model.function(self._request))
        except RuntimeError:
            self._over = True
            logger.exception("model %s: no thread", self._model.name)
            raise ProviderError("The server has no thread left to run this model.", kind="busy") from None

    async def receive(self) -> list[e.Event | ProviderError]:
        """Wait for events and return all that are there. An error or ``Finished`` is the last one."""
        if self._waiting:
            await asyncio.sleep(0)  # others have a turn, however fast the function is
        while not self._waiting:
            self._wakeup.clear()
            self._asleep = True
            if self._waiting:  # it came before it was seen that we sleep
                break
            await self._wakeup.wait()
        self._asleep = False
        return [self._waiting.popleft() for _ in range(len(self._waiting))]

    async def leave(self, *, complete: bool) -> None:
        """Cancel the function, and wait for a moment until it has ended, unless the answer is ``complete``."""
        with self._lock:
            self._left = True
            if self._over:
                return
            _abandoned.add(self)
            with suppress(RuntimeError):  # its loop is closed
                self._cancel()
        if complete:
            return
        try:
            async with asyncio.timeout(GRACE_SECONDS):
                await self._ended.wait()
        except TimeoutError:
            logger.warning("model %s goes on after it was cancelled; its answer was ended without it", self._model.name)
            if self._loop is not None:
                self._loops.abandon(self._loop)  # if it is not blocked, it is back at once

    async def _start_on_loop(self, call: Callable[[], Any]) -> None:
        while True:
            loop = self._loops.current()
            attempt = self._attempt = object()
            loop.call_soon_threadsafe(self._create_task, loop, attempt, call)
            try:
                async with asyncio.timeout(BLOCKED_SECONDS):
                    await self._begun.wait()
                return
            except TimeoutError:
                with self._lock:
                    if self._left or self._loop is not None:  # or begun in the last moment
                        return
                    self._attempt = None
                logger.warning("a model's function blocks the event loop of the models; another loop is begun")
                self._loops.abandon(loop)

    # In the function's thread

    def _create_task(self, loop: asyncio.AbstractEventLoop, attempt: object, call: Callable[[], Any]) -> None:
        with self._lock:
            if self._left or self._attempt is not attempt:
                return
            self._loop, self._over = loop, False
            task = loop.create_task(self._run_on_loop(call), name=f"model {self._model.name}")
            self._cancel = lambda: loop.call_soon_threadsafe(task.cancel)
        # A task that is cancelled before its first step never runs, not even its ``finally``.
        task.add_done_callback(lambda _: self._end())
        self._tell(self._begun.set)

    async def _run_on_loop(self, call: Callable[[], Any]) -> None:
        try:
            await self._take_async(call())
            self._finish()
        except BaseException as error:
            self._fail(error)

    def _run_in_thread(self) -> None:
        try:
            value = self._model.function(self._request)
            if isinstance(value, AsyncIterable | Awaitable):
                asyncio.run_coroutine_threadsafe(self._start_on_loop(lambda: value), self._home).result()
            else:
                self._take(value)
                self._finish()
        except BaseException as error:
            self._fail(error)
        if self._loop is None:
            self._end()

    async def _take_async(self, value: Any) -> None:
        if isinstance(value, Awaitable):
            value = await value
        if not isinstance(value, AsyncIterable):
            self._take(value)
            return
        try:
            count = 0
            async for piece in value:
                if self._put(piece):
                    return
                count += 1
                if count % TURN == 0:
                    await asyncio.sleep(0.005 if len(self._waiting) > MAX_WAITING else 0)
        finally:
            if close := getattr(value, "aclose", None):
                await close()

    def _take(self, value: Any) -> None:
        """Take what a function returned: the pieces of a generator, a list of pieces, one piece, or nothing."""
        if not isinstance(value, Iterator | list | tuple) or hasattr(value, "_fields"):
            if value is not None:
                self._put(value)
            return
        try:
            for piece in value:
                if self._put(piece):
                    return
                while len(self._waiting) > MAX_WAITING and not self._left:
                    time.sleep(0.005)
        finally:
            if close := getattr(value, "close", None):
                close()

    def _put(self, piece: object) -> bool:
        """Hand over the events of a piece. Returns whether nothing more is taken."""
        if events := self._pieces.add(piece):
            self._post(events)
        return self._left or self._pieces.ended

    def _finish(self) -> None:
        if self._pieces.ended or self._left:
            return
        if not self._pieces.has_content:
            raise ProviderError(f"The model {self._model.name} answered nothing.", kind="empty")
        self._post(self._pieces.finish())

    def _fail(self, error: BaseException) -> None:
        if self._left or self._pieces.ended:
            if not isinstance(error, asyncio.CancelledError):
                logger.warning("model %s failed after its answer had ended", self._model.name, exc_info=error)
            return
        if not isinstance(error, ProviderError):
            logger.warning("model %s failed", self._model.name, exc_info=error)
            text = f"The model {self._model.name} failed: {repair_surrogates(first_line(error))}"
            kind = StreamBroken if self._pieces.has_content else ProviderError
            error = kind(text, kind="provider-broken")
        _make_sendable(error)
        self._post([error])

    def _end(self) -> None:
        with self._lock:
            self._over = True
            _abandoned.discard(self)
        self._tell(self._ended.set)

    def _post(self, events: Iterable[e.Event | ProviderError]) -> None:
        self._waiting.extend(events)
        if self._asleep:
            self._asleep = False
            self._tell(self._wakeup.set)

    def _tell(self, call: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # the program's loop is closed
            self._home.call_soon_threadsafe(call)


def _make_sendable(error: ProviderError) -> None:
    """Make what a function's error carries what its type says, since it is stored and sent."""
    text = error.user_message if isinstance(error.user_message, str) else first_line(error)
    error.user_message = repair_surrogates(text)[:MAX_MESSAGE]
    if not isinstance(error.kind, str):
        error.kind = "provider-broken"
    wait = error.retry_after
    error.retry_after = wait if isinstance(wait, int | float) and 0 <= wait < inf else None
