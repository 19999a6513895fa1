"""Asking a provider until it answers: visible, bounded retries before the first piece, none after it.

Knows nothing of the log. Rules:

* Only errors that may pass are tried again, and only before the first piece of content. Each wait is announced
  by a notice, and closing this generator ends it at once.
* ``Retry-After`` is honoured up to ``MAX_WAIT`` seconds; a provider that asks for more gets no further request.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from tenacity import AsyncRetrying, RetryCallState, wait_exponential_jitter

from streamchat.chat import events as e
from streamchat.chat.request import Request
from streamchat.errors import ProviderError
from streamchat.providers.base import Provider
from streamchat.runs.intake import Deadlines, intake

MAX_WAIT = 20.0
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
    """Events of one answer of the model. Raises what the last attempt raised."""
    tries = 0
    while True:
        begun = False
        try:
            async with aclosing(intake(target.provider.stream(request), policy.deadlines)) as events:
                async for event in events:
                    begun = begun or not isinstance(event, e.UsageReported)
                    yield event
            return
        except ProviderError as error:
            if begun or tries == policy.retries or not _may_pass(error):
                raise
            tries += 1
            seconds = _pause(error, tries)
            yield _retrying(error, tries, policy.retries, seconds)
            await asyncio.sleep(seconds)


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
