"""One call of a tool in a daemon thread with a loop of its own.

Knows nothing of events or limits of time. Rules:

* What the tool does cannot reach the program's loop: it may block, print, exit or raise whatever it likes.
* ``leave`` returns at once. A tool that waits is cancelled; one that blocks is abandoned, and counted until it ends.
* The result is turned into JSON there too: the program's loop only ever sees what is within the limits.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from inspect import isasyncgen, isawaitable
from typing import Any

from streamchat.chat.events import Json, ToolOutcome
from streamchat.chat.messages import whole
from streamchat.tools.context import Context
from streamchat.tools.definition import Tool
from streamchat.tools.signature import BadArguments
from streamchat.tools.values import BadResult, Progress, ToolError, to_result

MAX_LINES = 100
MAX_LINE = 500
MAX_SENTENCE = 300
logger = logging.getLogger(__name__)

_abandoned: set[Call] = set()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the call ended: a JSON result, or a sentence."""

    state: ToolOutcome
    result: Json = None
    error: str | None = None


def stuck() -> int:
    """How many calls that nobody waits for are still busy."""
    return len(_abandoned)


class Call:
    """Begins with ``start``; ``told`` gives progress lines and at last the ``Outcome``."""

    def __init__(self, tool: Tool, arguments: Mapping[str, Json], context: Context) -> None:
        self._tool = tool
        self._arguments = arguments
        self._home = asyncio.get_running_loop()
        self._context = replace(context, home=self._home)
        self._queue: asyncio.Queue[str | Outcome] = asyncio.Queue()
        self._lock = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None
        self._left = self._over = False
        self._lines = 0

    def start(self) -> None:
        """Raises ``RuntimeError`` where the system has no more threads."""
        threading.Thread(target=self._run, name=f"tool {self._tool.name}", daemon=True).start()

    async def told(self) -> str | Outcome:
        return await self._queue.get()

    def leave(self) -> None:
        """Nobody waits any more."""
        with self._lock:
            self._left = True
            if self._over:
                return
            _abandoned.add(self)
            if self._running is not None:
                loop, task = self._running
                with suppress(RuntimeError):  # it has closed its loop just now
                    loop.call_soon_threadsafe(task.cancel)

    # In the thread

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.get_loop().set_default_executor(_Daemons())
                runner.run(self._main())
        except BaseException as error:  # what a task that the tool has begun raised, SystemExit too
            self._say(self._failed(error))
        finally:
            with self._lock:
                self._over = True
                _abandoned.discard(self)

    async def _main(self) -> None:
        task = asyncio.current_task()
        with self._lock:
            if self._left or task is None:
                return
            self._running = asyncio.get_running_loop(), task
        try:
            value = await self._value(self._tool.begin(self._arguments, self._context))
            outcome = Outcome("done", to_result(value, self._tool.max_bytes))
        except BadArguments as error:
            outcome = Outcome("invalid", error=error.user_message)
        except (BadResult, ToolError) as error:
            outcome = Outcome("error", error=error.user_message)
        except BaseException as error:
            outcome = self._failed(error)
        self._say(outcome)

    async def _value(self, begun: Any) -> Any:
        if isawaitable(begun):
            return await begun
        if not isasyncgen(begun):
            return begun
        async with aclosing(begun) as values:
            async for value in values:
                if not isinstance(value, Progress):
                    return value
                self._progress(value)
        return None

    def _progress(self, line: Progress) -> None:
        self._lines += 1
        text = whole(" ".join(str(line.text)[: 2 * MAX_LINE].split()))[:MAX_LINE]
        if text and self._lines < MAX_LINES:
            self._say(text)
        elif self._lines == MAX_LINES:
            self._say("(More lines are not shown.)")

    def _failed(self, error: BaseException) -> Outcome:
        if self._left:
            return Outcome("stopped")
        logger.warning("tool %s failed", self._tool.name, exc_info=error)
        if isinstance(error, asyncio.CancelledError):
            return Outcome("error", error="The tool cancelled itself.")
        return Outcome("error", error=f"The tool failed: {_first_line(error)}")

    def _say(self, told: str | Outcome) -> None:
        with suppress(RuntimeError):  # the program's loop has ended
            self._home.call_soon_threadsafe(self._queue.put_nowait, told)


def _first_line(error: BaseException) -> str:
    """What the error says, without the traceback that some carry in their text."""
    try:
        text = str(error).partition("Traceback (most recent call last)")[0].strip()
    except BaseException:  # its own __str__ is broken
        text = ""
    line = whole(text.splitlines()[0])[:MAX_SENTENCE] if text else ""
    name = type(error).__name__
    return f"{name}: {line}" if line else f"{name}."


class _Daemons(ThreadPoolExecutor):
    """A loop's executor whose threads hold up no exit of the program: those of the usual one are waited for."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=work, name="tool's thread", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        pass
