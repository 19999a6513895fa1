"""The agent loop of one answer: model → tools → model, until the model says that it is done.

Knows providers and tools by their protocols; numbers and stores nothing. Rules:

* The answer so far is read from the log (``current``), which is the only accumulator.
* Tools run only if the model's stop reason says so. After any other end, open calls get a result that says that
  they did not run.
* A call that needs approval suspends the answer: ``Waiting`` is the last event, and another agent continues from the
  log after the decision.
* A response that the provider stores (``Upstream``) is read on after its connection broke, or in another process. The
  model is not asked again, and there is no seam. A stored response that cannot be read on is given up.
* Rescue (off by default) continues an answer that broke after its first event: the partial answer is part of the next
  request, and a notice in the message marks the seam. An incomplete call cannot be continued.
* A provider that wants a person to decide ends with the reason ``INTERRUPT``. The answer waits for the decisions about
  the calls that have a schema, and the provider is asked again with them.
* A message into the answer (``steered``) ends it once the tools of a round have run: that message is answered next.
* The numbers of rounds and of a provider's pauses are bounded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from time import monotonic

from streamchat.chat import events as e
from streamchat.chat.messages import Message, NoticePart, ToolCallPart
from streamchat.chat.request import Request
from streamchat.errors import ProviderError, StorageError, StreamBroken
from streamchat.providers.base import Resumable
from streamchat.runs.coalesce import Arrival, intake
from streamchat.runs.context_window import fit
from streamchat.runs.retries import MAX_WAIT, Policy, Target, attempts, new_backoff
from streamchat.runs.steering import taken
from streamchat.runs.stop_texts import AT_STOP_TEXT, until_stop
from streamchat.runs.tool_rounds import Tools
from streamchat.runs.upstream import Checkpoint, Diverged, Replay, Upstream

MAX_ROUNDS = 20
MAX_PAUSES = 5
MAX_RESCUES = 2
# Readings of a stored response, one after the other, that brought nothing new.
MAX_FAILURES = 8
INTERRUPT = "interrupt"
LEFT_OVER = "This call was not run: the answer ended before it was due."
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asking:
    """``request``: history, options, and the tools that a client runs itself, if ``tools`` is ``None``.

    ``window``: tokens that the model reads, ``None`` if unknown. ``attach``: puts the content of files into messages.
    ``steered``: returns the run that is to follow instead of the next round, if there is one.
    """

    target: Target
    request: Request
    policy: Policy
    window: int | None = None
    tools: Tools | None = None
    attach: Callable[[Sequence[Message]], Awaitable[tuple[Message, ...]]] | None = None
    steered: Callable[[], Awaitable[str | None]] | None = None


class Agent:
    """One answer. ``current`` returns the message as the log has it now.

    ``decided``: a person has approved the calls that are ready. ``upstream``: responses that the provider stores;
    ``None``: it stores none. With a checkpoint the answer begins with the rest of that response, and if that cannot be
    read, with the events of ``seam`` and another response.
    """

    def __init__(
        self,
        asking: Asking,
        current: Callable[[], Message],
        *,
        decided: bool = True,
        upstream: Upstream | None = None,
        seam: Callable[[Message], Sequence[e.Event]] = lambda message: (),
    ) -> None:
        self._decided = decided
        self._upstream = upstream
        self._seam = seam
        self._asking = asking
        self._target = asking.target
        self._current = current
        self._offered = asking.request.tools
        self._finished: e.Finished | None = None
        self._finished_at = 0.0
        self._pauses = 0
        self._left_out = 0

    async def answer(self) -> AsyncGenerator[Arrival, None]:
        """Yield the rest of the answer.

        The last event is ``Finished`` or ``Waiting``, unless the provider's stream ended without its end marker. Raises
        what the provider raised.
        """
        if self._asking.tools:
            self._offered = await self._asking.tools.specs()
            # It is unknown whether these ran: the person decides.
            if doubtful := [part.id for part in _calls(self._current(), "unknown")]:
                undecided = [] if self._decided else [part.id for part in _calls(self._current(), "ready")]
                yield _now(e.Waiting((*doubtful, *undecided)))
                return
        for number in range(MAX_ROUNDS):
            # What is ready before the first round was decided by a person, unless the answer was taken over. Calls of a
            # response that is read on wait for its end.
            if self._checkpoint is None:
                async with aclosing(self._run_tools(decided=number == 0 and self._decided)) as events:
                    async for event in events:
                        yield _now(event)
                        if isinstance(event, e.Waiting):
                            return
                if (number or self._decided) and (follower := await self._steered()):
                    yield _now(taken(follower, number or 1))
                    self._finished, self._finished_at = e.Finished(e.STEERED), monotonic()
                    break
            before = len(_calls(self._before()))
            async with aclosing(self._ask()) as arrivals:
                async for arrival in arrivals:
                    yield arrival
            if self._finished is None:
                return
            if self._finished.reason == INTERRUPT and (asked := _asked(self._current())):
                yield _now(e.Waiting(asked))
                return
            if not self._goes_on(self._finished, called=len(_calls(self._current())) > before):
                break
        else:
            self._finished, self._finished_at = e.Finished("tool-rounds"), monotonic()
        if self._finished.reason != "tool-calls":
            for call in _calls(self._current(), "ready"):
                yield _now(e.ToolResult(call.id, "stopped", error=LEFT_OVER))
        yield Arrival(self._finished, self._finished_at)

    async def _steered(self) -> str | None:
        """Return the run that is to follow now that tools have run, if there is one."""
        if self._asking.steered is None or not _calls(self._current()):
            return None
        try:
            return await self._asking.steered()
        except StorageError as error:
            logger.warning("whether a message steers an answer cannot be read; it follows the end of it: %s", error)
            return None

    @property
    def _checkpoint(self) -> Checkpoint | None:
        return self._upstream.checkpoint if self._upstream else None

    def _before(self) -> Message:
        """Return the answer without what the response brought that is to be read on, if there is one."""
        answer, checkpoint = self._current(), self._checkpoint
        return answer if checkpoint is None else replace(answer, parts=answer.parts[: checkpoint.parts])

    async def _run_tools(self, *, decided: bool) -> AsyncGenerator[e.Event, None]:
        if self._asking.tools and (ready := _calls(self._current(), "ready")):
            async with aclosing(self._asking.tools.settle(ready, decided=decided)) as events:
                async for event in events:
                    yield event

    async def _ask(self) -> AsyncGenerator[Arrival, None]:
        """Ask the model, and again from where it broke off if it is to be rescued."""
        for rescues in range(MAX_RESCUES + 1):
            before = len(_calls(self._before(), ours=False))
            started = False
            try:
                async with aclosing(self._attempt()) as arrivals:
                    async for arrival in arrivals:
                        started = started or not isinstance(arrival.event, e.Notice | e.UsageReported)
                        yield arrival
                return
            except ProviderError as error:
                whole = len(_calls(self._current(), ours=False)) == before
                rescue = self._asking.policy.rescue
                if rescue is None or rescues == MAX_RESCUES or not (started and whole and error.retryable):
                    raise
                self._target = rescue(self._target)
                yield _now(_seam(error, self._target))

    async def _attempt(self) -> AsyncGenerator[Arrival, None]:
        """Yield one response of the model: the rest of the one in the checkpoint, or a new one.

        Its end is kept in ``_finished``, not yielded: it may not be that of the answer.
        """
        self._finished = None
        while True:
            broken = None
            if self._checkpoint is None:
                try:
                    async with aclosing(self._ask_once()) as arrivals:
                        async for arrival in arrivals:
                            yield arrival
                    return
                except ProviderError as error:
                    if self._checkpoint is None or not (isinstance(error, StreamBroken) and error.retryable):
                        self._give_up()
                        raise
                    broken = error
            async with aclosing(self._read_on()) as arrivals:
                async for arrival in arrivals:
                    yield arrival
            if self._finished is not None:
                return
            self._give_up()
            if broken is not None:
                raise broken
            for event in self._seam(self._current()):
                yield _now(event)

    async def _read_on(self) -> AsyncGenerator[Arrival, None]:
        """Read the response in the checkpoint, and yield what the answer does not have of it.

        ``_finished`` stays ``None`` if it cannot be read to its end.
        """
        provider, checkpoint, policy = self._target.provider, self._checkpoint, self._asking.policy
        if checkpoint is None or not isinstance(provider, Resumable):
            return
        failures, backoff, until = 0, new_backoff(), monotonic() + policy.deadlines.total
        while failures < MAX_FAILURES and monotonic() < until:
            answer, progress = self._current(), False
            try:
                start = checkpoint.start(answer)
                replay = Replay(start, answer)
                request = self._request(start)[0]
                response = provider.resume(request, checkpoint.response_id, checkpoint.sequence)
                if request.options.stop:
                    response = until_stop(response, request.options.stop)
                async with aclosing(intake(response, policy.deadlines)) as arrivals:
                    async for arrival in arrivals:
                        if (event := replay.new(arrival.event)) is None:
                            continue
                        if isinstance(event, e.Finished):
                            self._finish(event, arrival.at)
                            return
                        if isinstance(event, e.UsageReported):
                            event = self._count(checkpoint.usage, event)
                        else:
                            progress = True
                        yield Arrival(event, arrival.at)
            except Diverged:
                logger.warning("the response %s is not the one that was begun", checkpoint.response_id)
                return
            except ProviderError as error:
                logger.info("the response %s cannot be read on: %s", checkpoint.response_id, error)
                if not error.retryable or (error.retry_after or 0) > MAX_WAIT:
                    return
                if progress:
                    failures, backoff = 0, new_backoff()
                    continue
                failures += error.kind != "incomplete"
                pause = backoff.next_pause() if error.retry_after is None else error.retry_after
            else:
                return
            await asyncio.sleep(pause)

    def _give_up(self) -> None:
        if self._upstream:
            self._upstream.abandon()

    def _finish(self, event: e.Finished, at: float) -> None:
        self._finished, self._finished_at = event, at
        if watch := self._asking.request.watch:
            watch.answered(at, finish_reason=event.reason)
        if self._upstream and event is AT_STOP_TEXT:
            self._upstream.abandon()
        elif self._upstream:
            self._upstream.ended()

    async def _ask_once(self) -> AsyncGenerator[Arrival, None]:
        answer = self._current()
        request, notice = self._request(answer)
        if self._upstream and isinstance(self._target.provider, Resumable):
            request = replace(request, tracker=self._upstream)
        if notice is not None:
            yield _now(notice)
        if self._asking.attach is not None:
            request = replace(request, messages=await self._asking.attach(request.messages))
        async with aclosing(attempts(self._target, request, self._asking.policy)) as arrivals:
            async for arrival in arrivals:
                event = arrival.event
                if isinstance(event, e.Finished):
                    self._finish(event, arrival.at)
                    return
                if isinstance(event, e.UsageReported):
                    arrival = Arrival(self._count(answer.usage, event), arrival.at)
                yield arrival

    def _count(self, before: e.UsageReported | None, request: e.UsageReported) -> e.UsageReported:
        """Return the usage of the answer with that of a request. The cost is known only if that of each request is."""
        if watch := self._asking.request.watch:
            watch.used(request)
        used, cost = before or e.UsageReported(cost_usd=0.0), self._asking.policy.cost(self._target.id, request)
        whole = None if used.cost_usd is None or cost is None else used.cost_usd + cost
        return replace(used + request, cost_usd=whole, own_key=used.own_key or self._target.own_key)

    def _request(self, answer: Message) -> tuple[Request, e.Notice | None]:
        """Return the request with the answer so far as its last message, and a notice if history was left out."""
        template = self._asking.request
        history = template.messages
        if any(not isinstance(part, NoticePart) or part.opaque for part in answer.parts):
            history = (*history, replace(answer, stop_reason="pause") if self._pauses else answer)
        limit = template.options.max_tokens
        messages, notice = fit(history, window=self._asking.window, system=template.system, answer=limit)
        left_out = len(history) - len(messages)
        if left_out <= self._left_out:
            notice = None  # already in the message
        self._left_out = left_out
        return replace(template, model=self._target.model, messages=messages, tools=self._offered), notice

    def _goes_on(self, finished: e.Finished, *, called: bool) -> bool:
        """Return whether the model is asked again."""
        if finished.reason == "pause":
            self._pauses += 1
            return self._pauses <= MAX_PAUSES
        self._pauses = 0
        return finished.reason == "tool-calls" and self._asking.tools is not None and called


def _now(event: e.Event) -> Arrival:
    """Return an event that is not from a provider's stream, with the current time."""
    return Arrival(event, monotonic())


def _seam(error: ProviderError, target: Target) -> e.Notice:
    why = error.user_message if isinstance(error, StreamBroken) else "The provider broke off."
    return e.Notice("seam", f"{why} Continued by {target.label}.", {"model": target.model, "kind": error.kind})


def _asked(message: Message) -> tuple[str, ...]:
    """Return the calls of the provider that a person is to decide about."""
    calls = (part for part in message.parts if isinstance(part, ToolCallPart))
    return tuple(call.id for call in calls if call.by_provider and call.schema is not None and call.state == "ready")


def _calls(message: Message, state: str | None = None, *, ours: bool = True) -> list[ToolCallPart]:
    """Return the calls in this state (default: any) that we run, or all calls."""
    return [
        part
        for part in message.parts
        if isinstance(part, ToolCallPart) and not (ours and part.by_provider) and state in (None, part.state)
    ]
