"""Chat completions as the servers of the world really send them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamchat.chat import events as e
from streamchat.chat.messages import NoticePart, ReasoningPart, SourcePart, TextPart
from streamchat.providers.event_builder import Limits
from streamchat.providers.openai.chat_events import ChatNormaliser
from tests.unit.providers.asking import Heard, read
from tests.unit.providers.wire import chat, finish, frame, marker, tool


async def hear(*frames: bytes, end: str | None = "stop") -> Heard:
    tail = [finish("chat", end), marker("chat")] if end else []
    heard = await read("chat", [*frames, *tail])
    return heard


def calls(heard: Heard) -> list[tuple[str, str, Any]]:
    return [(call.id, call.name, call.arguments) for call in heard.calls]


@pytest.mark.parametrize("choices", [[], None, "absent"])
async def test_usage_without_choices(choices: Any) -> None:
    """The chunk with the counts has no choices, null or none at all."""
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 4,
        "prompt_tokens_details": {"cached_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    data = {"usage": usage} if choices == "absent" else {"usage": usage, "choices": choices}
    heard = await read("chat", [chat({"content": "a"}), finish("chat"), frame(data), marker("chat")])
    assert heard.events[-2:] == [e.UsageReported(9, 4, 5, 2), e.Finished("stop")]


@pytest.mark.parametrize("usage", [{}, {"prompt_tokens": None}, {"prompt_tokens": "4"}, None])
async def test_usage_that_says_little(usage: Any) -> None:
    """Counts that are missing or no numbers are unknown, not wrong."""
    heard = await read("chat", [chat({"content": "a"}), frame({"usage": usage, "choices": []}), finish("chat")])
    assert heard.error is None
    assert heard.message.usage in (None, e.UsageReported())


@pytest.mark.parametrize(
    "delta", [None, {}, {"content": None}, {"content": ""}, {"tool_calls": None}, {"refusal": None}]
)
async def test_deltas_that_say_nothing(delta: Any) -> None:
    """Null and empty deltas are nothing, not an error and not an event."""
    null = frame({"choices": [{"index": 0, "delta": None}]})
    heard = await hear(chat({"content": "a"}), chat(delta), null, chat({"content": "b"}))
    assert [event for event in heard.events if isinstance(event, e.TextDelta)] == [e.TextDelta("a"), e.TextDelta("b")]
    assert heard.reason == "stop"


async def test_only_the_first_choice_speaks() -> None:
    """Other choices, whatever their order, are not mixed in."""
    two = frame({"choices": [{"index": 1, "delta": {"content": "x"}}, {"index": 0, "delta": {"content": "a"}}]})
    assert (await hear(two, frame({"choices": [{"index": 1, "delta": {"content": "y"}}]}))).text == "a"


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content-filter"),
        ("eos", "stop"),
        ("something_new", "something_new"),
    ],
)
async def test_why_it_ended(word: str, reason: str) -> None:
    """Known reasons are ours, an unknown one is passed on in the provider's words."""
    heard = await hear(chat({"content": "a"}), end=word)
    assert (heard.reason, heard.error) == (reason, None)


async def test_done_without_a_reason_is_no_end() -> None:
    """The marker alone does not say that a model finished."""
    heard = await read("chat", [chat({"content": "a"}), marker("chat")])
    assert heard.error is not None
    assert (heard.error.kind, heard.text) == ("cut", "a")


async def test_refusal() -> None:
    """A refusal is said as one, and is not the text of an answer."""
    heard = await hear(chat({"refusal": "I am "}), chat({"refusal": "sorry."}))
    assert (heard.text, heard.reason) == ("", "refusal")
    assert heard.message.parts == (NoticePart("refusal", "I am sorry."),)


