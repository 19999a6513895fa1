"""More of what servers send: the same kinds of faults in other words, at other places, of other makers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from streamchat.errors import StreamBroken
from tests.unit.providers.asking import Heard, read
from tests.unit.providers.wire import begin, block, chat, finish, frame, marker, said, tool, typed, whole, word

ARGUMENTS = {"city": "Oslo", "days": [1, 2]}
RAW = json.dumps(ARGUMENTS)


def ready(heard: Heard) -> list[tuple[str, Any]]:
    return [(call.name, call.arguments) for call in heard.ours if call.state == "ready"]


async def hear(*frames: bytes, end: str = "stop") -> Heard:
    return await read("chat", [*frames, finish("chat", end), marker("chat")])


@pytest.mark.parametrize(
    "pieces",
    [
        [RAW, RAW],
        ["{}", RAW],
        ["{}", RAW[:5], RAW[5:]],
        [RAW[:5], RAW],
        [RAW[:5], RAW[:9], RAW],
        [RAW[:5], RAW[5:], RAW[:7], RAW[7:]],
        [json.dumps(RAW)],
        [json.dumps(RAW)[:6], json.dumps(RAW)[6:]],
    ],
)
@pytest.mark.parametrize("kind", ["chat", "anthropic"])
async def test_arguments_come_once(kind: str, pieces: list[str]) -> None:
    """However often, in whatever wrapping: one object, and the call runs with it."""
    if kind == "chat":
        frames = [tool(index=0, id="a", name="f", arguments="")]
        frames += [tool(index=0, arguments=piece) for piece in pieces]
        heard = await hear(*frames, end="tool_calls")
    else:
        deltas = tuple({"type": "input_json_delta", "partial_json": piece} for piece in pieces)
        frames = [typed("message_start", message={"id": "m"}), block(0, "tool_use", deltas, id="a", name="f", input={})]
        heard = await read("anthropic", [*frames, finish("anthropic", "tool_use")])
    assert ready(heard) == [("f", ARGUMENTS)]


@pytest.mark.parametrize("index", [{"index": 3}, {"index": 1}, {}])
async def test_a_fragment_of_no_call(index: dict[str, int]) -> None:
    """It goes to the only call that waits for arguments; if two wait, neither runs."""
    one = await hear(
        tool(index=0, id="a", name="f", arguments=RAW), tool(index=2, id="b", name="g"), tool(arguments=RAW, **index)
    )
    assert ready(one) == [("f", ARGUMENTS), ("g", ARGUMENTS)]
    frames = [tool(index=0, id="a", name="f"), tool(index=2, id="b", name="g"), tool(arguments=RAW, **index)]
    two = await hear(*frames)
    assert ready(two) == []
    assert {call.state for call in two.calls} == {"invalid"}


async def test_two_blocks_at_one_index() -> None:
    """Arguments that may be of either of two calls are those of none."""
    start = [
        typed("content_block_start", index=0, content_block={"type": "tool_use", "id": i, "name": i, "input": {}})
        for i in "ab"
    ]
    delta = typed("content_block_delta", index=0, delta={"type": "input_json_delta", "partial_json": RAW})
    head = typed("message_start", message={"id": "m"})
    heard = await read("anthropic", [head, *start, delta, delta, finish("anthropic", "tool_use")])
    assert ready(heard) == []
    assert [call.state for call in heard.calls] == ["invalid", "invalid"]


async def test_a_call_of_which_only_the_beginning_came() -> None:
    """Responses and Messages send arguments even for none: without them the call has lost its own."""
    item = {"type": "function_call", "id": "i", "call_id": "c", "name": "f", "arguments": ""}
    heard = await read(
        "responses", [typed("response.output_item.added", output_index=0, item=item), finish("responses")]
    )
    assert [call.state for call in heard.calls] == ["invalid"]


@pytest.mark.parametrize("names", [["get_", "weather"], ["get", "_wea", "ther"], ["get_", "get_weather"]])
async def test_a_name_in_pieces(names: list[str]) -> None:
    """Pieces of a name are joined, also with text in front; one that grows is itself."""
    frames = [tool(index=0, id="a", name=name, arguments="") for name in names]
    heard = await hear(chat({"content": "Well."}), *frames, tool(index=0, arguments=RAW))
    assert (heard.text, ready(heard)) == ("Well.", [("get_weather", ARGUMENTS)])


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("<|im_end|>", "stop"),
        ("EOS_TOKEN", "stop"),
        ("stop_token", "stop"),
        ("max_new_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("PROHIBITED_CONTENT", "content-filter"),
        ("BLOCKLIST", "content-filter"),
        ("sensitive", "content-filter"),
        ("guardrail_intervened", "content-filter"),
        ("engine_error", None),
        ("insufficient_system_resource", None),
        ("abort", None),
    ],
)
async def test_reasons(word: str, reason: str | None) -> None:
    """End, length, filter or broken, in many servers' words; an unknown word is shown as it is."""
    heard = await hear(chat({"content": "a"}), end=word)
    assert (heard.text, heard.reason) == ("a", reason)
    assert isinstance(heard.error, StreamBroken) == (reason is None)
    calls = await hear(tool(index=0, id="a", name="f", arguments=RAW), end="odd_word")
    assert (calls.reason, ready(calls)) == ("tool-calls", [("f", ARGUMENTS)])


