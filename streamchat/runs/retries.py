"""Retry policy of provider calls: visible, bounded retries before the first event, none after it.

Knows nothing of the log. Rules:

* Only retryable errors are retried, and only before the first piece of content. A notice announces each wait.
  Closing the generator ends the wait at once.
* ``Retry-After`` is honoured up to ``MAX_WAIT`` seconds; after a longer one there is no further request.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from time import monotonic

from streamchat.backoff import Backoff
from streamchat.chat import events as e
from streamchat.chat.request import Request
from streamchat.defaults import RETRIES
from streamchat.errors import ErrorKind, ProviderError, StreamBroken
from streamchat.providers.base import Provider
from streamchat.runs.coalesce import Arrival, Deadlines, intake
from streamchat.runs.ports import Models
from streamchat.runs.stop_texts import until_stop

MAX_WAIT = 20.0
# These timeouts are long: a second one would take too long.
_NO_RETRY: tuple[ErrorKind, ...] = ("first-token-timeout", "total-timeout")


@dataclass(frozen=True, slots=True)
class Target:
    """A provider, the name under which it knows the model, the label that people see, and our id of the model.

    ``own_key``: the person who asks pays for it.
    """

    provider: Provider
    model: str
    label: str
    id: str = ""
    own_key: bool = False


@dataclass(frozen=True, slots=True)
class Policy:
    """``retries``: attempts after the first. ``rescue``: which model continues a broken answer; ``None``: no rescue.

    ``cost``: the cost of one request to a model, by its id, in US dollars; ``None`` if it is not known. ``fallback``:
    the id of the model that continues a broken answer instead of that of ``rescue``, among those of the answer's owner.
    """

    retries: int = RETRIES
    rescue: Callable[[Target], Target] | None = None
    deadlines: Deadlines = field(default_factory=Deadlines)
    cost: Callable[[str, e.UsageReported], float | None] = lambda model_id, usage: None
    fallback: str | None = None

    def within(self, models: Models) -> Policy:
        """Return the policy for an answer of somebody who has these models."""
        if self.rescue is None or (fallback := self.fallback) is None:
            return self
        return replace(self, rescue=lambda target: target_of(models, fallback))


def target_of(models: Models, model_id: str) -> Target:
    """Return the target of a model. Raises ``NotFound``, ``InvalidInput``."""
    info = models.info(model_id)
    return Target(models.provider(model_id), info.name, info.label, info.id, info.own_key)


def new_backoff() -> Backoff:
    """Return the pauses between the attempts of one call: 0.5 to 1 s first, then doubling, 8 s at most."""
    return Backoff(base=1.0, draw=lambda low, high: random.uniform(high / 2, high))


async def attempts(target: Target, request: Request, policy: Policy) -> AsyncGenerator[Arrival, None]:
    """Yield the events of one answer of the model. Raises what the last attempt raised."""
    tries, backoff = 0, new_backoff()
    while True:
        started = False
        try:
            events = target.provider.stream(request)
            if request.options.stop:
                events = until_stop(events, request.options.stop)
            async with aclosing(intake(events, policy.deadlines)) as arrivals:
                async for arrival in arrivals:
                    started = started or not isinstance(arrival.event, e.UsageReported)
                    yield arrival
            return
        except ProviderError as error:
            if request.watch:
                request.watch.answered(monotonic(), error=error.kind)
            # A response that the provider stores goes on without us: it is read on, not asked for again.
            is_stored = isinstance(error, StreamBroken) and request.tracker is not None and request.tracker.is_running
            if started or is_stored or tries == policy.retries or not _is_transient(error):
                raise
            tries += 1
            seconds = backoff.next_pause() if error.retry_after is None else error.retry_after
            yield Arrival(_retrying(error, tries, policy.retries, seconds), monotonic())
            await asyncio.sleep(seconds)


def _is_transient(error: ProviderError) -> bool:
    return error.retryable and error.kind not in _NO_RETRY and (error.retry_after or 0) <= MAX_WAIT


def _retrying(error: ProviderError, tries: int, of: int, seconds: float) -> e.Notice:
    text = f"{error.user_message} Retrying {tries}/{of} in {max(1, round(seconds))} s."
    return e.Notice("retrying", text, {"attempt": tries, "of": of, "seconds": round(seconds, 1), "kind": error.kind})
