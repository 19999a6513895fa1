"""One answer, however often the model is asked for it: model → tools → model, until it says that it is done.

Knows providers and tools by their protocols; does not number or keep anything. Rules:

* What has been said is asked for (``said``), never kept twice: the log is the only accumulator.
* Tools run only where the model's stop reason says so. Calls that are left over by any other end are told that
  they will not run.
* A call that needs a person's word parks the answer: ``Waiting`` is the last event then, and another agent goes on
  from the log when the decision is there.
* Rescue (off unless the settings switch it on) goes on with an answer that broke after its first piece: the partial
  goes back with the request, and the seam is a notice in the message. Half a call cannot be gone on from.
* The number of rounds is bounded, and so is that of a provider's pauses.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace

from streamchat.chat import events as e
from streamchat.chat.messages import Message, NoticePart, ToolCallPart
from streamchat.chat.request import Request
from streamchat.errors import ProviderError, StreamBroken
from streamchat.runs.attempts import Policy, Target, attempts
from streamchat.runs.context import fit
from streamchat.runs.tools import Tools

MAX_ROUNDS = 20
MAX_PAUSES = 5
MAX_RESCUES = 2
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


class Agent:
    """One answer. ``said``: the message as the log has it now."""

    def __init__(self, asking: Asking, said: Callable[[], Message]) -> None:
        self._asking = asking
        self._target = asking.target
        self._said = said
        self._offered = asking.request.tools
        self._finished: e.Finished | None = None
        self._pauses = 0
        self._left_out = 0

    async def answer(self) -> AsyncGenerator[e.Event, None]:
        """From where the answer is now. The last event is ``Finished`` or ``Waiting``, unless the provider's stream
        ended without an end. Raises what the provider raised."""
        if self._asking.tools:
            self._offered = await self._asking.tools.specs()
            # Of these nobody knows whether they ran: the person's to decide.
            if doubtful := [part.id for part in _calls(self._said(), "unknown")]:
                yield e.Waiting(tuple(doubtful))
                return
        for number in range(MAX_ROUNDS):
            # What is ready before the first round was decided by a person.
            async with aclosing(self._run_tools(decided=number == 0)) as events:
                async for event in events:
                    yield event
                    if isinstance(event, e.Waiting):
                        return
            before = len(_calls(self._said()))
            async with aclosing(self._ask()) as events:
                async for event in events:
                    yield event
            if self._finished is None:
                return
            if not self._goes_on(self._finished, called=len(_calls(self._said())) > before):
                break
        else:
            self._finished = e.Finished("tool-rounds")
        if self._finished.reason != "tool-calls":
            for call in _calls(self._said(), "ready"):
                yield e.ToolResult(call.id, "stopped", error=LEFT_OVER)
        yield self._finished

    async def _run_tools(self, *, decided: bool) -> AsyncGenerator[e.Event, None]:
        if self._asking.tools and (ready := _calls(self._said(), "ready")):
            async with aclosing(self._asking.tools.settle(ready, decided=decided)) as events:
                async for event in events:
                    yield event

    async def _ask(self) -> AsyncGenerator[e.Event, None]:
        """The model once, and again from where it broke off if it is to be rescued."""
        for rescues in range(MAX_RESCUES + 1):
            before = len(_calls(self._said(), ours=False))
            begun = False
            try:
                async with aclosing(self._attempt()) as events:
                    async for event in events:
                        begun = begun or not isinstance(event, e.Notice | e.UsageReported)
                        yield event
                return
            except ProviderError as error:
                whole = len(_calls(self._said(), ours=False)) == before
                rescue = self._asking.policy.rescue
                if rescue is None or rescues == MAX_RESCUES or not (begun and whole and error.retryable):
                    raise
                self._target = rescue(self._target)
                yield _seam(error, self._target)

    async def _attempt(self) -> AsyncGenerator[e.Event, None]:
        """The model's own end is kept, not yielded: it may not be that of the answer."""
        said, self._finished = self._said(), None
        request, notice = self._request(said)
        if notice is not None:
            yield notice
        used = said.usage or e.UsageReported()
        async with aclosing(attempts(self._target, request, self._asking.policy)) as events:
            async for event in events:
                if isinstance(event, e.Finished):
                    self._finished = event
                    return
                yield used + event if isinstance(event, e.UsageReported) else event

    def _request(self, said: Message) -> tuple[Request, e.Notice | None]:
        """The history, and what the model has said so far as the last message."""
        asked = self._asking.request
        history = asked.messages
        if any(not isinstance(part, NoticePart) or part.opaque for part in said.parts):
            history = (*history, replace(said, stop_reason="pause") if self._pauses else said)
        limit = asked.options.max_tokens
        messages, notice = fit(history, window=self._asking.window, system=asked.system, answer=limit)
        left_out = len(history) - len(messages)
        if left_out <= self._left_out:
            notice = None  # told already
        self._left_out = left_out
        return replace(asked, model=self._target.model, messages=messages, tools=self._offered), notice

    def _goes_on(self, finished: e.Finished, *, called: bool) -> bool:
        """Whether the model is asked again."""
        if finished.reason == "pause":
            self._pauses += 1
            return self._pauses <= MAX_PAUSES
        self._pauses = 0
        return finished.reason == "tool-calls" and self._asking.tools is not None and called


def _seam(error: ProviderError, target: Target) -> e.Notice:
    why = error.user_message if isinstance(error, StreamBroken) else "The provider broke off."
    return e.Notice("seam", f"{why} Continued by {target.label}.", {"model": target.model, "kind": error.kind})


def _calls(message: Message, state: str | None = None, *, ours: bool = True) -> list[ToolCallPart]:
    """The calls that are ours to run, or all, in this state or in any."""
    return [
        part
        for part in message.parts
        if isinstance(part, ToolCallPart) and not (ours and part.by_provider) and state in (None, part.state)
    ]
