"""What goes in comes out: every part, every character, and damage stays where it is."""

from __future__ import annotations

import json
import math
import types
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text as sql

from streamchat.chat.events import UsageReported
from streamchat.chat.messages import (
    ErrorInfo,
    FilePart,
    ImagePart,
    Message,
    NoticePart,
    Part,
    ReasoningPart,
    SourcePart,
    TextPart,
    ToolCallPart,
)
from streamchat.chat.request import NewRun
from streamchat.storage import Storage
from streamchat.storage.mapping import dumps, loads, message_from_columns, message_to_columns
from tests.support.storing import save

EVERY_PART: tuple[Part, ...] = (
    TextPart("plain"),
    ReasoningPart("because", {"signature": "c2ln", "redacted": [1, 2, {"deep": None}]}),
    ToolCallPart(
        "call_1",
        "add",
        raw='{"a": 1, "b": [',
        arguments={"a": 1, "b": [1.5, None, True, "x"]},
        state="done",
        progress=("one", "two"),
        result={"sum": 3, "big": 10**30},
        by_provider=True,
        opaque={"item_id": "fc_1"},
    ),
    ToolCallPart("call_2", "mail", raw="{", state="denied", error="Denied."),
    SourcePart("https://example.org/?a=1&b=2", "An <i>example</i>", {"index": 0}),
    NoticePart("retrying", "Retrying 2/3.", {"attempt": 2, "of": 3}, {"hidden": 1}),
    ImagePart("image/png", "aGVsbG8=", "a.png"),
    FilePart("notes.md", "# Notes\r\n\ttab", "text/markdown"),
)
EVERYTHING = Message(
    "m1",
    "assistant",
    EVERY_PART,
    "failed",
    "openai:gpt-x",
    "max_tokens",
    ErrorInfo("Too many requests.", "rate-limited", False, 12.5),
    UsageReported(10, 20, None, 0),
    {"response_id": "resp_1", "nested": {"a": [1, "ü"]}},
)
CHARACTERS = {
    "emoji": "👩‍👩‍👧‍👦 🇩🇪 é 漢字 \u200f\u202e",
    "quotes": "\"'\\ \\u0041 \\ud83d ${x} %s :name ?",
    "lines": "a\r\nb\rc\u2028d\u2029e\x0b\x1b[31m",
    "nul": "a\0b\0",
    "lone surrogates": "\ud83d alone \ude00, backwards \ude00\ud83d",
    "not a character": "\uffff\ufffe\U0010ffff\ufffd",
    "empty": "",
}


async def through(storage: Storage, message: Message) -> Message:
    """The message after it was stored and read."""
    begun = await storage.begin(
        "local", NewRun(client_message_id="c", parts=[TextPart("q")], model=message.model), worker="w"
    )
    assert await storage.end(replace(message, id=begun.run_id), 1)
    stored = (await storage.answer("local", begun.run_id)).message
    assert (await storage.conversation("local", begun.conversation_id)).messages[1] == stored
    return replace(stored, id=message.id)


async def test_every_part_comes_back(storage: Storage) -> None:
    """All kinds of parts with all their fields, opaque provider data, error and usage: equal after storage."""
    assert {type(part) for part in EVERY_PART} == set(Part.__args__)  # pyrefly: ignore[missing-attribute]
    assert await through(storage, EVERYTHING) == EVERYTHING


@pytest.mark.parametrize("name", CHARACTERS)
async def test_every_character_comes_back(storage: Storage, name: str) -> None:
    """Text, keys and opaque values alike; also NUL and half pairs, which neither database can hold as text."""
    text = CHARACTERS[name]
    call = ToolCallPart("t", "f", raw=text, arguments={text or "k": text}, state="done", result=[text])
    message = Message("m", "assistant", (TextPart(text), call), "finished", "m:x", opaque={"sig": text})
    assert await through(storage, message) == message


async def test_a_megabyte_comes_back(storage: Storage) -> None:
    """1 MB in an answer and 1 MB in a question."""
    big = "0123456789abcde漢" * 65_536
    begun = await storage.begin("local", NewRun(client_message_id="c", parts=[TextPart(big)], model="m:x"), worker="w")
    await save(storage, [(replace(begun.answer, parts=(TextPart(big),)), 5)])
    messages = (await storage.conversation("local", begun.conversation_id)).messages
    assert [m.text == big for m in messages] == [True, True]
    assert len(begun.title) <= 60


