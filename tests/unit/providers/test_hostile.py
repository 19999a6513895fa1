"""Whatever a server sends: the project's own errors and nothing else, and text that can be stored."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streamchat.chat import events as e
from streamchat.chat.fold import fold
from streamchat.chat.wire import event_from_wire, event_to_wire, message_to_wire
from tests.support.long import examples
from tests.unit.providers import wire
from tests.unit.providers.asking import EMPTY, KINDS, read

both = pytest.mark.parametrize("kind", KINDS)
quick = settings(deadline=None, max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow])

TOOLS = {
    "chat": wire.tool(index=0, id="a", name="f", arguments='{"x": 1}')
    + wire.chat({"reasoning": "r", "annotations": [{"url_citation": {"url": "u", "title": "t"}}]})
    + wire.chat({"refusal": "no", "reasoning_details": [{"type": "reasoning.text", "text": "x", "index": 0}]})
    + wire.chat({"content": [{"type": "text", "text": "x"}]}, citations=["u"], search_results=[{"url": "u"}]),
    "responses": wire.typed(
        "response.output_item.added", output_index=1, item={"type": "function_call", "call_id": "c"}
    )
    + wire.typed("response.function_call_arguments.delta", output_index=1, delta="{}")
    + wire.typed(
        "response.output_item.done",
        output_index=2,
        item={"type": "mcp_call", "id": "m", "output": {}, "arguments": "{}"},
    )
    + wire.typed("response.reasoning_summary_text.delta", output_index=3, summary_index=0, delta="r")
    + wire.typed("response.output_item.done", output_index=3, item={"type": "reasoning", "encrypted_content": "x"})
    + wire.typed("response.output_text.annotation.added", output_index=0, annotation={"url": "u", "title": "t"}),
    "anthropic": wire.block(1, "tool_use", ({"type": "input_json_delta", "partial_json": "{}"},), id="t", name="f")
    + wire.block(2, "server_tool_use", id="s", name="f", input={"a": 1})
    + wire.block(3, "web_search_tool_result", tool_use_id="s", content=[{"url": "u"}])
    + wire.block(4, "thinking", ({"type": "signature_delta", "signature": "s"},), thinking="r")
    + wire.block(5, "text", ({"type": "citations_delta", "citation": {"url": "u", "title": "t"}},), text="x")
    + wire.block(6, "hologram", beams=1),
}

ODD = st.recursive(
    st.sampled_from([None, True, 0, -1, 2**70, 1.5, "", "x", "index", "\ud83d", "\ude00", {}, []]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["type", "text", "id"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def events_of(kind: str) -> list[tuple[str, Any]]:
    body = wire.said(kind, "a", "b") + TOOLS[kind] + wire.finish(kind) + wire.marker(kind)
    found = []
    for part in body.split(b"\n\n"):
        name = part.split(b"\n")[0][7:].decode() if part.startswith(b"event: ") else ""
        data = part.rpartition(b"data: ")[2]
        if data and data != b"[DONE]":
            found.append((name, json.loads(data)))
    return found


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in inner for place in places(item, (*path, key)))]


def changed(value: Any, path: tuple[Any, ...], odd: Any, remove: bool) -> Any:
    if not path:
        return odd
    value = copy.deepcopy(value)
    holder = value
    for key in path[:-1]:
        holder = holder[key]
    if remove and isinstance(holder, dict):
        del holder[path[-1]]
    else:
        holder[path[-1]] = odd
    return value


def check(heard: Any) -> None:
    """Everything that came out can be stored and read again."""
    for event in heard.events:
        text = json.dumps(event_to_wire(event, public=False), ensure_ascii=False)
        text.encode()
        assert event_from_wire(json.loads(text)) == event
    json.dumps(message_to_wire(heard.message, public=False), ensure_ascii=False).encode()
    assert (heard.error is None) == isinstance(heard.events[-1] if heard.events else None, e.Finished)


@both
@quick
@given(data=st.data())
async def test_any_value_anywhere(kind: str, data: st.DataObject) -> None:
    """Fields of another type, missing or absurd: an answer or an error of ours."""
    events = events_of(kind)
    for _ in range(data.draw(st.integers(1, 3))):
        index = data.draw(st.integers(0, len(events) - 1))
        name, event = events[index]
        path = data.draw(st.sampled_from(places(event)))
        events[index] = name, changed(event, path, data.draw(ODD), data.draw(st.booleans()))
    check(await read(kind, [wire.frame(json.dumps(event), name) for name, event in events]))


@both
@quick
@given(data=st.data())
async def test_events_in_any_order(kind: str, data: st.DataObject) -> None:
    """Lost, doubled and shuffled events: an answer or an error of ours."""
    events = events_of(kind)
    chosen = data.draw(st.lists(st.sampled_from(range(len(events))), max_size=2 * len(events)))
    check(await read(kind, [wire.frame(events[i][1], events[i][0]) for i in chosen]))


@both
@quick
@given(body=st.binary(max_size=300), at=st.integers(0, 400))
async def test_any_bytes_anywhere(kind: str, body: bytes, at: int) -> None:
    """Garbage in the middle of a stream."""
    whole = wire.whole(kind, "a", "b")
    check(await read(kind, [whole[:at], body, whole[at:]]))


@both
async def test_a_whole_message_with_any_value(kind: str) -> None:
    """Messages that were not streamed are no more trusted."""
    base = wire.message(kind, "x")
    for path in places(base):
        for odd in (None, 1, "x", [], {}, [1], {"type": 1}, [[]]):
            heard = await read(kind, [json.dumps(changed(base, path, odd, False)).encode()])
            assert heard.error is None or heard.reason is None


@both
async def test_names_without_an_end(kind: str) -> None:
    """Names, ids, titles and addresses are as long as real ones may be, and no longer."""
    long = "n" * 1_000_000
    frames = {
        "chat": wire.tool(index=0, id=long, name=long, arguments="{}") + wire.chat(citations=["u", "h" + long]),
        "responses": wire.typed(
            "response.output_item.done", output_index=1, item={"type": "function_call", "call_id": long, "name": long}
        )
        + wire.typed("response.output_text.annotation.added", annotation={"url": "http://" + long}),
        "anthropic": wire.block(1, "tool_use", id=long, name=long, input={})
        + wire.block(2, "text", ({"type": "citations_delta", "citation": {"url": "u", "title": long}},)),
    }
    heard = await read(kind, [wire.said(kind) + frames[kind] + wire.finish(kind)])
    assert heard.error is None
    for event in heard.events:
        assert len(json.dumps(event_to_wire(event))) < 2000


@both
async def test_control_characters_in_an_error(kind: str) -> None:
    """A sentence is one line of plain text."""
    evil = "a\x1b[31m\u202eb\x00\n\nc\u200bd<script>alert(1)</script>" + "e" * 5000
    heard = await read(kind, [wire.said(kind, "a") + wire.error(kind, "x", evil)])
    sentence = str(heard.error)
    assert not [c for c in sentence if ord(c) < 32 or c in "\u202e\u200b"]
    assert "<script" not in sentence
    assert len(sentence) < 400


@both
async def test_merging_changes_nothing(kind: str) -> None:
    """Neighbouring deltas joined, in any grouping, fold to the same message."""
    heard = await read(kind, [wire.said(kind, *"abcdef") + TOOLS[kind] + wire.finish(kind) + wire.marker(kind)])
    joined: list[e.Event] = []
    for event in heard.events:
        if joined and (both_ := e.merge(joined[-1], event)) is not None:
            joined[-1] = both_
        else:
            joined.append(event)
    assert fold(EMPTY, joined) == fold(EMPTY, heard.events) == heard.message


@both
@pytest.mark.parametrize("escaped", [True, False])
async def test_every_byte_split_of_difficult_text(kind: str, escaped: bool) -> None:
    """CJK, emoji, joined and combining characters arrive whole, wherever the bytes are cut."""
    text = "漢字と仮名 👩🏽‍🚀👨‍👩‍👧 e\u0301 ñ 한국어 \u2028 ليلة 🏴󠁧󠁢󠁥󠁮󠁧󠁿"
    body = wire.whole(kind, *text)
    if not escaped:
        body = body.decode("unicode_escape").encode("utf-16", "surrogatepass").decode("utf-16").encode()
    whole = await read(kind, [body])
    assert (whole.text, whole.error) == (text, None)
    for step in (1, 2, 3):
        heard = await read(kind, [body[i : i + step] for i in range(0, len(body), step)])
        assert heard.events == whole.events
