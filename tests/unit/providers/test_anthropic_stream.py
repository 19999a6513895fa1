"""Anthropic's stream: blocks, signatures, tools of both sides, and the ends it can have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streamchat.chat import events as e
from streamchat.chat.messages import NoticePart, ReasoningPart, SourcePart, ToolCallPart
from streamchat.providers.anthropic.events import AnthropicNormaliser
from tests.unit.providers.asking import Heard, read
from tests.unit.providers.wire import block, finish, frame, marker, typed

START = typed("message_start", message={"id": "m1", "content": [], "usage": {"input_tokens": 7, "output_tokens": 1}})


def text(index: int, *words: str) -> bytes:
    return block(index, "text", tuple({"type": "text_delta", "text": word} for word in words), text="")


def use(index: int, *pieces: str, kind: str = "tool_use", id: str = "t1", name: str = "f", **more: Any) -> bytes:
    deltas = tuple({"type": "input_json_delta", "partial_json": piece} for piece in pieces)
    return block(index, kind, deltas, id=id, name=name, input={}, **more)


def end(reason: str, **delta: Any) -> bytes:
    usage = {"output_tokens": 5, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 4}
    usage |= {"output_tokens_details": {"thinking_tokens": 2}}
    return typed("message_delta", delta={"stop_reason": reason, **delta}, usage=usage) + marker("anthropic")


async def hear(*frames: bytes, known: dict[str, Any] | None = None) -> Heard:
    return await read("anthropic", [START, *frames], AnthropicNormaliser(known))


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("pause_turn", "pause"),
        ("refusal", "refusal"),
        ("something_new", "something_new"),
    ],
)
async def test_why_it_ended(word: str, reason: str) -> None:
    """Each reason is distinct, an unknown one is passed on."""
    heard = await hear(text(0, "a"), end(word))
    assert (heard.text, heard.reason, heard.error) == ("a", reason, None)
    assert heard.events[-2] == e.UsageReported(7 + 3 + 4, 5, 3, 2, 4)


async def test_refusal_says_why() -> None:
    """The provider's explanation is shown, and is not the answer."""
    details = {"type": "refusal", "category": "cyber", "explanation": "Not this."}
    heard = await hear(end("refusal", stop_details=details))
    assert heard.message.parts == (NoticePart("refusal", "Not this."),)
    assert (heard.text, heard.reason) == ("", "refusal")


async def test_thinking_keeps_its_signature() -> None:
    """Text for the reader, signature out of sight, redacted blocks verbatim, each its own part."""
    deltas = tuple({"type": "thinking_delta", "thinking": word} for word in ("I ", "think"))
    signed = ({"type": "signature_delta", "signature": "si"}, {"type": "signature_delta", "signature": "gn"})
    heard = await hear(
        block(0, "thinking", (*deltas, *signed), thinking="", signature=""),
        block(1, "redacted_thinking", data="secret"),
        block(2, "thinking", signed, thinking="", signature=""),
        text(3, "a"),
        end("end_turn"),
    )
    assert heard.message.parts[:3] == (
        ReasoningPart("I think", {"anthropic": {"type": "thinking", "signature": "sign"}}),
        ReasoningPart("", {"anthropic": {"type": "redacted_thinking", "data": "secret"}}),
        ReasoningPart("", {"anthropic": {"type": "thinking", "signature": "sign"}}),
    )
    assert heard.text == "a"


async def test_tool_use() -> None:
    """Arguments in pieces become ready at the end of a tool turn; interleaved blocks stay apart."""
    pieces = [
        typed("content_block_start", index=i, content_block={"type": "tool_use", "id": f"t{i}", "name": f"f{i}"})
        for i in (1, 2)
    ]
    for index, piece in ((1, '{"x"'), (2, '{"y"'), (1, ": 1}"), (2, ": 2}")):
        delta = {"type": "input_json_delta", "partial_json": piece}
        pieces.append(typed("content_block_delta", index=index, delta=delta))
    heard = await hear(text(0, "a"), *pieces, end("tool_use"))
    assert [(call.name, call.arguments, call.state) for call in heard.calls] == [
        ("f1", {"x": 1}, "ready"),
        ("f2", {"y": 2}, "ready"),
    ]
    assert heard.reason == "tool-calls"


@pytest.mark.parametrize("pieces", [('{"x": 1',), ("[1]",), ('{"INVALID_JSON": "',)])
async def test_arguments_that_do_not_parse(pieces: tuple[str, ...]) -> None:
    """Fine-grained streaming may send broken JSON: the call is invalid, the turn goes on."""
    heard = await hear(use(0, *pieces), end("tool_use"))
    assert [(call.state, call.arguments) for call in heard.calls] == [("invalid", None)]
    assert heard.reason == "tool-calls"


async def test_a_cut_answer_runs_nothing() -> None:
    """At the token limit a call is never ready, also where its arguments look complete."""
    for pieces in (('{"path": "/"}',), ('{"path"',), ()):
        heard = await hear(use(0, *pieces), end("max_tokens"))
        assert [(call.state, call.arguments) for call in heard.calls] == [("invalid", None)]
        assert heard.reason == "length"