async def test_parallel_calls_interleaved() -> None:
    """Fragments go to the call of their index, calls stay in the order of their beginning."""
    heard = await hear(
        tool(index=0, id="a", name="f", arguments='{"x"'),
        tool(index=1, id="b", name="g", arguments='{"y"'),
        tool(index=0, arguments=": 1}"),
        tool(index=1, arguments=": 2}"),
        end="tool_calls",
    )
    assert calls(heard) == [("a", "f", {"x": 1}), ("b", "g", {"y": 2})]
    assert heard.reason == "tool-calls"


async def test_every_call_at_index_zero() -> None:
    """A new id at an occupied index is a new call."""
    heard = await hear(tool(index=0, id="a", name="f", arguments="{}"), tool(index=0, id="b", name="g", arguments="{}"))
    assert calls(heard) == [("a", "f", {}), ("b", "g", {})]
    same = await hear(
        tool(index=0, id="a", name="f", arguments='{"x": 1}'), tool(index=0, id="b", name="f", arguments='{"x": 2}')
    )
    assert calls(same) == [("a", "f", {"x": 1}), ("b", "f", {"x": 2})]
    split = await hear(
        tool(index=0, id="a", name="f", arguments=""),
        tool(index=0, id="b", name="g", arguments='{"x"'),
        tool(index=0, arguments=": 2}"),
    )
    assert calls(split) == [("a", "f", {}), ("b", "g", {"x": 2})]


async def test_an_id_that_changes_with_every_chunk() -> None:
    """A server that renames a call in the middle of its arguments has still one call."""
    for name in ({}, {"name": "f"}):
        heard = await hear(
            tool(index=0, id="a", name="f", arguments='{"x'),
            tool(index=0, id="b", arguments='": "}', **name),
            tool(index=0, id="c", arguments='"}', **name),
        )
        assert calls(heard) == [("a", "f", {"x": "}"})]


@pytest.mark.parametrize("index", [{}, {"index": None}])
async def test_no_index(index: dict[str, Any]) -> None:
    """An id begins a call, no id goes on with the last one."""
    heard = await hear(
        tool(id="a", name="f", arguments='{"x"', **index),
        tool(arguments=": 1}", **index),
        tool(id="b", name="g", arguments="", **index),
        tool(id="b", arguments='{"y": 2}', **index),
    )
    assert calls(heard) == [("a", "f", {"x": 1}), ("b", "g", {"y": 2})]


async def test_neither_index_nor_id() -> None:
    """Whole calls without any mark are told apart by their names, and get ids of ours."""
    heard = await hear(
        tool(name="f", arguments='{"x": 1}'), tool(name="f", arguments='{"x": 2}'), tool(name="g", arguments="{}")
    )
    assert [(call.name, call.arguments) for call in heard.calls] == [("f", {"x": 1}), ("f", {"x": 2}), ("g", {})]
    assert len({call.id for call in heard.calls}) == 3


async def test_index_starts_anywhere() -> None:
    """Indexes are names, not positions."""
    heard = await hear(tool(index=7, id="a", name="f", arguments="{}"), tool(index=1, id="b", name="g", arguments="{}"))
    assert [call.id for call in heard.calls] == ["a", "b"]


async def test_arguments_as_an_object_and_repeated_names() -> None:
    """Objects are taken as such; equal repeats of id and name are not added to them."""
    heard = await hear(
        tool(index=0, id="a", name="f", arguments={"x": [1, "ü"]}),
        tool(index=1, id="b", name="g", arguments='{"y"'),
        tool(index=1, id="b", name="g", arguments=": 1}"),
    )
    assert calls(heard) == [("a", "f", {"x": [1, "ü"]}), ("b", "g", {"y": 1})]


async def test_stop_with_calls_is_a_tool_turn() -> None:
    """Calls are there: it is a tool turn, whatever the reason says."""
    for end in ("stop", "tool_calls", "function_call"):
        assert (await hear(tool(index=0, id="a", name="f", arguments="{}"), end=end)).reason == "tool-calls"
    assert (await hear(chat({"content": "a"}), end="tool_calls")).reason == "stop"


