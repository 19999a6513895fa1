"""Retries before the first piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence

import pytest

from streamchat.chat.events import Event, Finished, Notice, ReasoningDelta, TextDelta, ToolCallStarted
from streamchat.chat.messages import Message, TextPart
from streamchat.chat.request import Request
from streamchat.errors import ProviderError, StreamBroken
from streamchat.runs import retries as module
from streamchat.runs.retries import Policy, Target, attempts

BUSY = ProviderError("The provider is busy.", kind="overloaded", retryable=True, retry_after=0.01)
CUT = StreamBroken("The connection broke.", kind="reset", retryable=True)
QUESTION = Request("m", (Message("u", "user", (TextPart("hi"),)),))


class Script:
    """A provider whose n-th call says the n-th script."""

    def __init__(self, *scripts: Sequence[Event | Exception]) -> None:
        self.scripts = list(scripts)
        self.requests: list[Request] = []

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        self.requests.append(request)
        for step in self.scripts[len(self.requests) - 1]:
            if isinstance(step, Exception):
                raise step
            yield step

    async def close(self) -> None: ...


async def collect(script: Script, policy: Policy | None = None) -> list[Event]:
    events: list[Event] = []
    try:
        async for event, _ in attempts(Target(script, "m", "Model"), QUESTION, policy or Policy()):
            events.append(event)
    except ProviderError as error:
        events.append(error)  # pyrefly: ignore[bad-argument-type] the last thing that happened
    return events


async def test_a_busy_provider_is_asked_again_visibly():
    """Each wait is announced with its number and its seconds; then the answer comes."""
    script = Script([BUSY], [BUSY], [TextDelta("ok"), Finished()])
    first, second, *rest = await collect(script)
    assert isinstance(first, Notice)
    assert (first.kind, first.data and first.data["attempt"], first.data and first.data["of"]) == ("retrying", 1, 3)
    assert "Retrying 1/3 in" in first.text
    assert isinstance(second, Notice)
    assert "Retrying 2/3 in" in second.text
    assert rest == [TextDelta("ok"), Finished()]


async def test_retries_are_bounded():
    """After the last try the error is the answer."""
    script = Script(*[[BUSY]] * 9)
    assert (await collect(script))[-1] is BUSY
    assert len(script.requests) == 4
    assert (await collect(script := Script([BUSY]), Policy(retries=0))) == [BUSY]


@pytest.mark.parametrize("piece", [TextDelta("a"), ReasoningDelta("hm"), ToolCallStarted("1", "f")])
async def test_nothing_is_retried_after_the_first_piece(piece):
    """What has been said is not said twice."""
    script = Script([piece, CUT], [TextDelta("again"), Finished()])
    assert await collect(script) == [piece, CUT]
    assert len(script.requests) == 1


@pytest.mark.parametrize(
    "error",
    [
        ProviderError("Key refused.", kind="bad-key", retryable=False),
        ProviderError("Wait an hour.", kind="rate-limited", retryable=True, retry_after=3600),
        ProviderError("No answer in time.", kind="first-token-timeout", retryable=True),
    ],
)
async def test_what_cannot_pass_is_not_asked_again(error):
    """A refused key, a wait that is too long, a patience that is used up: one request."""
    script = Script([error])
    assert await collect(script) == [error]
    assert len(script.requests) == 1


async def test_a_wait_can_be_ended():
    """Closing the generator while it waits ends the wait."""
    slow = ProviderError("Busy.", kind="overloaded", retryable=True, retry_after=15)
    events = attempts(Target(Script([slow]), "m", "Model"), QUESTION, Policy())
    await anext(events)
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 10)


async def test_waits_grow_and_differ():
    """Back-off is exponential with jitter, and bounded."""
    runs = [[backoff.next_pause() for _ in range(10)] for backoff in (module.new_backoff() for _ in range(20))]
    pauses = list(zip(*runs, strict=True))
    assert max(pauses[0]) <= min(pauses[2])
    assert len(set(pauses[0])) > 1
    assert max(pauses[9]) <= 8
