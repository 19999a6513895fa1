"""The tools of one run: which are offered, which calls need a person's word, and their running side by side.

``tools/`` knows how one call is run. Rules:

* A call runs only if its tool is offered here and its arguments fit; else the model is told why not.
* Calls run at the same time; the order of their results is that of the calls, because each belongs to its part.
* That a call runs is stored before it does: after a crash nobody takes it for one that never ran.
* A call that asks does not hold up the others: it is asked about when they are done.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, TypeAlias

from streamchat.chat import events as e
from streamchat.chat.messages import ToolCallPart
from streamchat.chat.request import ToolSpec
from streamchat.errors import StorageError, StreamchatError
from streamchat.runs.ports import Choices, Chosen
from streamchat.tools.context import Context
from streamchat.tools.definition import Tool
from streamchat.tools.execution import execute
from streamchat.tools.toolbox import Toolbox

AT_ONCE = 8
MAX_CALLS = 128
"""Calls of one answer: a provider that sends more is not obeyed."""

Due: TypeAlias = tuple[Tool, ToolCallPart, dict[str, Any]]


class Tools:
    """``context``: for whom, and in which conversation. ``keep`` stores the answer as the log has it."""

    def __init__(
        self, toolbox: Toolbox, choices: Choices, context: Context, keep: Callable[[], Awaitable[None]]
    ) -> None:
        self._toolbox = toolbox
        self._choices = choices
        self._context = context
        self._keep = keep
        self._offered: dict[str, Tool] = {}
        self._calls = 0

    async def specs(self) -> tuple[ToolSpec, ...]:
        """What the model is offered. Raises ``StorageError``."""
        chosen = await self._chosen()
        self._offered = {tool.spec.name: tool for tool in self._toolbox.offered(chosen.off)}
        return tuple(tool.spec for tool in self._offered.values())

    async def settle(self, calls: Sequence[ToolCallPart], *, decided: bool) -> AsyncGenerator[e.Event, None]:
        """Run these calls; ``Waiting`` comes last where a person has to decide about some. ``decided``: they did."""
        due: list[Due] = []
        asked: list[str] = []
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
                    asked.append(call.id)
                    continue
            due.append((tool, call, arguments))
        async with aclosing(self._run(due)) as events:
            async for event in events:
                yield event
        if asked:
            yield e.Waiting(tuple(asked))

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
        sources = [execute(tool, call.id, arguments, self._context) for tool, call, arguments in due]
        async with aclosing(side_by_side(sources)) as events:
            async for event in events:
                yield event

    async def _chosen(self) -> Chosen:
        return await self._choices.choices(self._context.owner, self._context.conversation_id)

    def _checked(self, call: ToolCallPart) -> tuple[Tool, dict[str, Any]]:
        self._calls += 1
        if self._calls > MAX_CALLS:
            raise StreamchatError(f"More than {MAX_CALLS} calls in one answer are not run.")
        tool = self._offered.get(call.name)
        if tool is None:
            raise StreamchatError(f"There is no tool named {call.name[:64]!r} here.")
        return tool, dict(tool.check(call.arguments or {}))


async def side_by_side(sources: Sequence[AsyncGenerator[e.Event, None]]) -> AsyncGenerator[e.Event, None]:
    """The events of all as they come, a few of them at a time. Closing this closes them all."""
    said: asyncio.Queue[e.Event | None] = asyncio.Queue()
    room = asyncio.Semaphore(AT_ONCE)

    async def drain(source: AsyncGenerator[e.Event, None]) -> None:
        try:
            async with room, aclosing(source):
                async for event in source:
                    said.put_nowait(event)
        finally:
            said.put_nowait(None)

    tasks = [asyncio.create_task(drain(source)) for source in sources]
    try:
        left = len(tasks)
        while left:
            event = await said.get()
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