async def test_name_after_id() -> None:
    """A call begins once its name is known; what came before is not lost."""
    heard = await hear(
        tool(index=0, id="a"), tool(index=0, arguments='{"x'), tool(index=0, name="f"), tool(index=0, arguments='": 1}')
    )
    assert calls(heard) == [("a", "f", {"x": 1})]
    nameless = await hear(tool(index=0, id="a", arguments="{}"))
    assert [(call.state, call.arguments) for call in nameless.calls] == [("invalid", None)]


async def test_old_function_call() -> None:
    """The shape from before tools existed."""
    heard = await hear(
        chat({"function_call": {"name": "f", "arguments": ""}}),
        chat({"function_call": {"arguments": '{"x": 1}'}}),
        end="function_call",
    )
    assert [(call.name, call.arguments) for call in heard.calls] == [("f", {"x": 1})]
    assert heard.reason == "tool-calls"


@pytest.mark.parametrize(
    "raw",
    ['{"x": ', "[]", "1", '"x"', "null", '{"x": NaN}', '{"x": 1}}', '{"x": 1} {}', '{"x": "\\ud800"}', "{'x': 1}"],
)
async def test_arguments_that_are_no_object(raw: str) -> None:
    """They never become ready: the call is invalid with a sentence, and the turn goes on."""
    heard = await hear(tool(index=0, id="a", name="f", arguments=raw), end="tool_calls")
    (call,) = heard.calls
    assert (call.state, call.arguments, call.raw) == ("invalid", None, raw)
    assert call.error
    assert heard.reason == "tool-calls"


@pytest.mark.parametrize("raw", ["", " ", "{}"])
async def test_call_without_arguments(raw: str) -> None:
    """No arguments are an empty object."""
    heard = await hear(tool(index=0, id="a", name="f", arguments=raw), end="tool_calls")
    assert (heard.calls[0].state, heard.calls[0].arguments) == ("ready", {})


@pytest.mark.parametrize(("end", "state"), [("length", "invalid"), ("content_filter", "stopped")])
async def test_a_cut_answer_runs_nothing(end: str, state: str) -> None:
    """Where the answer was cut, a call that looks complete is not ready."""
    heard = await hear(tool(index=0, id="a", name="f", arguments='{"path": "/"}'), end=end)
    assert [(call.state, call.arguments) for call in heard.calls] == [(state, None)]


async def test_ids_are_unique_in_the_run() -> None:
    """A server that numbers its calls anew in every answer does not mix them up."""
    normaliser = ChatNormaliser({"call_0": None, "call_0_2": None})
    frames = [tool(index=0, id="call_0", name="f", arguments="{}"), finish("chat")]
    heard = await read("chat", frames, normaliser)
    assert [call.id for call in heard.calls] == ["call_0_3"]


async def test_too_many_calls() -> None:
    """Ten thousand calls break the answer off."""
    for fields in ({"name": "f"}, {}):
        frames = [tool(index=i, id=f"c{i}", arguments="{}", **fields) for i in range(10_000)]
        heard = await read("chat", [chat({"content": "a"}), *frames])
        assert heard.error is not None
        assert (heard.error.kind, heard.text) == ("too-many-calls", "a")
        assert len(heard.calls) <= 512


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_reasoning_fields(field: str) -> None:
    """Both names of the field are one view; both at once are said once."""
    heard = await hear(chat({field: "think "}), chat({field: "hard", "content": None}), chat({"content": "answer"}))
    assert (heard.reasoning, heard.text) == ("think hard", "answer")
    both = await hear(chat({"reasoning": "x", "reasoning_content": "x"}), chat({"content": "a"}))
    assert both.reasoning == "x"


THOUGHT = "<think>\nI think: a < b </thinker>\n</think>\n\nThe <think> answer</think>."


