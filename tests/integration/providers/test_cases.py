"""What servers really send: streams rebuilt from bug reports, with what they must give."""

from __future__ import annotations

from typing import Any

import pytest

from streamchat.errors import StreamBroken
from streamchat.providers.anthropic import events as anthropic_events
from streamchat.providers.openai import chat_events, responses_events
from tests.integration.providers.replay import Reply, replay
from tests.unit.providers.asking import Heard, ask, crumbs, places_to_cut, read
from tests.unit.providers.cases import FOLDER, Case, cases

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="no cases beside the checkout")

# Text that was sent is never taken back. So docs/providers.md says: the tag and what stands before it stay.
TEXT_STAYS = {"text": "The user greets me.\n</think>\n\nHello!", "reasoning": ""}


def _each(chosen: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", chosen, ids=[case.name for case in chosen])


def _expected(case: Case) -> list[dict[str, Any]]:
    """Every outcome that is right."""
    more = TEXT_STAYS if case.name.endswith("-only-the-closing-tag") else {}
    return [{**expect, **more} for expect in case.expected]


ALL = cases()


@_each(ALL)
async def test_as_the_case_says(case: Case) -> None:
    """Status, text, thinking, calls that may run and the reason in an error are those of the case."""
    body: Any = case.body
    if pace := case.about.get("pace_ms", 0):
        body = [event + b"\n\n" for event in body.split(b"\n\n")]
    reply = Reply(body, case.about["status"], case.about["content_type"], between=pace / 1000)
    async with replay(reply) as server:
        heard = await ask(case.dialect, server.url)
    assert any(_fits(heard, expect) for expect in _expected(case)), (_summary(heard), case.about["expect"])


@_each([case for case in ALL if case.about["status"] == 200])
async def test_split_at_every_byte(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """However the bytes are cut in two, and one by one, the events are the same."""
    for module in (anthropic_events, chat_events, responses_events):
        for name in ("LINGER", "LINGER_AFTER_STOP"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, 3600.0)
    body = case.body
    whole = await read(case.dialect, [body])
    assert any(_fits(whole, expect) for expect in _expected(case)), (_summary(whole), case.about["expect"])
    single = await read(case.dialect, crumbs(body))
    assert (single.events, str(single.error)) == (whole.events, str(whole.error))
    for at in places_to_cut(body):
        cut = await read(case.dialect, [body[:at], body[at:]])
        assert (cut.events, str(cut.error)) == (whole.events, str(whole.error))


def _fits(heard: Heard, expect: dict[str, Any]) -> bool:
    told = _summary(heard)
    return (
        told["status"] in (expect["status"], *expect.get("status_also", ()))
        and all(told[name] == expect[name] for name in ("text", "reasoning", "tool_calls"))
        and all(word in told["error"] for word in expect["error_contains"])
        and told["stop_reason"] == expect.get("stop_reason", told["stop_reason"])
    )


def _summary(heard: Heard) -> dict[str, Any]:
    status = "finished" if heard.error is None else "interrupted" if isinstance(heard.error, StreamBroken) else "failed"
    ready = [call for call in heard.ours if call.state == "ready"]
    return {
        "status": status,
        "text": heard.text,
        "reasoning": heard.reasoning,
        "tool_calls": [{"name": call.name, "arguments": call.arguments} for call in ready],
        "error": str(heard.error or ""),
        "stop_reason": heard.reason,
    }
