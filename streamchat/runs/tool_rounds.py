"""The tools of one run: which are offered, which calls need approval, and their concurrent execution.

``tools/`` runs a single call. Rules:

* A call runs only if its tool is offered here and its arguments validate; otherwise its result says why not.
* Calls run concurrently; each result belongs to the part of its call, so their order does not matter.
* That a call runs is stored before it runs: after a crash it is known that it may have run. A row that does not take
  this belongs to another process, and then nothing runs.
* A call that needs approval does not delay the others: it is asked about after them.
* An answer waits for a database that is away for a moment: it does not fail because its settings cannot be read.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from time import monotonic
from typing import Any, TypeAlias

from streamchat.backoff import Backoff
from streamchat.chat import events as e
from streamchat.chat.messages import ToolCallPart
from streamchat.chat.request import ToolSpec
from streamchat.errors import StorageError, StreamchatError
from streamchat.runs.ports import Choices, Chosen
from streamchat.tools.definition import Tool
from streamchat.tools.execution import execute
from streamchat.tools.tool_context import Context
from streamchat.tools.toolbox import Toolbox

AT_ONCE = 8
# For so long an answer waits for a database that is away.
CHOICES_SECONDS = 10.0
# Settings that were read with the question hold for so long: then the answer waited for something before it began.
AT_FIRST_SECONDS = 1.0
MAX_CALLS = 128
"""Limit of the calls in one answer; further calls are not run."""

logger = logging.getLogger(__name__)
Due: TypeAlias = tuple[Tool, ToolCallPart, dict[str, Any]]


class Tools:
    """The tools of one run. ``context``: owner and conversation.

    ``keep`` stores the answer as the log has it, ``confirm`` makes sure that the run is still ours. Both raise if not.
    ``at_first``: the settings of the conversation a moment ago.
    """

    def __init__(
        self,
        toolbox: Toolbox,
        choices: Choices,
        context: Context,
        keep: Callable[[], Awaitable[None]],
        confirm: Callable[[], Awaitable[None]],
        at_first: Chosen | None = None,
    ) -> None:
        self._toolbox = toolbox
        self._choices = choices
        self._context = context
        self._keep = keep
        self._confirm = confirm
        self._at_first, self._made_at = at_first, monotonic()
        self._offered: dict[str, Tool] = {}
        self._calls = 0

    async def specs(self) -> tuple[ToolSpec, ...]:
        """Return the tools that the model is offered. Raises ``StorageError``."""
        fresh = monotonic() - self._made_at < AT_FIRST_SECONDS
        chosen = self._at_first if self._at_first and fresh else await self._chosen()
        self._offered = {tool.spec.name: tool for tool in self._toolbox.offered(chosen.off)}
        return tuple(tool.spec for tool in self._offered.values())

    async def settle(self, calls: Sequence[ToolCallPart], *, decided: bool) -> AsyncGenerator[e.Event, None]:
        """Run these calls and yield their events; ``Waiting`` is the last one if some need approval.

        ``decided``: a person has approved them already.
        """
        due: list[Due] = []
        unapproved: list[str] = []
        always = None
        for call in calls:
            try:
                tool, arguments = self._checked(call)
            except StreamchatError as error:
                yield e.ToolResult(call.id, "invalid", error=error.user_message)
                continue
            if tool.approve and not decided:
                if always is None:
                    always = (await self._chosen()).always
                if call.name not in always:
                    unapproved.append(call.id)
                    continue
            due.append((tool, call, arguments))
        async with aclosing(self._run(due)) as events:
            async for event in events:
                yield event
        if unapproved:
            yield e.Waiting(tuple(unapproved))

    async def _run(self, due: Sequence[Due]) -> AsyncGenerator[e.Event, None]:
        for _, call, _ in due:
            yield e.ToolProgress(call.id)
        try:
            if due:
                await self._keep()
        except StorageError as error:
            for _, call, _ in due:
                yield e.ToolResult(call.id, "error", error=f"It was not run: {error.user_message}")
            return
        sources = [self._execute(tool, call.id, arguments) for tool, call, arguments in due]
        async with aclosing(side_by_side(sources)) as events:
            async for event in events:
                yield event

    async def _execute(self, tool: Tool, call_id: str, arguments: dict[str, Any]) -> AsyncGenerator[e.Event, None]:
        await self._confirm()  # it may have waited for others, and the process may have stood still meanwhile
        async with aclosing(execute(tool, call_id, arguments, self._context)) as events:
            async for event in events:
                yield event

    async def _chosen(self) -> Chosen:
        backoff, until = Backoff(base=0.1, cap=1.0, draw=max), monotonic() + CHOICES_SECONDS
        while True:
            try:
                return await self._choices.choices(self._context.owner, self._context.conversation_id)
            except StorageError as error:
                if not error.transient or monotonic() > until:
                    raise
                logger.warning("an answer waits for its settings: %s", error)
            await asyncio.sleep(backoff.next_pause())

    def _checked(self, call: ToolCallPart) -> tuple[Tool, dict[str, Any]]:
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise StreamchatError(f"More than {MAX_CALLS} calls in one answer are not run.")
        tool = self._offered.get(call.name)
        if tool is None:
            raise StreamchatError(f"There is no tool named {call.name[:64]!r} here.")
        return tool, dict(tool.check(call.arguments or {}))


async def side_by_side(sources: Sequence[AsyncGenerator[e.Event, None]]) -> AsyncGenerator[e.Event, None]:
    """Yield the events of all sources as they arrive; ``AT_ONCE`` sources run at a time. Closing this closes them."""
    events: asyncio.Queue[e.Event | None] = asyncio.Queue()
    room = asyncio.Semaphore(AT_ONCE)

    async def drain(source: AsyncGenerator[e.Event, None]) -> None:
        try:
            async with room, aclosing(source):
                async for event in source:
                    events.put_nowait(event)
        finally:
            events.put_nowait(None)

    tasks = [asyncio.create_task(drain(source)) for source in sources]
    try:
        left = len(tasks)
        while left:
            event = await events.get()
            if event is None:
                left -= 1
            else:
                yield event
        for task in tasks:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