ERRORS = [
    {"error": "the tokens ran out"},
    {"error": {"message": "the tokens ran out"}},
    {"error": {"error": {"msg": "the tokens ran out", "code": 1}}},
    {"errors": [{"message": "the tokens ran out"}]},
    {"errors": ["the tokens ran out"]},
    {"detail": [{"msg": "the tokens ran out", "type": "value_error"}]},
    {"error_code": 17, "error_msg": "the tokens ran out"},
    {"code": "X", "message": "the tokens ran out", "request_id": "r"},
    {"object": "error", "message": "the tokens ran out", "code": 40_000},
    {"base_resp": {"status_code": 1002, "status_msg": "the tokens ran out"}},
    {"success": False, "message": "the tokens ran out"},
    [{"error": {"message": "the tokens ran out"}}],
]


@pytest.mark.parametrize("body", ERRORS, ids=str)
@pytest.mark.parametrize("kind", ["chat", "responses", "anthropic"])
async def test_errors_in_every_dress(kind: str, body: Any) -> None:
    """In an event, as a whole body, or in a field named error: the reason is told and what came is kept."""
    field = b"error: " + json.dumps(body).encode() + b"\n\n"
    for pieces, text in (
        ([said(kind, "a"), frame(body)], "a"),
        ([json.dumps(body).encode()], ""),
        ([said(kind, "a"), field], "a"),
    ):
        heard = await read(kind, pieces)
        assert heard.error is not None
        assert "the tokens ran out" in str(heard.error)
        assert (heard.text, heard.reason) == (text, None)


@pytest.mark.parametrize("kind", ["chat", "responses", "anthropic"])
async def test_framing(kind: str) -> None:
    """One newline between events, and none behind the last: the same answer."""
    body = whole(kind, "Tea ", "is hot.")
    loose = b"\n".join(line for line in body.split(b"\n") if line.startswith(b"data"))
    for text in (body.rstrip(b"\n"), loose, loose + b"\n"):
        heard = await read(kind, [text])
        assert (heard.text, heard.error) == ("Tea is hot.", None)


@pytest.mark.parametrize("kind", ["chat", "responses", "anthropic"])
@pytest.mark.parametrize(
    "tail", [b"data: {broken\n\n", b'data: {"error": {"message": "late"}}\n\n', b"data: 7\n\n", b"\xff"]
)
async def test_nothing_behind_the_end_breaks_it(kind: str, tail: bytes) -> None:
    """Nonsense and errors behind the provider's own end change nothing."""
    heard = await read(kind, [whole(kind, "a") + tail])
    assert (heard.text, heard.error) == ("a", None)


