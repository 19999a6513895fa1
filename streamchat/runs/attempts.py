"""Asking a provider until it answers: visible, bounded retries before the first piece; rescue after it.

Knows nothing of the log. Rules:

* Only errors that may pass are tried again, and only before the first piece of content. Each wait is announced
  by a notice, and closing this generator ends it at once.
* ``Retry-After`` is honoured up to ``MAX_WAIT`` seconds; a provider that asks for more gets no further request.
* Rescue (off unless the settings switch it on) continues an answer that broke after its first piece: the partial
  text goes back with the request, and the seam is a notice in the message.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from tenacity import AsyncRetrying, RetryCallState, wait_exponential_jitter

from streamchat.chat import events as e
from streamchat.chat.fold import Folding
from streamchat.chat.messages import Message
from streamchat.chat.request import Request
from streamchat.errors import ProviderError, StreamBroken
from streamchat.providers.base import Provider
from streamchat.runs.intake import Deadlines, intake

MAX_WAIT = 20.0
MAX_RESCUES = 2
# Their patience was long enough the first time.
_NOT_AGAIN = ("first-token-timeout", "total-timeout")
_wait = wait_exponential_jitter(multiplier=0.5, max=8.0, jitter=0.5)


@dataclass(frozen=True, slots=True)
class Target:
    """Who is asked: a provider, and the name under which it knows the model."""

    provider: Provider
    model: str
    label: str


@dataclass(frozen=True, slots=True)
class Policy:
    """``retries``: tries after the first. ``rescue``: who continues a broken answer; ``None`` leaves it broken."""

    retries: int = 3
    rescue: Callable[[Target], Target] | None = None
    deadlines: Deadlines = field(default_factory=Deadlines)


async def attempts(target: Target, request: Request, policy: Policy) -> AsyncGenerator[e.Event, None]:
    """Events of one answer. Raises what the last attempt raised."""
    said = Folding(Message("", "assistant", status="streaming", model=target.model))
    tries = rescues = 0
    original = request
    while True:
        content = False
        try:
            async with aclosing(intake(target.provider.stream(request), policy.deadlines)) as events:
                async for event in events:
                    content = content or isinstance(event, e.Delta | e.ToolCallStarted)
                    if not isinstance(event, e.ENDINGS):
                        said.add(event)
                    yield event
            return
        except ProviderError as error:
            begun = content or bool(said.message.parts)
            if not begun and tries < policy.retries and _may_pass(error):
                tries += 1
                seconds = _pause(error, tries)
                yield _retrying(error, tries, policy.retries, seconds)
                await asyncio.sleep(seconds)
                continue
            if not begun or not policy.rescue or rescues == MAX_RESCUES or not error.retryable or _calls(said.message):
                raise
            rescues += 1
            target = policy.rescue(target)
            request = _continued(original, target, said.message)
            yield _seam(error, target)


def _may_pass(error: ProviderError) -> bool:
    return error.retryable and error.kind not in _NOT_AGAIN and (error.retry_after or 0) <= MAX_WAIT


def _pause(error: ProviderError, tries: int) -> float:
    """Seconds to wait: what the provider asks for, else exponential with jitter."""
    if error.retry_after is not None:
        return error.retry_after
    state = RetryCallState(AsyncRetrying(), None, (), {})
    state.attempt_number = tries
    return _wait(state)


def _retrying(error: ProviderError, tries: int, of: int, seconds: float) -> e.Notice:
    text = f"{error.user_message} Retrying {tries}/{of} in {max(1, round(seconds))} s."
    return e.Notice("retrying", text, {"attempt": tries, "of": of, "seconds": round(seconds, 1), "kind": error.kind})


def _seam(error: ProviderError, target: Target) -> e.Notice:
    why = error.user_message if isinstance(error, StreamBroken) else "The provider broke off."
    return e.Notice("seam", f"{why} Continued by {target.label}.", {"model": target.model, "kind": error.kind})


def _calls(message: Message) -> bool:
    """Whether tool calls are in it: half a call cannot be continued."""
    return any(part.type == "tool_call" for part in message.parts)


def _continued(request: Request, target: Target, said: Message) -> Request:
    """The request that goes on where the answer broke; an earlier partial at its end is part of the answer."""
    messages = request.messages
    if messages and messages[-1].role == "assistant":
        said = replace(messages[-1], parts=messages[-1].parts + said.parts)
        messages = messages[:-1]
    return replace(request, model=target.model, messages=(*messages, replace(said, status="interrupted")))
