"""One tool call in a daemon thread with its own event loop.

Knows nothing of events or timeouts. Rules:

* The tool cannot disturb the program's event loop: it may block, print, exit or raise anything.
* ``leave`` returns at once. A tool that awaits is cancelled; one that blocks is abandoned and counted until it returns.
* The result is converted to JSON in the thread, so only results within the limits reach the program's loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from inspect import isasyncgen, isawaitable
from typing import Any

from streamchat.chat.events import Json, ToolOutcome
from streamchat.chat.messages import repair_surrogates
from streamchat.daemon_threads import DaemonThreads
from streamchat.errors import first_line
from streamchat.tools.definition import Tool
from streamchat.tools.signature import BadArguments
from streamchat.tools.tool_context import Context
from streamchat.tools.values import BadResult, Progress, ToolError, to_result

MAX_LINES = 100
MAX_LINE = 500
logger = logging.getLogger(__name__)

_abandoned: set[Call] = set()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a call: its state with a JSON result or an error message."""

    state: ToolOutcome
    result: Json = None
    error: str | None = None


def stuck(owner: str | None = None) -> int:
    """Return the number of abandoned calls that are still running: of all owners, or of one."""
    return sum(owner is None or call.owner == owner for call in tuple(_abandoned))


class Call:
    """One call. After ``start``, ``receive`` returns progress lines and finally the ``Outcome``."""

    def __init__(self, tool: Tool, arguments: Mapping[str, Json], context: Context) -> None:
        self._tool = tool
        self._arguments = arguments
        self.owner = context.owner
        self._home = asyncio.get_running_loop()
        self._context = replace(context, home=self._home)
        self._queue: asyncio.Queue[str | Outcome] = asyncio.Queue()
        self._lock = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]] | None = None
        self._left = self._over = False
        self._lines = 0

    def start(self) -> None:
        """Start the thread. Raises ``RuntimeError`` if the system cannot create one."""
        threading.Thread(target=self._run, name=f"tool {self._tool.name}", daemon=True).start()

    async def receive(self) -> str | Outcome:
        """Wait for the next progress line, or the outcome, which is the last."""
        return await self._queue.get()

    def leave(self) -> None:
        """Stop waiting: cancel the tool, or count it as abandoned until it returns. Never blocks."""
        with self._lock:
            self._left = True
            if self._over:
                return
            _abandoned.add(self)
            if self._running is not None:
                loop, task = self._running
                with suppress(RuntimeError):  # its loop has just been closed
                    loop.call_soon_threadsafe(task.cancel)

    # In the tool's thread

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:
                runner.get_loop().set_default_executor(DaemonThreads("tool's thread"))
                runner.run(self._main())
        except BaseException as error:  # raised by a task that the tool started; includes SystemExit
            self._post(self._failed(error))
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
        self._post(outcome)

    async def _value(self, returned: Any) -> Any:
        if isawaitable(returned):
            return await returned
        if not isasyncgen(returned):
            return returned
        async with aclosing(returned) as values:
            async for value in values:
                if not isinstance(value, Progress):
                    return value
                self._progress(value)
        return None

    def _progress(self, line: Progress) -> None:
        self._lines += 1
        text = repair_surrogates(" ".join(str(line.text)[: 2 * MAX_LINE].split()))[:MAX_LINE]
        if text and self._lines < MAX_LINES:
            self._post(text)
        elif self._lines == MAX_LINES:
            self._post("(More lines are not shown.)")

    def _failed(self, error: BaseException) -> Outcome:
        if self._left:
            return Outcome("stopped")
        logger.warning("tool %s failed", self._tool.name, exc_info=error)
        if isinstance(error, asyncio.CancelledError):
            return Outcome("error", error="The tool cancelled itself.")
        return Outcome("error", error=f"The tool failed: {repair_surrogates(first_line(error))}")

    def _post(self, update: str | Outcome) -> None:
        with suppress(RuntimeError):  # the program's loop is closed
            self._home.call_soon_threadsafe(self._queue.put_nowait, update)
