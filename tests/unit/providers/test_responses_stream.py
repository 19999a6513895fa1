"""OpenAI's Responses stream: items, numbers, reasoning, and the ends it can have."""

from __future__ import annotations

from typing import Any

import pytest

from streamchat.chat import events as e
from streamchat.chat.messages import NoticePart, ReasoningPart, SourcePart
from tests.unit.providers.asking import Heard, read
from tests.unit.providers.wire import typed

CREATED = typed("response.created", response={"id": "r", "status": "in_progress"})
USAGE = {
    "input_tokens": 7,
    "output_tokens": 5,
    "input_tokens_details": {"cached_tokens": 3},
    "output_tokens_details": {"reasoning_tokens": 2},
}
DONE = typed("response.completed", response={"status": "completed", "usage": USAGE})


def added(index: int, kind: str, **item: Any) -> bytes:
    return typed("response.output_item.added", output_index=index, item={"type": kind, **item})


def done(index: int, kind: str, **item: Any) -> bytes:
    return typed("response.output_item.done", output_index=index, item={"type": kind, **item})


def says(word: str, index: int = 0, part: int = 0, **more: Any) -> bytes:
    return typed("response.output_text.delta", output_index=index, content_index=part, delta=word, **more)


async def hear(*frames: bytes) -> Heard:
    return await read("responses", [CREATED, *frames])


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (DONE, "stop"),
        (typed("response.completed", response={"status": "incomplete", "incomplete_details": None}), "incomplete"),
        (typed("response.incomplete", response={"incomplete_details": {"reason": "max_output_tokens"}}), "length"),
        (typed("response.incomplete", response={"incomplete_details": {"reason": "content_filter"}}), "content-filter"),
        (typed("response.incomplete", response={"incomplete_details": {"reason": "new"}}), "new"),
    ],
)
async def test_why_it_ended(end: bytes, reason: str) -> None:
    """The terminal event says it, and nothing else ends an answer."""
    heard = await hear(says("a"), end)
    assert (heard.text, heard.reason, heard.error) == ("a", reason, None)


async def test_usage() -> None:
    """Counts come from the terminal event, once, before the end."""
    assert (await hear(says("a"), DONE)).events[-2:] == [e.UsageReported(7, 5, 3, 2), e.Finished("stop")]


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (typed("response.failed", response={"error": {"code": "rate_limit_exceeded", "message": "x"}}), "rate-limited"),
        (typed("response.failed", response={"status": "failed", "error": None}), "error-event"),
        (
            typed("response.completed", response={"status": "failed", "error": {"code": "server_error"}}),
            "provider-broken",
        ),
        (typed("error", code="server_error", message="x") + typed("response.failed", response={}), "provider-broken"),
        (
            typed("error", error={"type": "invalid_request_error", "code": "context_length_exceeded"}),
            "context-too-long",
        ),
        (typed("response.cancelled", response={"status": "cancelled"}), "cut"),
        (b"", "cut"),
    ],
)
async def test_how_it_fails(end: bytes, kind: str) -> None:
    """Failed, cancelled and cut are distinct, and the words stay."""
    heard = await hear(says("a"), end)
    assert heard.error is not None
    assert (heard.error.kind, heard.text, heard.reason) == (kind, "a", None)


async def test_text_without_deltas() -> None:
    """Text that comes only whole is taken from there, and never twice."""
    text = typed("response.output_text.done", output_index=0, content_index=0, text="hello")
    content = [{"type": "output_text", "text": "hello"}]
    for frames in ((text,), (done(0, "message", content=content),), (text, done(0, "message", content=content))):
        assert (await hear(*frames, DONE)).text == "hello"
    assert (await hear(says("hello"), text, done(0, "message", content=content), DONE)).text == "hello"


async def test_ids_that_change() -> None:
    """Items are told apart by their place: an id may be another in every event."""
    heard = await hear(
        added(0, "function_call", id="x1", call_id="c", name="f", arguments=""),
        typed("response.function_call_arguments.delta", output_index=0, item_id="x2", delta='{"a"'),
        typed("response.function_call_arguments.delta", output_index=0, item_id="x3", delta=": 1}"),
        done(0, "function_call", id="x4", call_id="c", name="f", arguments='{"a": 1}'),
        typed("response.completed", response={"id": "other", "status": "completed"}),
    )
    assert [(call.id, call.arguments, call.state) for call in heard.calls] == [("c", {"a": 1}, "ready")]
    assert heard.reason == "tool-calls"


