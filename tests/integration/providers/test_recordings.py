"""Real streams, as they were recorded, through the real SDKs and our decoder."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest

from streamchat.chat import events as e
from streamchat.providers.anthropic import events as anthropic_events
from streamchat.providers.openai import chat_events, responses_events
from tests.integration.providers.replay import Reply, replay
from tests.support.long import LONG
from tests.unit.providers.asking import Heard, ask, crumbs, places_to_cut, read
from tests.unit.providers.recordings import FOLDER, Recording, digest, recordings

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="no recordings beside the checkout")
# Up to how many bytes a stream is cut in two at each.
SMALL = 5000 if LONG else 1500
STOP = {
    "end_turn": "stop",
    "stop": "stop",
    "completed": "stop",
    "tool_use": "tool-calls",
    "tool_calls": "tool-calls",
    "max_tokens": "length",
    "length": "length",
    "refusal": "refusal",
}
# Two answers in one stream: the SDKs' accumulators join them, which is what must never happen.
SPLICED = {"vercel-ai/anthropic__spliced-message-start.chunks.txt"}
# The SDK's accumulator gives a second message's arguments to a block of the first one.
MISREAD_ARGUMENTS = {
    "vercel-ai/anthropic__anthropic-tool-search-deferred-bm25.chunks.txt",
    "vercel-ai/anthropic__anthropic-tool-search-deferred-regex.chunks.txt",
}
# Content as a list of parts, which the SDK's types do not know: its text is there, but not for the SDK.
CONTENT_LISTS = {"vercel-ai/mistral__mistral-reasoning.chunks.txt"}

ALL = recordings()
every = pytest.mark.parametrize("recording", ALL, ids=[recording.name for recording in ALL])


@every
async def test_as_the_expectation_says(recording: Recording) -> None:
    """Text, reasoning, calls and the reason of the end are those of the expectation, over a real connection."""
    async with replay(Reply(recording.body)) as server:
        heard = await ask(recording.kind, server.url)
    told = recording.expected
    if recording.name in SPLICED:
        assert heard.error is not None
        assert heard.error.kind == "spliced"
        assert heard.reasoning == "I will call the tool."
        return
    if "raw_error" in told:
        assert heard.error is not None
        assert heard.reason is None
        return
    assert heard.error is None
    if recording.name in CONTENT_LISTS:
        assert (heard.text, len(heard.reasoning)) == ("2 + 2 = 4", 60)
        return
    assert (len(heard.text), digest(heard.text)) == (told["text_len"], told["text_sha1"])
    if (length := told.get("thinking_len", told.get("reasoning_len"))) is not None:
        assert len(heard.reasoning) == length
    _same_calls(recording, heard)
    _same_reason(told, heard)


def _same_calls(recording: Recording, heard: Heard) -> None:
    helper = recording.expected.get("helper") or {}
    if (names := helper.get("calls")) is not None:
        assert [call.name for call in heard.ours] == names
    for call, (name, arguments) in zip(heard.ours, helper.get("tools", ()), strict="tools" in helper):
        assert call.name == name
        if isinstance(arguments, str):
            assert call.raw == arguments
        elif heard.reason == "length":
            assert (call.arguments, call.state) == (None, "invalid")
        elif recording.name not in MISREAD_ARGUMENTS:
            assert call.arguments == arguments


def _same_reason(told: dict[str, Any], heard: Heard) -> None:
    helper = told.get("helper") or {}
    want = STOP[(told.get("finish") or [helper.get("stop") or helper.get("status") or "stop"])[-1]]
    if want == "stop" and helper.get("calls"):
        want = "tool-calls"
    if want == "stop" and helper.get("refusal"):
        want = "refusal"
    assert heard.reason == want


@every
async def test_usage_is_what_the_provider_counted(recording: Recording) -> None:
    """The last counts in the stream are reported, once, before the end."""
    heard = await read(recording.kind, [recording.body])
    reports = [event for event in heard.events if isinstance(event, e.UsageReported)]
    counted = [found for event in recording.events if (found := _usage(event))]
    assert len(reports) == (1 if counted else 0)
    if counted and heard.error is None:
        told: dict[str, Any] = {}
        for usage in counted:
            told |= {name: count for name, count in usage.items() if count is not None}
        # Anthropic counts what went through its cache beside the input.
        beside = sum(told.get(f"cache_{what}_input_tokens", 0) for what in ("read", "creation"))
        assert reports[0].input == _count(told, "input_tokens", "prompt_tokens") + beside
        assert reports[0].output == _count(counted[-1], "output_tokens", "completion_tokens")


def _usage(event: Any) -> dict[str, Any] | None:
    inner = event.get("response") or event.get("message") or {}
    return event.get("usage") or inner.get("usage")


def _count(usage: dict[str, Any], *names: str) -> int:
    return next(usage[name] for name in names if name in usage)


@pytest.fixture
def _no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading byte by byte takes long on a slow machine: how long a complete answer lingers is not what is tested."""
    for module in (anthropic_events, chat_events, responses_events):
        for name in ("LINGER", "LINGER_AFTER_STOP"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, 3600.0)


@every
@pytest.mark.usefixtures("_no_hurry")
async def test_split_blind(recording: Recording) -> None:
    """The same events, byte by byte; cut in two at every place where that is short, else at random places."""
    body, kind = recording.body, recording.kind
    whole = await read(kind, [body])
    single = await read(kind, crumbs(body))
    assert (single.events, str(single.error)) == (whole.events, str(whole.error))
    if len(body) <= SMALL:
        cuts = [[at] for at in places_to_cut(body)]
    else:
        chance = random.Random(len(body))
        cuts = [sorted(chance.sample(range(len(body)), 9)) for _ in range(6)]
    for cut in cuts:
        heard = await read(kind, [body[a:b] for a, b in pairwise([0, *cut, len(body)])])
        assert (heard.events, str(heard.error)) == (whole.events, str(whole.error))


@every
async def test_a_prefix_is_never_finished(recording: Recording) -> None:
    """Cut anywhere before its end, an answer is broken off with a sentence, and what came is kept."""
    whole = await read(recording.kind, [recording.body])
    chance = random.Random(recording.name)
    for _ in range(8):
        end = chance.randrange(len(recording.body))
        heard = await read(recording.kind, [recording.body[:end]])
        assert whole.text.startswith(heard.text)
        assert (heard.error is None) == (heard.reason is not None)
        if heard.error is not None:
            assert str(heard.error).endswith((".", "”"))


@every
async def test_every_fact_is_said_once(recording: Recording) -> None:
    """Each call starts once, is settled before the end, and nothing follows the end."""
    heard = await read(recording.kind, [recording.body])
    started = [event.call_id for event in heard.events if isinstance(event, e.ToolCallStarted)]
    assert len(started) == len(set(started))
    if heard.error is None:
        assert isinstance(heard.events[-1], e.Finished)
        assert sum(isinstance(event, e.Finished) for event in heard.events) == 1
        settled = {event.call_id for event in heard.events if isinstance(event, e.ToolCallReady | e.ToolResult)}
        assert set(started) <= settled


@pytest.mark.parametrize("name", ["openai-reasoning-encrypted", "azure-reasoning-encrypted"])
async def test_several_answers_in_a_row(name: str) -> None:
    """A stream of complete answers behind one another is read to its end; earlier calls are not left open."""
    recording = next(r for r in ALL if name in r.name)
    heard = await read(recording.kind, [recording.body])
    assert heard.reason == "stop"
    assert [call.state for call in heard.ours] == ["stopped"] * 3