@pytest.mark.parametrize("step", [1, 2, 3, 7, 100])
async def test_thinking_tags(step: int) -> None:
    """Thinking that a server leaves in the text is taken out, however its tags are cut; later tags are text."""
    heard = await hear(*[chat({"content": THOUGHT[i : i + step]}) for i in range(0, len(THOUGHT), step)])
    assert (heard.reasoning, heard.text) == ("I think: a < b </thinker>", "The <think> answer</think>.")


@pytest.mark.parametrize(
    ("content", "reasoning", "text"),
    [
        ("<think></think>\n\nhello", "", "hello"),
        ("<thinking>a</thinking>b", "a", "b"),
        ("  <think>a</think>b", "a", "b"),
        ("<thin", "", "<thin"),
        ("<b>bold</b>", "", "<b>bold</b>"),
        ("  two spaces", "", "  two spaces"),
        ("<think>never closed </thi", "never closed </thi", ""),
        ("\n\n", "", "\n\n"),
        ("a <think>b</think>", "", "a <think>b</think>"),
    ],
)
async def test_what_is_thinking_and_what_is_not(content: str, reasoning: str, text: str) -> None:
    """Only tags at the very start are thinking; what is held back for them is never lost."""
    for pieces in ([content], list(content)):
        heard = await hear(*[chat({"content": piece}) for piece in pieces])
        assert (heard.reasoning, heard.text) == (reasoning, text)
        cut = await hear(*[chat({"content": piece}) for piece in pieces], end=None)
        assert (cut.reasoning, cut.text) == (reasoning, text)


