"""Tools for models that have none of their own: the answer is JSON that fits a schema, and is read as it arrives."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamchat.chat import events as e
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message, TextPart, ToolCallPart
from streamchat.chat.request import Request, ToolSpec
from streamchat.providers.schema_reply import ReplyReader
from streamchat.providers.schema_tools import SchemaTools, with_schema

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
ADD = ToolSpec("add", "Adds.", {"type": "object", "properties": {"a": {"type": "integer"}}})


def read(pieces: list[str]) -> Message:
    reader = ReplyReader("c")
    message = Message("m", "assistant", status="streaming")
    events = [event for piece in pieces for event in reader.add(piece)]
    return fold(message, [*events, *reader.end()])


def cut(text: str, places: list[int]) -> list[str]:
    edges = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[a:b] for a, b in zip(edges, edges[1:], strict=False)]


@given(TEXT, st.booleans(), st.lists(st.integers(0, 10_000), max_size=30))
def test_a_reply_is_the_same_however_it_is_cut(text: str, escaped: bool, places: list[int]):
    """Escapes and surrogate pairs that are cut in two are joined; nothing is said twice or lost."""
    written = json.dumps({"reply": text}, ensure_ascii=escaped)
    assert read(cut(written, places)).text == text


@given(st.dictionaries(TEXT, VALUES, max_size=4), st.lists(st.integers(0, 10_000), max_size=30))
def test_a_call_is_the_same_however_it_is_cut(arguments: dict, places: list[int]):
    """Its fragments join to its arguments, without what closes the object around them."""
    message = read(cut(json.dumps({"tool": "add", "arguments": arguments}), places))
    (call,) = message.parts
    assert isinstance(call, ToolCallPart)
    assert (call.state, call.name, call.arguments) == ("ready", "add", arguments)


@pytest.mark.parametrize("arguments", ['{"a": 1,', "[]", "null", '"x"', '{"a": NaN}', '{"a":' * 20_000, '{"a" 1}'])
def test_arguments_that_are_no_object_are_invalid(arguments: str):
    """Cut off, of another kind, not JSON, or too deep: an invalid call, and no exception."""
    (call,) = read(['{"tool": "add", "arguments": ', arguments, "}"]).parts
    assert isinstance(call, ToolCallPart)
    assert call.state == "invalid"


@pytest.mark.parametrize("text", ["Hello {", '{"other": 1}', '["reply"]', "", '{"reply": 5}'])
def test_what_is_neither_is_said_as_it_is(text: str):
    """A model that was not held to the schema still speaks."""
    assert read(list(text)).text == text


def test_a_reply_is_said_while_it_arrives():
    """Piece by piece, not at the end."""
    reader = ReplyReader("c")
    said = [list(reader.add(piece)) for piece in ('{"reply": "one', " two", '\\nthree"', "}")]
    assert said == [[e.TextDelta("one")], [e.TextDelta(" two")], [e.TextDelta("\nthree")], []]


class Scripted:
    """Says this text and ends."""

    def __init__(self, text: str, reason: str = "stop") -> None:
        self.text, self.reason, self.requests = text, reason, []

    async def stream(self, request: Request) -> AsyncGenerator[e.Event, None]:
        self.requests.append(request)
        for piece in self.text:
            yield e.TextDelta(piece)
        yield e.Finished(self.reason)

    async def close(self) -> None: ...


async def told(provider: Scripted, *messages: Message, tools: tuple[ToolSpec, ...] = (ADD,)) -> list[e.Event]:
    request = Request("m", messages or (Message("u", "user", (TextPart("hi"),)),), tools=tools)
    return [event async for event in SchemaTools(provider).stream(request)]


async def test_a_call_ends_as_one():
    """The stop reason says that tools are due, which is what runs them; not where the answer was cut."""
    call = '{"tool": "add", "arguments": {"a": 1}}'
    assert (await told(Scripted(call)))[-1] == e.Finished("tool-calls")
    assert (await told(Scripted(call, "length")))[-1] == e.Finished("length")
    assert (await told(Scripted('{"reply": "no"}')))[-1] == e.Finished("stop")


async def test_without_tools_nothing_is_changed():
    """The request and what is said pass as they are; so where an answer is only to be continued."""
    plain = Scripted('{"reply": "raw"}')
    assert "".join(x.text for x in await told(plain, tools=()) if isinstance(x, e.TextDelta)) == '{"reply": "raw"}'
    partial = Message("a", "assistant", (TextPart("Half an ans"),), status="interrupted")
    assert "".join(
        x.text for x in await told(Scripted("wer"), Message("u", "user", (TextPart("hi"),)), partial)
        if isinstance(x, e.TextDelta)
    ) == "wer"  # fmt: skip


def test_earlier_calls_are_told_in_words():
    """The model reads what it called and what came back, in turns that alternate, and the schema names every tool."""
    done = ToolCallPart("c1", "add", arguments={"a": 1}, state="done", result=2)
    denied = ToolCallPart("c2", "add", arguments={"a": 2}, state="denied", error="no")
    asked = (Message("u", "user", (TextPart("add"),)), Message("a", "assistant", (TextPart("Well. "), done, denied)))
    request = with_schema(Request("m", asked, tools=(ADD,)))
    assert [m.role for m in request.messages] == ["user", "assistant", "user", "assistant", "user"]
    assert '"arguments": {"a": 1}' in request.messages[1].text
    assert request.messages[2].text.endswith("2")
    assert "no" in request.messages[4].text
    assert request.tools == ()
    assert request.options.schema
    assert [one["properties"] for one in request.options.schema["anyOf"]][0]["tool"] == {"const": "add"}
