"""Whether an answer is continued after the death of its process, and with which entries."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from streamchat.chat import events as e
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message, NoticePart, TextPart, ToolCallPart
from streamchat.chat.request import Request
from streamchat.errors import StorageError
from streamchat.runs.agent import Agent, Asking
from streamchat.runs.retries import Policy, Target
from streamchat.runs.takeover import CONTINUE_SECONDS, Budget, seam
from streamchat.runs.tool_rounds import Tools
from streamchat.tools.definition import tool
from streamchat.tools.tool_context import Context
from streamchat.tools.toolbox import Toolbox

EMPTY = Message("m", "assistant", status="streaming", model="a:b")
STARTED = (e.ToolCallStarted("c", "send"), e.ToolCallArguments("c", '{"to": '))
READY = (*STARTED, e.ToolCallArguments("c", '"Ada"}'), e.ToolCallReady("c", {"to": "Ada"}))
ran: list[str] = []


@tool(approve=True)
async def send(to: str) -> str:
    """Must not run unasked."""
    ran.append(to)
    return "sent"


@pytest.mark.parametrize(
    ("budget", "takeovers", "silence", "text", "continued"),
    [
        (Budget(1), 1, 7, "x", True),
        (Budget(0), 0, 7, "x", False),
        (Budget(0), 1, 7, "x", False),
        (Budget(1), 2, 7, "x", False),
        (Budget(2), 2, 7, "x", True),
        (Budget(1), 0, CONTINUE_SECONDS + 1, "x", False),
        (Budget(1), 1, float("inf"), "x", False),
        (Budget(1), 1, -3600, "x", True),
        (Budget(1), 1, 7, "word " * 40_000, False),
    ],
    ids=["first", "off", "off-1", "second", "two-tries", "old", "no-heartbeat", "future", "long"],
)
def test_the_budget(budget: Budget, takeovers: int, silence: float, text: str, continued: bool):
    """Tries, time and size: each of them ends it."""
    message = Message("m", "assistant", (TextPart(text),), status="streaming")
    assert budget.allows(message, takeovers, silence) is continued


@pytest.mark.parametrize(
    ("events", "state", "seams"),
    [
        ((), None, 0),
        ((e.Notice("retrying", "Retrying 1/3."),), None, 0),
        ((e.TextDelta("half"),), None, 1),
        (STARTED, "stopped", 1),
        (READY, "ready", 1),
        ((*READY, e.ToolProgress("c")), "unknown", 1),
        ((*READY, e.ToolProgress("c"), e.ToolResult("c", "done", "ok")), "done", 1),
        ((e.ToolCallStarted("c", "search", True), e.ToolCallReady("c", {})), "stopped", 1),
    ],
    ids=["nothing", "notice", "text", "receiving", "ready", "running", "done", "by-the-provider"],
)
def test_the_entries_of_a_takeover(events: tuple[e.Event, ...], state: str | None, seams: int):
    """There is a seam if anything was said, no call stays between two states, and a result stays what it is."""
    message = fold(EMPTY, events)
    after = fold(message, seam(message, "Label"))
    calls = [part.state for part in after.parts if isinstance(part, ToolCallPart)]
    assert calls == ([state] if state else [])
    assert sum(isinstance(part, NoticePart) and part.kind == "seam" for part in after.parts) == seams
    assert after.status == "streaming"


class Silent:
    """A provider that is not asked."""

    def stream(self, request: Request) -> AsyncGenerator[e.Event, None]:
        raise AssertionError("asked")

    async def close(self) -> None: ...


class NoChoices:
    always: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()

    async def choices(self, owner: str, conversation_id: str) -> Any:
        return self


async def nothing() -> None: ...


@pytest.mark.parametrize(
    ("running", "asked"), [(True, ["c", "d"]), (False, ["d"])], ids=["one was running", "none was running"]
)
async def test_a_call_that_needs_approval_is_asked_about_after_a_takeover(running: bool, asked: list[str]):
    """Nobody approved it: it neither runs at once, nor with the decision about a call that was in flight."""
    ran.clear()
    other = (e.ToolCallStarted("d", "send"), e.ToolCallReady("d", {"to": "Bob"}))
    before = (*READY, e.ToolProgress("c")) if running else ()
    message = fold(EMPTY, (*before, *other))
    message = fold(message, seam(message, "Label"))
    context = Context("local", "conversation", None, asyncio.get_running_loop())
    tools = Tools(Toolbox([send]), NoChoices(), context, nothing, nothing)
    asking = Asking(Target(Silent(), "b", "B"), Request("b", ()), Policy(), tools=tools)
    events = [arrival.event async for arrival in Agent(asking, lambda: message, decided=False).answer()]
    assert events == [e.Waiting(tuple(asked))]
    assert ran == []


class AwayForAMoment(NoChoices):
    """The settings of a database that is away at first. ``transient``: it may come back by itself."""

    def __init__(self, failures: int, *, transient: bool) -> None:
        self.failures, self.transient = failures, transient

    async def choices(self, owner: str, conversation_id: str) -> Any:
        if self.failures:
            self.failures -= 1
            raise StorageError("The database cannot be reached.", transient=self.transient)
        return self


async def test_an_answer_waits_for_a_database_that_is_away_for_a_moment():
    """Between its start and its request the database restarts: it goes on. A damaged database is an error at once."""
    context = Context("local", "conversation", None, asyncio.get_running_loop())
    away = AwayForAMoment(2, transient=True)
    tools = Tools(Toolbox([send]), away, context, nothing, nothing)
    assert [spec.name for spec in await tools.specs()] == ["send"]
    assert away.failures == 0
    damaged = AwayForAMoment(9, transient=False)
    with pytest.raises(StorageError):
        await Tools(Toolbox([send]), damaged, context, nothing, nothing).specs()
    assert damaged.failures == 8
