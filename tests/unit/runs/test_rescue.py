"""An answer that broke after its first piece goes on, where the settings say so, with a visible seam."""

from __future__ import annotations

import pytest

from streamchat.chat.events import Event, Finished, Notice, TextDelta, ToolCallStarted, UsageReported
from streamchat.chat.fold import Folding
from streamchat.chat.messages import Message, NoticePart, Part, TextPart
from streamchat.errors import ProviderError
from streamchat.runs.agent import MAX_RESCUES, Agent, Asking
from streamchat.runs.retries import Policy, Target
from tests.unit.runs.test_attempts import CUT, QUESTION, Script


async def collect(
    script: Script, policy: Policy | None = None, kept: tuple[Part, ...] = (), id: str = ""
) -> list[Event]:
    """The events of an answer that begins with these parts, kept as the log keeps them."""
    said = Folding(Message("a", "assistant", kept, status="streaming"))
    events: list[Event] = []
    agent = Agent(Asking(Target(script, "m", "Model", id), QUESTION, policy or Policy()), lambda: said.message)
    try:
        async for event, _ in agent.answer():
            events.append(event)
            if not isinstance(event, Finished):
                said.add(event)
    except ProviderError as error:
        events.append(error)  # pyrefly: ignore[bad-argument-type] the last thing that happened
    return events


async def test_rescue_is_off_by_default():
    """A broken answer stays broken unless the settings say otherwise."""
    assert (await collect(Script([TextDelta("a"), CUT], [TextDelta("b"), Finished()])))[-1] is CUT


async def test_the_cost_is_that_of_each_request_at_its_own_price():
    """Two models wrote it; if one of them has no price, the cost of the whole is not known."""
    prices = {"a": 2.0, "b": 10.0}

    async def cost_of(first_id: str, second_id: str) -> float | None:
        first, second = (
            Script([TextDelta("half "), UsageReported(3, 1), CUT]),
            Script([UsageReported(1, 1), Finished()]),
        )
        policy = Policy(
            rescue=lambda target: Target(second, "other", "Other", second_id),
            cost=lambda model, usage: prices[model] * (usage.input or 0) if model in prices else None,
        )
        events = await collect(first, policy, id=first_id)
        return [event for event in events if isinstance(event, UsageReported)][-1].cost_usd

    assert await cost_of("a", "b") == 3 * 2.0 + 1 * 10.0
    assert await cost_of("a", "?") is None
    assert await cost_of("?", "b") is None


async def test_rescue_continues_with_a_visible_seam():
    """The partial goes back with the request, and the seam is a notice between the two halves."""
    first, second = Script([TextDelta("half "), UsageReported(3, 1), CUT]), Script([TextDelta("whole"), Finished()])
    policy = Policy(rescue=lambda target: Target(second, "other", "Other"))
    events = await collect(first, policy)
    assert events[0] == TextDelta("half ")
    assert isinstance(events[2], Notice)
    assert (events[2].kind, "Continued by Other" in events[2].text) == ("seam", True)
    assert events[3:] == [TextDelta("whole"), Finished()]
    (request,) = second.requests
    assert request.model == "other"
    assert [(m.role, m.text) for m in request.messages] == [("user", "hi"), ("assistant", "half ")]


async def test_rescue_is_bounded():
    """A provider that breaks each time is left after a few seams."""
    script = Script(*[[TextDelta("a"), CUT]] * 9)
    events = await collect(script, Policy(rescue=lambda target: target))
    assert events[-1] is CUT
    assert len(script.requests) == 1 + MAX_RESCUES
    assert [m.text for m in script.requests[-1].messages] == ["hi", "aa"]


async def test_rescue_of_a_continued_answer_sends_one_partial():
    """What was kept before and what came now are one assistant message."""
    kept = (TextPart("one "), NoticePart("continued", "…"))
    script = Script([TextDelta("two "), CUT], [TextDelta("three"), Finished()])
    await collect(script, Policy(rescue=lambda target: target), kept)
    assert [(m.role, m.text) for m in script.requests[1].messages] == [("user", "hi"), ("assistant", "one two ")]


async def test_rescue_counts_what_was_used_before():
    """The usage of the answer is that of both halves."""
    script = Script([TextDelta("a"), UsageReported(3, 1), CUT], [TextDelta("b"), UsageReported(5, 2), Finished()])
    events = await collect(script, Policy(rescue=lambda target: target))
    assert [event for event in events if isinstance(event, UsageReported)] == [UsageReported(3, 1), UsageReported(8, 3)]


@pytest.mark.parametrize("first", [[UsageReported(1)], [TextDelta("a"), ToolCallStarted("c", "f")]])
async def test_what_cannot_be_rescued(first: list[Event]):
    """Nothing said, or half a call: the error is the answer."""
    script = Script([*first, CUT], [TextDelta("b"), Finished()])
    assert (await collect(script, Policy(retries=0, rescue=lambda target: target)))[-1] is CUT
    assert len(script.requests) == 1