async def test_end_turn_behind_a_call() -> None:
    """A call that nothing follows is a tool turn; one that the model went on from is not run."""
    assert (await hear(use(0, "{}"), end("end_turn"))).reason == "tool-calls"
    heard = await hear(use(0, "{}"), text(1, "done"), end("end_turn"))
    assert (heard.reason, heard.calls[0].state) == ("stop", "stopped")


async def test_text_behind_a_call_is_remembered() -> None:
    """How much text followed a call in the same answer is kept, for the next request's order."""
    heard = await hear(use(0, "{}"), text(1, "12345"), use(2, "{}", id="t2"), end("tool_use"))
    assert [(call.opaque or {}).get("said_after") for call in heard.calls] == [5, None]


SEARCH = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}


async def test_tools_of_the_provider() -> None:
    """Call and result are shown as run by the provider, and kept verbatim with their places."""
    hit = {"type": "web_search_result", "url": "http://a", "title": "A", "encrypted_content": "xyz"}
    result = {**SEARCH, "content": [hit]}
    heard = await hear(
        use(0, '{"query": "x"}', kind="server_tool_use", id="s1", name="web_search"),
        block(1, "web_search_tool_result", tool_use_id="s1", content=[hit]),
        text(2, "a"),
        end("end_turn"),
    )
    (call,) = heard.calls
    assert (call.by_provider, call.state, call.arguments) == (True, "done", {"query": "x"})
    assert call.result == [{"type": "web_search_result", "url": "http://a", "title": "A"}]
    assert call.opaque is not None
    kept = call.opaque["anthropic"]
    assert kept["call"] == {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "x"}}
    assert (kept["result"], kept["at"], kept["result_at"]) == (result, 0, 1)
    assert heard.reason == "stop"