async def test_calls_without_deltas_or_beginning() -> None:
    """Arguments that come only whole, and a call that is only ever done."""
    whole = typed("response.function_call_arguments.done", output_index=0, arguments='{"a": 1}')
    start = added(0, "function_call", call_id="c", name="f")
    item = done(0, "function_call", id="fc", call_id="c", name="f", arguments='{"a": 1}', namespace="n")
    for frames in ((start, whole), (start, whole, item), (start, item), (item,)):
        heard = await hear(*frames, DONE)
        assert [(call.name, call.arguments, call.raw) for call in heard.calls] == [("f", {"a": 1}, '{"a": 1}')]
    assert heard.calls[0].opaque == {
        "responses": [{"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "namespace": "n"}]
    }


@pytest.mark.parametrize("arguments", ["{", "[]", '{"a": 1'])
async def test_arguments_that_do_not_parse(arguments: str) -> None:
    """The call is invalid, the turn goes on."""
    heard = await hear(done(0, "function_call", call_id="c", name="f", arguments=arguments), DONE)
    assert [(call.state, call.arguments) for call in heard.calls] == [("invalid", None)]
    assert heard.reason == "tool-calls"


async def test_a_cut_answer_runs_nothing() -> None:
    """At the token limit a call is never ready."""
    cut = typed("response.incomplete", response={"incomplete_details": {"reason": "max_output_tokens"}})
    heard = await hear(done(0, "function_call", call_id="c", name="f", arguments="{}"), cut)
    assert [(call.state, call.arguments) for call in heard.calls] == [("invalid", None)]


async def test_reasoning_summaries() -> None:
    """Parts of a summary are paragraphs; what is encrypted is kept verbatim, out of sight."""
    item = {"id": "rs", "encrypted_content": "xyz", "summary": [{"type": "summary_text", "text": "ab"}]}

    def summary(part: int, word: str) -> bytes:
        return typed("response.reasoning_summary_text.delta", output_index=0, summary_index=part, delta=word)

    again = typed("response.reasoning_summary_text.done", output_index=0, summary_index=0, text="ab")
    heard = await hear(
        added(0, "reasoning", id="rs"), summary(0, "a"), summary(0, "b"), again, summary(1, "c"),
        done(0, "reasoning", **item), says("answer", 1), DONE,
    )  # fmt: skip
    assert heard.message.parts[0] == ReasoningPart("ab\n\nc", {"responses": [{"type": "reasoning", **item}]})
    assert heard.text == "answer"


async def test_raw_reasoning() -> None:
    """Open models send the reasoning itself; it is not said twice where a summary comes too."""
    raw = typed("response.reasoning_text.delta", output_index=0, content_index=0, delta="hm")
    summary = typed("response.reasoning_summary_text.delta", output_index=0, summary_index=0, delta="HM")
    heard = await hear(raw, summary, done(0, "reasoning", id="rs", content=[{"text": "hm"}]), says("a", 1), DONE)
    assert (heard.reasoning, heard.text) == ("hm", "a")
    quiet = await hear(done(0, "reasoning", id="rs", summary=[{"text": "x"}, {"text": "y"}]), says("a", 1), DONE)
    assert quiet.reasoning == "x\n\ny"


async def test_refusal() -> None:
    """A refusal is said as one, and is not the text of an answer."""
    delta = typed("response.refusal.delta", output_index=0, content_index=0, delta="I am sorry.")
    item = done(0, "message", content=[{"type": "refusal", "refusal": "I am sorry."}])
    for frames in ((delta,), (delta, item), (item,)):
        heard = await hear(*frames, DONE)
        assert heard.message.parts == (NoticePart("refusal", "I am sorry."),)
        assert (heard.text, heard.reason) == ("", "refusal")


async def test_sources() -> None:
    """Annotations are sources, each once, wherever they come."""
    web = {"type": "url_citation", "url": "http://a", "title": "A"}
    file = {"type": "file_citation", "filename": "a.txt", "file_id": "f"}
    annotations = [
        typed("response.output_text.annotation.added", output_index=0, annotation=web),
        done(0, "message", content=[{"type": "output_text", "text": "a", "annotations": [web, file]}]),
    ]
    heard = await hear(says("a"), *annotations, DONE)
    sources = [(part.url, part.title) for part in heard.message.parts if isinstance(part, SourcePart)]
    assert sources == [("http://a", "A"), ("", "a.txt")]


@pytest.mark.parametrize(
    ("item", "name", "arguments", "state", "result"),
    [
        (
            {"type": "web_search_call", "id": "w", "status": "completed", "action": {"query": "x"}},
            "web_search", {"action": {"query": "x"}}, "done", None,
        ),
        (
            {"type": "mcp_call", "id": "w", "name": "ask", "arguments": '{"q": 1}', "output": "yes"},
            "ask", {"q": 1}, "done", "yes",
        ),
        ({"type": "mcp_call", "id": "w", "name": "ask", "arguments": "{}", "error": "no"}, "ask", {}, "error", None),
        (
            {"type": "code_interpreter_call", "id": "w", "code": "1+1", "outputs": [{"logs": "2"}]},
            "code_interpreter", {"code": "1+1"}, "done", [{"logs": "2"}],
        ),
        (
            {"type": "custom_tool_call", "call_id": "w", "id": "i", "name": "sql", "input": "select 1"},
            "sql", {"input": "select 1"}, "unknown", None,
        ),
        ({"type": "hologram_call", "id": "w", "beams": 2}, "hologram", {"beams": 2}, "unknown", None),
    ],
)  # fmt: skip
async def test_tools_of_the_provider(
    item: dict[str, Any], name: str, arguments: dict[str, Any], state: str, result: Any
) -> None:
    """What the provider ran itself is shown as such, kept verbatim, and is no tool turn."""
    progress = typed(f"response.{item['type']}.searching", output_index=0)
    heard = await hear(added(0, item["type"], **{k: v for k, v in item.items() if k != "type"}), progress,
                       typed("response.output_item.done", output_index=0, item=item), says("a", 1), DONE)  # fmt: skip
    (call,) = heard.calls
    assert (call.by_provider, call.name, call.arguments) == (True, name, arguments)
    assert (call.state, call.result) == (state, result)
    assert call.opaque == {"responses": [item]}
    assert heard.reason == "stop"


async def test_output_in_an_item_of_its_own() -> None:
    """A call and its output are one, and both go back."""
    call = {"type": "shell_call", "id": "s", "call_id": "c", "status": "completed", "action": {"commands": ["ls"]}}
    output = {"type": "shell_call_output", "id": "o", "call_id": "c", "output": [{"stdout": "x"}]}
    frames = [typed("response.output_item.done", output_index=i, item=item) for i, item in enumerate((call, output))]
    heard = await hear(*frames, says("a", 2), DONE)
    assert [(part.name, part.state, part.result) for part in heard.calls] == [("shell", "done", [{"stdout": "x"}])]
    assert heard.calls[0].opaque == {"responses": [call, output]}


async def test_items_that_are_not_for_reading() -> None:
    """A notice, and the item as it came."""
    heard = await hear(done(0, "mcp_list_tools", id="l", server_label="wiki", tools=[]), says("a", 1), DONE)
    notice = heard.message.parts[0]
    assert isinstance(notice, NoticePart)
    assert "wiki" in notice.text
    assert notice.opaque == {"responses": [{"type": "mcp_list_tools", "id": "l", "server_label": "wiki", "tools": []}]}


def numbered(*numbers: int, words: str = "abcdefgh") -> list[bytes]:
    return [says(word, sequence_number=number) for number, word in zip(numbers, words, strict=False)]


async def test_repeated_events_are_dropped() -> None:
    """What was sent again is not said again."""
    frames = numbered(1, 2, 3)
    assert (await hear(*frames[:2], *frames, DONE)).text == "abc"


async def test_a_gap_breaks_the_answer_off() -> None:
    """A missing number is missing text."""
    heard = await hear(*numbered(5, 6, 8), DONE)
    assert heard.error is not None
    assert (heard.error.kind, heard.text) == ("gap", "ab")


@pytest.mark.parametrize("numbers", [(0, 0, 0), (1, 2, 1), (3, 2, 3)])
async def test_numbers_that_mean_nothing(numbers: tuple[int, ...]) -> None:
    """A server that numbers in a way of its own loses no text."""
    frames = numbered(*numbers)
    assert (await hear(*frames, DONE)).text == "abc"


async def test_resumed_stream() -> None:
    """A stream that begins in the middle is read from there."""
    assert (await read("responses", [*numbered(17, 18), DONE])).text == "ab"


async def test_second_start() -> None:
    """Another answer in the middle of one breaks off; behind a complete one it goes on; again at once is nothing."""
    spliced = await hear(says("a"), CREATED, says("b"), DONE)
    assert spliced.error is not None
    assert (spliced.error.kind, spliced.text) == ("spliced", "a")
    row = await hear(says("a"), DONE, CREATED, says("b"), DONE)
    assert (row.text, row.reason, row.error) == ("ab", "stop", None)
    assert (await hear(CREATED, says("a"), DONE)).text == "a"


async def test_what_nobody_knows_yet() -> None:
    """Unknown events and fields change nothing."""
    odd = typed("response.smell.delta", delta="x") + typed("response.in_progress", response={}) + typed("keepalive")
    heard = await hear(odd, says("a"), odd, says("b"), DONE, odd)
    assert (heard.text, heard.reason, heard.error) == ("ab", "stop", None)