@pytest.mark.parametrize(
    "field",
    [
        {"reasoning_content": "hm"},
        {"thinking": {"content": "hm"}},
        {"reasoning": [{"text": "h"}, {"text": "m"}]},
        {"reasoning_text": "hm"},
        {"thought": ["h", "m"]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
        {"content": "<thinking>hm</thinking>"},
        {"content": "<|start|>assistant<|channel|>analysis<|message|>hm<|end|><|channel|>final<|message|>"},
    ],
    ids=str,
)
async def test_thinking(field: dict[str, Any]) -> None:
    """Fields, parts, tags and channels are one view."""
    heard = await hear(chat(field), chat({"content": "Hello."}))
    assert (heard.reasoning, heard.text) == ("hm", "Hello.")


@pytest.mark.parametrize(
    "field",
    [
        {"reasoning": 7},
        {"refusal": {"a": 1}},
        {"annotations": "x"},
        {"annotations": [None]},
        {"reasoning_details": 3},
        {"executed_tools": [3]},
    ],
    ids=str,
)
async def test_a_field_beside_the_text(field: dict[str, Any]) -> None:
    """What makes no sense there says nothing; the text is whole."""
    heard = await hear(
        chat({"content": "a", **field}), chat({"content": "b"}, usage="x"), chat({"content": "c"}, citations=4)
    )
    assert (heard.text, heard.error) == ("abc", None)


@pytest.mark.parametrize("tag", ["</think>", "</thinking>", "</thought>"])
@pytest.mark.parametrize("before", ["", "\n", " \n\n"])
async def test_a_closing_tag_at_the_very_start_is_no_text(tag: str, before: str) -> None:
    """The prompt opened the reasoning, and there was none; however the tag is cut."""
    for cut in range(len(tag) + 1):
        pieces = [before + tag[:cut], tag[cut:] + "\n\nHi", " there"]
        heard = await hear(*[chat({"content": piece}) for piece in pieces])
        assert (heard.text, heard.reasoning) == ("Hi there", "")
    heard = await hear(chat({"reasoning_content": "hm"}), chat({"content": f"{before}{tag}\nHi"}))
    assert (heard.text, heard.reasoning) == ("Hi", "hm")
    for like in ("</thinker>", "</th", "</div>"):
        assert (await hear(chat({"content": like}), chat({"content": " is text"}))).text == f"{like} is text"


async def test_words_that_only_look_like_a_sum() -> None:
    """Short deltas that begin alike are all real."""
    for words in (["ha", "haha!"], ["1", "10", " apples"], ["\n", "\n\n", "a"], ["a", "a", "a"], ["no", "no", " no"]):
        heard = await hear(*[chat({"content": text}) for text in words])
        assert heard.text == "".join(words)


async def test_responses_without_item_events() -> None:
    """Text by deltas alone, then a snapshot under another id; late calls are run."""
    call = {"type": "function_call", "id": "f", "call_id": "c", "name": "f", "arguments": ARGUMENTS}
    text = {"type": "message", "id": "other", "content": [{"type": "output_text", "text": "Tea is hot."}]}
    end = typed("response.completed", response={"status": "completed", "output": [text, call]})
    heard = await read("responses", [begin("responses"), word("responses", "Tea "), word("responses", "is "), end])
    assert (heard.text, ready(heard)) == ("Tea is hot.", [("f", ARGUMENTS)])


async def test_responses_another_name_at_the_end() -> None:
    """The name of the whole item holds: what began under another one never runs."""
    item = {"type": "function_call", "id": "i", "call_id": "c", "name": "f", "arguments": ""}
    frames = [
        typed("response.output_item.added", output_index=0, item=item),
        typed("response.function_call_arguments.delta", item_id="i", delta=RAW),
        typed("response.output_item.done", output_index=0, item={**item, "name": "g", "arguments": RAW}),
        finish("responses"),
    ]
    assert ready(await read("responses", frames)) == [("g", ARGUMENTS)]


@pytest.mark.parametrize(
    "call",
    [
        {"function": {"name": "f", "parameters": ARGUMENTS}},
        {"function": {"name": "f", "arguments": "", "args": RAW}},
        {"name": "f", "arguments": RAW},
        {"name": "f", "input": ARGUMENTS},
        {"type": "custom", "custom": {"name": "f", "input": RAW}},
    ],
)
async def test_a_call_in_another_shape(call: dict[str, Any]) -> None:
    """Arguments under another name, or without the function around them, are those of the call: never ``{}``."""
    heard = await hear(chat({"tool_calls": [{"index": 0, "id": "a", **call}]}), end="tool_calls")
    assert ready(heard) == [("f", ARGUMENTS)]


@pytest.mark.parametrize("name", ["arguments", "input", "parameters"])
@pytest.mark.parametrize("value", [ARGUMENTS, RAW])
async def test_an_item_whose_arguments_stand_only_at_its_end(name: str, value: Any) -> None:
    """Responses: as an object or a string, under any of the names."""
    item = {"type": "function_call", "id": "i", "call_id": "c", "name": "f", name: value}
    heard = await read("responses", [typed("response.output_item.done", output_index=0, item=item), COMPLETED])
    assert ready(heard) == [("f", ARGUMENTS)]


COMPLETED = typed("response.completed", response={"status": "completed", "output": []})


@pytest.mark.parametrize(
    "broken",
    [
        frame({"choices": [{"index": 0, "delta": {}, "finish_reason": "error", "error": {"message": "It broke."}}]}),
        frame({"choices": [{"index": 0, "delta": {"content": ""}, "error": {"message": "It broke.", "code": 502}}]}),
        frame({"choices": [{"index": 0, "delta": {}, "error": "It broke."}]}),
        chat({"error": {"message": "It broke."}}),
        frame({"internalServerException": {"message": "It broke."}}),
        frame({"__type": "InternalFailure", "message": "It broke."}),
    ],
)
async def test_an_error_inside_of_a_choice(broken: bytes) -> None:
    """What came is kept, and the reason that the server gave reaches the person."""
    heard = await hear(chat({"content": "a"}), broken)
    assert heard.text == "a"
    assert "It broke." in str(heard.error)


async def test_a_response_that_is_complete_with_an_error() -> None:
    """It is not an answer that ended well."""
    response = {"status": "completed", "error": {"message": "It broke."}, "output": []}
    heard = await read("responses", [word("responses", "a"), typed("response.completed", response=response)])
    assert (heard.text, "It broke." in str(heard.error)) == ("a", True)


PART = {"type": "output_text", "text": "Hi there"}


@pytest.mark.parametrize("deltas", [[], ["Hi", " there"], ["Hi there"]])
@pytest.mark.parametrize(
    "also",
    [
        typed(
            "response.content_part.added",
            output_index=0,
            content_index=0,
            part={"type": "output_text", "text": "Hi there"},
        ),
        typed(
            "response.content_part.done",
            output_index=0,
            content_index=0,
            part={"type": "output_text", "text": "Hi there"},
        ),
        b"",
    ],
    ids=["added", "done", "output_text"],
)
async def test_text_that_stands_beside_its_deltas(deltas: list[str], also: bytes) -> None:
    """In a part, or in a field of the response: once, with its deltas or without."""
    words = [word("responses", delta) for delta in deltas]
    frames = [also, *words] if b"added" in also else [*words, also]
    completed = {"status": "completed", "output": [], **({} if also else {"output_text": "Hi there"})}
    heard = await read("responses", [begin("responses"), *frames, typed("response.completed", response=completed)])
    assert (heard.text, heard.reason) == ("Hi there", "stop")
