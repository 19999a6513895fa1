"""One answer, however often the model is asked for it: model → tools → model, until it says that it is done.

Knows providers and tools by their protocols; does not number or keep anything. Rules:

* What has been said is asked for (``said``), never kept twice: the log is the only accumulator.
* Tools run only where the model's stop reason says so. Calls that are left over by any other end are told that
  they will not run.
* A call that needs a person's word parks the answer: ``Waiting`` is the last event then, and another agent goes on
  from the log when the decision is there.
* The number of rounds is bounded, and so is that of a provider's pauses.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from streamchat.chat import events as e
from streamchat.chat.messages import Message, NoticePart, ToolCallPart
from streamchat.chat.request import Request
from streamchat.runs.attempts import Policy, Target, attempts
from streamchat.runs.context import fit
from streamchat.runs.tools import Tools

MAX_ROUNDS = 20
MAX_PAUSES = 5
LEFT_OVER = "This call was not run: the answer ended before it was due."


@dataclass(frozen=True, slots=True)
class Asking:
    """``request``: history, options, and the tools that a client runs itself, if ``tools`` is ``None``.

    ``window``: tokens that the model reads, ``None`` if unknown.
    """

    target: Target
    request: Request
    policy: Policy
    window: int | None = None
    tools: Tools | None = None


async def agent(asking: Asking, said: Callable[[], Message]) -> AsyncGenerator[e.Event, None]:
    """Events of one answer, from where ``said()`` is now; the last is ``Finished`` or ``Waiting``, unless the
    provider's stream ended without an end.

    Raises what the provider raised.
    """
    rounds = pauses = 0
    left_out = 0
    offered = await asking.tools.specs() if asking.tools else asking.request.tools
    # Calls of which nobody knows whether they ran are the person's to decide; those that wait to run were decided.
    if doubtful := [part.id for part in _calls(said(), "unknown")] if asking.tools else []:
        yield e.Waiting(tuple(doubtful))
        return
    decided = True
    while True:
        if asking.tools:
            async with aclosing(asking.tools.settle(_calls(said(), "ready"), decided=decided)) as events:
                async for event in events:
                    yield event
                    if isinstance(event, e.Waiting):
                        return
        decided = False
        before = said()
        request, notice = _request(asking, before, offered, paused=pauses > 0)
        if notice and (notice.data or {}).get("left_out") != left_out:
            left_out = (notice.data or {}).get("left_out", 0)
            yield notice
        used = before.usage or e.UsageReported()
        finished = None
        async with aclosing(attempts(asking.target, request, asking.policy)) as events:
            async for event in events:
                if isinstance(event, e.Finished):
                    finished = event
                    break
                yield used + event if isinstance(event, e.UsageReported) else event
        if finished is None:
            return  # a stream that ended without an end
        if finished.reason == "pause" and pauses < MAX_PAUSES:
            pauses += 1
            continue
        called = len(_calls(said())) > len(_calls(before))
        if finished.reason != "tool-calls" or asking.tools is None or not called:
            break
        rounds += 1
        if rounds == MAX_ROUNDS:
            finished = e.Finished("tool-rounds")
            break
        pauses = 0
    if finished.reason != "tool-calls":
        for call in _calls(said(), "ready"):
            yield e.ToolResult(call.id, "stopped", error=LEFT_OVER)
    yield finished


def _calls(message: Message, state: str | None = None) -> list[ToolCallPart]:
    """The calls that are ours to run, in this state or in any."""
    return [
        part
        for part in message.parts
        if isinstance(part, ToolCallPart) and not part.by_provider and state in (None, part.state)
    ]


def _request(asking: Asking, said: Message, offered: tuple, *, paused: bool) -> tuple[Request, e.Notice | None]:
    """What the model is asked next: the history, and what it has said so far as the last message."""
    history = asking.request.messages
    if any(not isinstance(part, NoticePart) or part.opaque for part in said.parts):
        history = (*history, replace(said, stop_reason="pause") if paused else said)
    options = asking.request.options
    messages, notice = fit(history, window=asking.window, system=asking.request.system, answer=options.max_tokens)
    return replace(asking.request, messages=messages, tools=offered), notice
