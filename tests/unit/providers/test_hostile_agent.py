"""Whatever an agent sends over AG-UI: an answer or an error of ours, and values that can be stored."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from streamchat.chat.json_depth import MAX_DEPTH
from streamchat.providers.ag_ui.events import AgUiNormaliser
from tests.unit.providers import wire
from tests.unit.providers.asking import Heard, read
from tests.unit.providers.test_hostile import ODD, changed, check, places, quick

FORM = {"type": "object", "properties": {"approved": {"type": "boolean"}, "editedArgs": {"type": "object"}}}
RUN = {"threadId": "t", "runId": "r"}
EVENTS: list[dict[str, Any]] = [
    {"type": "RUN_STARTED", **RUN},
    {"type": "STATE_SNAPSHOT", "snapshot": {"a": [1]}},
    {"type": "REASONING_MESSAGE_CONTENT", "messageId": "r", "delta": "Hm."},
    {"type": "TEXT_MESSAGE_START", "messageId": "m", "role": "assistant"},
    {"type": "TEXT_MESSAGE_CONTENT", "messageId": "m", "delta": "Some text."},
    {"type": "TEXT_MESSAGE_END", "messageId": "m"},
    {"type": "TOOL_CALL_START", "toolCallId": "c", "toolCallName": "look", "parentMessageId": "m"},
    {"type": "TOOL_CALL_ARGS", "toolCallId": "c", "delta": '{"what": 1}'},
    {"type": "TOOL_CALL_END", "toolCallId": "c"},
    {"type": "TOOL_CALL_RESULT", "toolCallId": "c", "messageId": "n", "content": "[1]"},
    {"type": "TOOL_CALL_CHUNK", "toolCallId": "d", "toolCallName": "ours", "delta": "{}"},
    {"type": "STATE_DELTA", "delta": [{"op": "copy", "from": "/a", "path": "/b"}, {"op": "remove", "path": "/a"}]},
    {"type": "MESSAGES_SNAPSHOT", "messages": [{"id": "a", "role": "assistant", "content": "Some text."}]},
    {"type": "CUSTOM", "name": "x", "value": 1},
    {
        "type": "RUN_FINISHED",
        **RUN,
        "outcome": {"type": "interrupt", "interrupts": [{"id": "i", "reason": "x", "responseSchema": FORM}]},
        "usage": [{"inputTokens": 1, "outputTokens": 2}],
    },
]


async def said(*events: Any) -> Heard:
    """What these events mean."""
    normaliser = AgUiNormaliser({}, {"ours"}, run_id="r")
    return await read("", [wire.frame(json.dumps(event)) for event in events], normaliser)


async def test_the_events_are_an_answer() -> None:
    """Without a change; otherwise the other tests say nothing."""
    heard = await said(*EVENTS)
    assert (heard.error, heard.text, heard.reason) == (None, "Some text.", "interrupt")
    check(heard)


@quick
@given(data=st.data())
async def test_any_value_anywhere(data: st.DataObject) -> None:
    """Fields of another type, missing or absurd."""
    events = list(EVENTS)
    for _ in range(data.draw(st.integers(1, 3))):
        index = data.draw(st.integers(0, len(events) - 1))
        path = data.draw(st.sampled_from(places(events[index])))
        events[index] = changed(events[index], path, data.draw(ODD), data.draw(st.booleans()))
    check(await said(*events))


@quick
@given(chosen=st.lists(st.sampled_from(range(len(EVENTS))), max_size=2 * len(EVENTS)))
@example(chosen=[0, 14, 14])
@example(chosen=[0, 0])
@example(chosen=[14])
async def test_events_in_any_order(chosen: list[int]) -> None:
    """Lost, doubled and shuffled."""
    check(await said(*(EVENTS[index] for index in chosen)))


async def test_each_place_with_each_odd_value() -> None:
    """Not by chance alone."""
    deep: Any = 1
    for _ in range(MAX_DEPTH + 50):
        deep = {"properties": deep}
    for index, event in enumerate(EVENTS):
        for path in places(event):
            for odd in (None, 1, "x", [], {}, [1], {"type": 1}, [[]], 2**70, "\ud83d", deep, "x" * 100_000):
                check(await said(*EVENTS[:index], changed(event, path, odd, False), *EVENTS[index + 1 :]))