@pytest.mark.parametrize(
    "block_",
    [
        {**SEARCH, "content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}},
        {"type": "mcp_tool_result", "tool_use_id": "s1", "is_error": True, "content": [{"type": "text", "text": "no"}]},
    ],
)
async def test_a_tool_of_the_provider_that_failed(block_: dict[str, Any]) -> None:
    """Its error is a sentence, its state an error."""
    heard = await hear(
        use(0, "{}", kind="server_tool_use", id="s1"), block(1, block_.pop("type"), (), **block_), end("end_turn")
    )
    assert heard.calls[0].state == "error"
    assert heard.calls[0].error in ("max uses exceeded", "no")


async def test_result_after_a_pause() -> None:
    """The result of a call from before the pause belongs to that call, with what it kept."""
    paused = await read("anthropic", [START, use(0, "{}", kind="server_tool_use", id="s1"), end("pause_turn")])
    assert (paused.reason, paused.calls[0].state) == ("pause", "ready")
    message = replace(paused.message, status="streaming")
    normaliser = AnthropicNormaliser({call.id: call.opaque for call in paused.calls})
    frames = [START, block(0, "web_search_tool_result", tool_use_id="s1", content=[]), text(1, "a"), end("end_turn")]
    heard = await read("anthropic", frames, normaliser, message=message)
    (call,) = heard.calls
    assert (call.id, call.state, heard.text, heard.reason) == ("s1", "done", "a", "stop")
    assert call.opaque is not None
    assert call.opaque["anthropic"]["call"]["type"] == "server_tool_use"
    assert call.opaque["anthropic"]["result"]["tool_use_id"] == "s1"


async def test_result_of_an_unknown_call() -> None:
    """A result whose call was never seen is shown as a call of its own."""
    heard = await hear(block(0, "web_search_tool_result", tool_use_id="s9", content=[]), text(1, "a"), end("end_turn"))
    assert [(call.name, call.state, call.by_provider) for call in heard.calls] == [("web_search", "done", True)]


async def test_citations() -> None:
    """Citations are sources, each once; those without an address by their title."""
    web = {"type": "web_search_result_location", "url": "http://a", "title": "A", "encrypted_index": "x"}
    page = {"type": "page_location", "document_title": "Doc", "cited_text": "..."}
    deltas = tuple({"type": "citations_delta", "citation": citation} for citation in (web, page, web))
    heard = await hear(block(0, "text", ({"type": "text_delta", "text": "a"}, *deltas), text=""), end("end_turn"))
    sources = [part for part in heard.message.parts if isinstance(part, SourcePart)]
    assert [(source.url, source.title) for source in sources] == [("http://a", "A"), ("", "Doc")]
    assert sources[0].opaque == {"anthropic": web}


async def test_blocks_that_are_not_for_reading() -> None:
    """Compaction, fallback and what nobody knows yet: a notice, and the block as it came."""
    heard = await hear(
        block(
            0, "compaction", ({"type": "compaction_delta", "content": "sum", "encrypted_content": "e"},), content=None
        ),
        block(1, "fallback", to={"model": "claude-x"}),
        block(2, "hologram", ({"type": "hologram_delta", "light": 1},), beams=2),
        text(3, "a"),
        end("end_turn"),
    )
    notices = [part for part in heard.message.parts if isinstance(part, NoticePart)]
    assert [notice.kind for notice in notices] == ["compaction", "fallback", "hologram"]
    assert "claude-x" in notices[1].text
    assert notices[0].opaque == {"anthropic": {"type": "compaction", "content": "sum", "encrypted_content": "e"}}
    assert notices[2].opaque == {"anthropic": {"type": "hologram", "beams": 2, "light": 1}}
    assert heard.text == "a"


async def test_what_nobody_knows_yet() -> None:
    """Unknown events, deltas, indexes and fields change nothing."""
    odd = typed("content_block_delta", index=9, delta={"type": "smell_delta", "smell": "x"})
    odd += typed("message_cheer", cheer=1) + typed("content_block_stop", index=9) + frame({"type": "ping"}, "ping")
    odd += typed("content_block_delta", index=9, delta={"type": "input_json_delta", "partial_json": "{"})
    heard = await hear(odd, text(0, "a", "b"), odd, end("end_turn"), odd)
    assert (heard.text, heard.reason, heard.error) == ("ab", "stop", None)


async def test_text_in_the_start_of_a_block() -> None:
    """A server that sends whole blocks without deltas is understood."""
    heard = await hear(
        block(0, "thinking", thinking="hm", signature="s"),
        block(1, "text", text="hello"),
        block(2, "tool_use", id="t", name="f", input={"x": 1}),
        end("tool_use"),
    )
    assert (heard.reasoning, heard.text, heard.calls[0].arguments) == ("hm", "hello", {"x": 1})


async def test_message_that_begins_complete() -> None:
    """A message may come whole in its start event, with its reason."""
    content = [{"type": "tool_use", "id": "t", "name": "f", "input": {"x": 1}}]
    message = {"id": "m2", "content": content, "stop_reason": "tool_use", "usage": {"input_tokens": 1}}
    heard = await read("anthropic", [typed("message_start", message=message), marker("anthropic")])
    assert [(call.name, call.arguments) for call in heard.calls] == [("f", {"x": 1})]
    assert heard.reason == "tool-calls"


async def test_second_start() -> None:
    """The same start again is nothing; another one in mid answer breaks off; one behind a complete answer goes on."""
    other = typed("message_start", message={"id": "m2", "content": []})
    twice = await hear(START, text(0, "a"), end("end_turn"))
    assert (twice.text, twice.error) == ("a", None)
    for again in (START, other):
        spliced = await hear(text(0, "a"), again, text(0, "b"), end("end_turn"))
        assert spliced.error is not None
        assert (spliced.error.kind, spliced.text) == ("spliced", "a")
    row = await hear(text(0, "a"), end("end_turn"), other, text(0, "b"), end("max_tokens"))
    assert (row.text, row.reason, row.error) == ("ab", "length", None)
    half = await hear(text(0, "a"), end("end_turn"), other, text(0, "b"))
    assert half.error is not None
    assert half.error.kind == "cut"


async def test_complete_without_the_last_marker() -> None:
    """The reason completes the answer; a stop marker without a reason does not."""
    assert (await hear(text(0, "a"), finish("anthropic"))).reason == "stop"
    heard = await hear(text(0, "a"), marker("anthropic"))
    assert heard.error is not None
    assert heard.error.kind == "cut"


async def test_usage_of_a_broken_answer() -> None:
    """What is known of the costs is reported also where the answer breaks off."""
    heard = await hear(text(0, "a"))
    assert heard.events[-1] == e.UsageReported(7, 1)


@pytest.mark.parametrize(
    ("trimmed", "words", "want"),
    [(" ", (" world",), "world"), ("\n\n", ("world",), "world"), (" ", ("", " ", " w"), " w"), ("", (" w",), " w")],
)
async def test_white_space_at_a_seam(trimmed: str, words: tuple[str, ...], want: str) -> None:
    """White space that was cut from a partial answer is not said twice."""
    frames = [START, text(0, *words), end("end_turn")]
    heard = await read("anthropic", frames, AnthropicNormaliser(trimmed=trimmed))
    assert heard.text == want


async def test_halves_in_arguments() -> None:
    """Arguments whose characters come in halves are whole again."""
    deltas = b"".join(
        b'data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"%s"}}\n\n'
        % p
        for p in (rb"{\"a\": \"\ud83d", rb"\ude00\"}")
    )
    start = typed(
        "content_block_start", index=0, content_block={"type": "tool_use", "id": "t", "name": "f", "input": {}}
    )
    heard = await hear(start + deltas + typed("content_block_stop", index=0), end("tool_use"))
    call = heard.calls[0]
    assert isinstance(call, ToolCallPart)
    assert (call.arguments, call.state) == ({"a": "😀"}, "ready")
