"""Nothing that a provider sends costs more than its length: fragments, reasons, error texts, nesting."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamchat.chat import events as e
from streamchat.chat.json_depth import MAX_DEPTH, TooDeep, is_too_deep, parse_json
from streamchat.chat.partial_json import _MAY_BE_HUGE
from streamchat.errors import StreamBroken
from streamchat.protocols.conversation_in import call_part
from streamchat.protocols.encoding import json_bytes
from streamchat.protocols.page.tool_views import exact
from streamchat.providers.event_builder import EventBuilder, Limits
from streamchat.providers.finish_reasons import MAX_REASON, sort_reason
from streamchat.providers.openai.chat_events import ChatNormaliser
from streamchat.providers.provider_errors import ErrorContext, from_event, redact
from streamchat.providers.schema_reply import _MAX_CLOSING, ReplyReader
from streamchat.providers.tolerant_json import JSONDepth, decode, decode_object, read_arguments

json_values = st.recursive(
    st.none() | st.integers() | st.text(alphabet='a"\\{}[]é', max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('k"\\{', max_size=3), inner, max_size=3),
    max_leaves=8,
)


def nested(depth: int, kind: str = "list") -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if kind == "list" else {"a": value}
    return value


@given(value=st.dictionaries(st.text("ab", max_size=2), json_values, max_size=3), data=st.data())
def test_an_object_is_closed_at_its_last_brace_only(value: dict[str, Any], data: st.DataObject) -> None:
    """However the text is cut: inside strings, and between a backslash and what it escapes."""
    text = json.dumps(value, ensure_ascii=data.draw(st.booleans()))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8)))
    pieces: list[str] = []
    depth = JSONDepth()
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        if text[start:end]:
            pieces.append(text[start:end])
            assert depth.is_closed(pieces) is (end == len(text))


@pytest.mark.parametrize(
    "text", ['{"' + '\\"' * 9 + '"}', "{" + '"":[],' * 9 + '"a":{}}', '{"a":"' + "\\\\" * 8 + '"}']
)
def test_each_character_by_itself(text: str) -> None:
    depth, pieces = JSONDepth(), []
    for char in text:
        pieces.append(char)
        assert depth.is_closed(pieces) is (len(pieces) == len(text))


@pytest.mark.parametrize("filler", ["}", " ", "\n}", "} }"])
def test_what_may_close_a_call_is_held_back_up_to_a_limit(filler: str) -> None:
    """Each piece is looked at from its end; a long run of braces and space does not wait for the rest."""
    reader = ReplyReader("c")
    fragments = []
    for piece in ('{"tool": "t", "arguments": {"a": 1', *[filler * 500] * 100, "x"):
        for event in reader.add(piece):
            if isinstance(event, e.ToolCallArguments):
                fragments.append(event.fragment)
        assert len(reader._pending) <= _MAX_CLOSING
    assert "".join(fragments) == '{"a": 1' + filler * 500 * 100 + "x"
    assert [event.state for event in reader.end() if isinstance(event, e.ToolResult)] == ["invalid"]


@pytest.mark.parametrize("reason", ["x_" * 10**6, "insufficient_" * 10**5, "_filte" * 10**5, " " * 10**6])
def test_only_the_beginning_of_a_reason_is_read(reason: str) -> None:
    assert len(sort_reason(reason)) <= MAX_REASON
    normaliser = ChatNormaliser()
    normaliser.feed("", {"choices": [{"delta": {"content": "hi"}, "finish_reason": reason}]})
    normaliser.finish()
    (end,) = [event for event in normaliser.builder.drain() if isinstance(event, e.Finished)]
    assert len(end.reason) <= MAX_REASON


@pytest.mark.parametrize("text", ["a*" * 10**6, "*" * 10**6, "a " * 10**6, "bearer " * 10**6, "model " * 10**6])
def test_only_the_beginning_of_an_error_is_read(text: str) -> None:
    error = from_event({"error": {"type": text, "code": text, "message": text}}, ErrorContext("http://127.0.0.1"))
    assert len(str(error)) < 500


def test_a_masked_key_is_hidden_wherever_it_stands() -> None:
    context = ErrorContext("http://127.0.0.1")
    for text in ("abc***def", "key: ab***", "x/abc****", "a" * 100 + "***b"):
        assert "***" not in redact(text, context)
        assert redact(f"well {text} done", context).startswith("well")


def test_digits_are_scanned_once() -> None:
    """A long number is found from its first digit on, not from each of them again."""
    assert _MAY_BE_HUGE.search("[" + "9" * 300 + "]")
    assert _MAY_BE_HUGE.search("9" * 299 + ",") is None
    assert _MAY_BE_HUGE.pattern.count(r"(?<!\d)") == 1


def test_arguments_of_one_call_are_limited() -> None:
    builder = EventBuilder(limits=Limits(arguments=100))
    first, second = builder.call("a", "f"), builder.call("b", "f")
    builder.arguments(first, "x" * 60)
    builder.arguments(second, "x" * 60)
    with pytest.raises(StreamBroken):
        builder.arguments(first, "x" * 41)


@pytest.mark.parametrize("kind", ["list", "object"])
@pytest.mark.parametrize("depth", [600, 5000, 100_000])
def test_nesting_has_one_limit_at_every_entrance(kind: str, depth: int) -> None:
    """Arguments, events with halves of characters, and what a client says that a model called."""
    opens, closes = ("[", "]") if kind == "list" else ('{"a":', "}")
    text = f'{{"a":{opens * depth}1{closes * depth}}}'
    assert decode_object(text) is None
    assert read_arguments([text]) is None
    assert read_arguments([json.dumps(text)]) is None
    assert call_part("c", "f", text).arguments is None
    for raw in (text, text.replace("1", '"\\ud83d"', 1)):
        with pytest.raises(ValueError):  # noqa: PT011 the decoders' one error
            decode(raw.encode())
    with pytest.raises(ValueError):  # noqa: PT011
        parse_json(text)


def test_what_is_within_the_limit_passes_everywhere() -> None:
    value = {"a": nested(MAX_DEPTH - 1)}
    assert decode_object(json.dumps(value)) == value
    assert call_part("c", "f", json.dumps(value)).arguments == value
    assert not is_too_deep(value)
    assert json.loads(json_bytes(value)) == value
    assert exact(value) is value


def test_half_a_character_is_no_fault_of_the_server():
    """In text, where no JSON has one, and as an escape, where it may be."""
    assert call_part("c", "f", "\ud800").arguments is None
    assert call_part("c", "f", '{"a": "\ud800"}').arguments == {"a": "\ufffd"}
    assert parse_json('"\ud800"') == "\ud800"
    with pytest.raises(ValueError, match="JSON|Expecting"):
        parse_json("\ud800")


@pytest.mark.parametrize("kind", ["list", "object"])
@pytest.mark.parametrize("depth", [255, 600, 900])
def test_an_older_value_that_is_nested_deeper_is_cut(kind: str, depth: int) -> None:
    """Readers do not fail because of it: it was stored before there was a limit."""
    value = nested(depth, kind)
    for cut in (json.loads(json_bytes({"v": value, "n": float("nan")})), exact({"v": value, "n": 2**60})):
        assert not is_too_deep(cut, MAX_DEPTH + 1)
        assert cut["n"] in (None, str(2**60))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("before", ['"a"', '"\\ud83d"', "NaN"])
def test_no_encoding_and_no_half_of_a_character_gets_around_it(encoding: str, before: str) -> None:
    """What only the standard parser reads is counted afterwards."""
    deep = f"[{before}, {'[' * 600}{']' * 600}]".encode(encoding)
    with pytest.raises(TooDeep):
        parse_json(deep)
    assert len(parse_json(f"[{before}, {'[' * 100}{']' * 100}]".encode(encoding))) == 2


def test_depth_is_counted_without_recursion() -> None:
    for kind in ("list", "object"):
        assert not is_too_deep(nested(MAX_DEPTH, kind))
        assert is_too_deep(nested(100_000, kind))