async def test_content_as_a_list() -> None:
    """Parts of content are read by their type."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    heard = await hear(chat({"content": [thinking, {"type": "text", "text": "a"}, {"type": "new"}]}))
    assert (heard.reasoning, heard.text) == ("hm", "a")


async def test_reasoning_details_go_back_whole() -> None:
    """Fragments of a signed block are one block again, kept out of sight."""
    heard = await hear(
        chat({"reasoning": "a", "reasoning_details": [{"type": "reasoning.text", "text": "a", "index": 0}]}),
        chat({"reasoning": "b", "reasoning_details": [{"type": "reasoning.text", "text": "b", "index": 0}]}),
        chat({"reasoning_details": [{"type": "reasoning.text", "signature": "sig", "index": 0}]}),
        chat({"reasoning_details": [{"type": "reasoning.encrypted", "data": "xyz", "index": 1}]}),
        chat({"content": "answer"}),
    )
    (thought, _) = heard.message.parts
    assert isinstance(thought, ReasoningPart)
    assert thought.text == "ab"
    assert thought.opaque == {
        "chat": {
            "reasoning_details": [
                {"type": "reasoning.text", "text": "ab", "index": 0, "signature": "sig"},
                {"type": "reasoning.encrypted", "data": "xyz", "index": 1},
            ]
        }
    }


async def test_sources() -> None:
    """Citations in any of their places are sources, each once."""
    annotation = {"type": "url_citation", "url_citation": {"url": "http://c", "title": "C"}}
    heard = await hear(
        chat({"content": "a"}, citations=["http://a"], search_results=[{"url": "http://a", "title": "A"}]),
        chat({"content": "b"}, citations=["http://a", "http://b"]),
        chat({"content": "c", "annotations": [annotation, annotation]}),
    )
    sources = [(part.url, part.title) for part in heard.message.parts if isinstance(part, SourcePart)]
    assert sources == [("http://a", "A"), ("http://b", ""), ("http://c", "C")]
    assert heard.text == "abc"


async def test_tools_that_the_server_ran() -> None:
    """A tool that was run elsewhere is shown with its result, and is no tool turn."""
    ran = {"index": 0, "type": "search", "arguments": '{"query": "x"}', "output": None}
    heard = await hear(chat({"executed_tools": [ran]}), chat({"executed_tools": [{**ran, "output": "found"}]}))
    (call,) = heard.calls
    assert (call.by_provider, call.name, call.arguments, call.result) == (True, "search", {"query": "x"}, "found")
    assert heard.reason == "stop"


async def test_error_beside_choices() -> None:
    """An error in a chunk that also has words: the words are kept, the error is told."""
    heard = await read("chat", [chat({"content": "a"}), chat({"content": "b"}, error={"code": 429, "message": "no"})])
    assert heard.error is not None
    assert (heard.text, heard.error.kind) == ("ab", "rate-limited")


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["a\\ud83d", "\\ude00b"], "a😀b"),
        (["\\ud83d", "\\ud83d\\ude00"], "\ufffd😀"),
        (["a\\ud83d"], "a\ufffd"),
        (["\\ude00a"], "\ufffda"),
        (["\\ud83d", "x"], "\ufffdx"),
        (["a\\ud83dx", "b"], "a\ufffdxb"),
    ],
)
async def test_halves_of_characters(pieces: list[str], text: str) -> None:
    """A character cut between two deltas is one again; a half that stays alone is a replacement."""
    frames = [b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n' % piece.encode() for piece in pieces]
    for end in ("stop", None):
        heard = await hear(*frames, end=end)
        assert heard.text == text
        heard.text.encode()


async def test_half_before_something_else() -> None:
    """A half is said before what follows it, in its own place."""
    half = b'data: {"choices":[{"index":0,"delta":{"content":"a\\ud83d"}}]}\n\n'
    heard = await hear(half, chat({"reasoning": "r"}), chat({"content": "b"}), tool(index=0, id="a", name="f"))
    assert [type(part).__name__ for part in heard.message.parts][:3] == ["TextPart", "ReasoningPart", "TextPart"]
    assert heard.text == "a\ufffdb"
    assert isinstance(heard.message.parts[0], TextPart)


async def test_half_in_other_places_is_harmless() -> None:
    """Half a character anywhere else is replaced, so that everything can be stored."""
    text = (
        '{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"\\ud83d","function":{"name":"f\\ude00"}}]}}]}'
    )
    heard = await hear(b"data: " + text.encode() + b"\n\n", end="tool_calls")
    for event in heard.events:
        repr(event).encode()
        json.dumps([getattr(event, name) for name in event.__slots__], ensure_ascii=False, default=str).encode()


async def test_long_arguments_in_small_pieces() -> None:
    """A megabyte of arguments in 20-byte pieces arrives whole."""
    value = "x" * 1_000_000
    raw = json.dumps({"text": value})
    frames = [tool(index=0, id="a", name="f", arguments="")]
    frames += [tool(index=0, id=f"id{i}", arguments=raw[i : i + 20]) for i in range(0, len(raw), 20)]
    heard = await hear(*frames, end="tool_calls")
    assert heard.calls[0].arguments == {"text": value}
    assert heard.calls[0].raw == raw


@pytest.mark.parametrize(
    ("limits", "kind"),
    [
        (Limits(event_bytes=1000), "event-too-large"),
        (Limits(total_bytes=1000), "too-long"),
        (Limits(events=3), "too-long"),
        (Limits(characters=1000), "too-long"),
    ],
)
async def test_caps(limits: Limits, kind: str) -> None:
    """What a hostile server sends without end breaks the answer off, and the beginning is kept."""
    frames = [chat({"content": "a"}), *[chat({"content": "b" * 1500})] * 5]
    heard = await read("chat", frames, ChatNormaliser(limits=limits), limits)
    assert heard.error is not None
    assert heard.error.kind == kind
    assert heard.text.startswith("a")


async def test_deep_json() -> None:
    """JSON nested without end is no way to crash the reader."""
    for deep in (b"[" * 100_000, b'{"a":' * 100_000, b'{"x":"\\ud83d","a":' + b"[" * 100_000):
        heard = await hear(chat({"content": "a"}), b"data: " + deep + b"\n\n")
        assert heard.error is not None
        assert (heard.error.kind, heard.text) == ("bad-json", "a")