async def test_the_question_comes_back(storage: Storage) -> None:
    """Pictures and files that a person sent, and strange characters in names and model ids."""
    parts = (TextPart("a\0\ud83d"), ImagePart("image/png", "aGk=", "\0.png"), FilePart("\ud83d.txt", "x\0"))
    begun = await storage.begin("local", NewRun(client_message_id="c", parts=parts, model="m:\0\ud83d"), worker="w\0")
    conversation = await storage.conversation("local", begun.conversation_id)
    assert conversation.messages[0].parts == parts
    assert conversation.messages[1].model == "m:\ufffd"
    assert conversation.title == "a"


texts = st.text(st.characters(exclude_categories=()), max_size=20)  # surrogates included
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
parts = st.lists(
    st.builds(TextPart, texts)
    | st.builds(ReasoningPart, texts, st.none() | st.dictionaries(texts, values, max_size=2))
    | st.builds(ToolCallPart, texts, texts, texts, st.none() | st.dictionaries(texts, values), result=values),
    max_size=4,
)


@given(parts)
def test_any_parts_come_back(given_parts: list[Part]) -> None:
    """Property: to columns, to JSON and back is the identity."""
    message = replace(EVERYTHING, parts=tuple(given_parts))
    columns = {name: loads(dumps(value)) for name, value in message_to_columns(message).items()}
    told = {"id": message.id, "role": message.role, "model": message.model}
    assert message_from_columns({**columns, **told}) == message


@given(values)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_json_is_what_databases_take(value: Any) -> None:
    """Property: valid UTF-8, no NUL, strict JSON, and equal when read by anybody's decoder."""
    told = dumps(value)
    assert "\0" not in told
    assert json.loads(told.encode("utf-8"), parse_constant=lambda name: pytest.fail(name)) == value


def test_what_json_has_no_word_for() -> None:
    """A strange value in a tool's result is stored as its nearest; the answer is not lost for it."""
    told = loads(
        dumps({"nan": math.nan, "inf": [math.inf], "set": {1}, "map": types.MappingProxyType({"a": 1}), 1: b"x"})
    )
    assert told == {"nan": None, "inf": [None], "set": [1], "map": {"a": 1}, "1": "b'x'"}
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert "…" in dumps({"deep": deep})
    assert loads(dumps({("a", 1): 2})) == {"('a', 1)": 2}


@pytest.mark.parametrize(
    "parts", ['[{"type":"text","text":"kept"},{"type":"hologram"},7,null]', '{"type":"text"}', "null", '"x"']
)
async def test_an_unreadable_part_spoils_nothing_else(storage: Storage, parts: str) -> None:
    """A part from a newer version, or a damaged one, is a notice; the rest of the conversation still loads."""
    begun = await storage.begin("local", NewRun(client_message_id="c", parts=[TextPart("q")], model="m:x"), worker="w")
    statement = sql("UPDATE message SET parts = :parts, usage = '[]', error = '{\"a\": 1}' WHERE id = :id")
    values = {"parts": parts, "id": begun.run_id}
    await storage._database.write(lambda connection: connection.execute(statement, values))
    question, answer = (await storage.conversation("local", begun.conversation_id)).messages
    assert question.text == "q"
    assert any(isinstance(part, NoticePart) and part.kind == "unreadable" for part in answer.parts)
    assert (answer.text, answer.error, answer.usage) == ("kept" if "kept" in parts else "", None, None)


async def test_a_damaged_row_spoils_nothing_else(tmp_path) -> None:
    """SQLite takes any bytes as JSON: such a row reads as unreadable too."""
    storage = Storage(f"sqlite:///{tmp_path / 'x.db'}")
    await storage.open()
    begun = await storage.begin("local", NewRun(client_message_id="c", parts=[TextPart("q")], model="m:x"), worker="w")
    statement = sql('UPDATE message SET parts = \'[{"type": "te\' WHERE id = :id')
    await storage._database.write(lambda connection: connection.execute(statement, {"id": begun.run_id}))
    question, answer = (await storage.conversation("local", begun.conversation_id)).messages
    assert question.text == "q"
    assert isinstance(answer.parts[0], NoticePart)
    await storage.close()
