"""What is sent: history, options and tools in each vendor's shape, as the real SDKs put them on the wire."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streamchat.chat.messages import (
    FilePart,
    ImagePart,
    Message,
    NoticePart,
    Part,
    ReasoningPart,
    TextPart,
    ToolCallPart,
)
from streamchat.chat.request import ANY_TOOL, Request, ToolSpec
from streamchat.providers.base import Capabilities
from streamchat.providers.history import CONTINUE
from streamchat.providers.openai.responses import KNOWN
from tests.integration.providers.replay import Asked, Reply, replay
from tests.unit.providers import wire
from tests.unit.providers.asking import KINDS, WEATHER, answer, ask, question, user

both = pytest.mark.parametrize("kind", KINDS)
PATHS = {"chat": "/v1/chat/completions", "responses": "/v1/responses", "anthropic": "/v1/messages"}

EVERYTHING = Capabilities(reasoning=True, images=True)
DONE = ToolCallPart("t1", "weather", '{"city": "Rome"}', {"city": "Rome"}, "done", result={"degrees": 20})


async def sent(kind: str, request: Request, capabilities: Capabilities = EVERYTHING) -> Asked:
    async with replay(Reply(wire.whole(kind, "ok"))) as server:
        heard = await ask(kind, server.url, request, capabilities_of=lambda model: capabilities)
    assert heard.error is None
    assert server.asked[0].path == PATHS[kind]
    return server.asked[0]


async def body(kind: str, request: Request, capabilities: Capabilities = EVERYTHING) -> dict[str, Any]:
    return (await sent(kind, request, capabilities)).body


def turns(kind: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    return body["input" if kind == "responses" else "messages"]


def bare(block: Any) -> Any:
    """Without cache markers."""
    if isinstance(block, list):
        return [bare(item) for item in block]
    return {k: bare(v) for k, v in block.items() if k != "cache_control"} if isinstance(block, dict) else block


@both
async def test_plain_question(kind: str) -> None:
    """The least there is: model, question, streaming; nothing is stored at the provider."""
    got = await body(kind, question(), Capabilities())
    assert (got["model"], got["stream"]) == ("m", True)
    if kind == "chat":
        assert got["messages"] == [{"role": "user", "content": "hi"}]
        assert got["stream_options"] == {"include_usage": True}
        assert set(got) == {"model", "messages", "stream", "stream_options"}
    elif kind == "responses":
        assert got["input"] == [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]
        assert set(got) == {"model", "input", "stream", "store"}
        assert got["store"] is False
    else:
        assert bare(got["messages"]) == [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
        assert set(got) == {"model", "messages", "stream", "max_tokens"}


@both
async def test_key_and_no_key(kind: str) -> None:
    """A server of one's own needs no key; a key that is set is sent."""
    async with replay(Reply(wire.whole(kind, "ok"))) as server:
        await ask(kind, server.url)
        await ask(kind, server.url, api_key="sk-own")
    assert [("sk-own" in str(asked.headers)) for asked in server.asked] == [False, True]


@both
async def test_the_run_is_named(kind: str) -> None:
    """In a header, so that the provider's log and ours have one id; a request without a run names none."""
    for run_id in ("", "run-1"):
        got = await sent(kind, replace(question(), run_id=run_id), EVERYTHING)
        assert ("x-client-request-id: run-1" in str(got.headers).lower().replace("'", "")) == bool(run_id)


@both
async def test_options(kind: str) -> None:
    """Temperature, token limit and effort go where the vendor wants them."""
    got = await body(kind, question(temperature=0.5, max_tokens=77, reasoning_effort="low"))
    if kind == "chat":
        assert (got["temperature"], got["max_tokens"], got["reasoning_effort"]) == (0.5, 77, "low")
    elif kind == "responses":
        assert (got["temperature"], got["max_output_tokens"]) == (0.5, 77)
        assert got["reasoning"] == {"summary": "auto", "effort": "low"}
        assert got["include"] == ["reasoning.encrypted_content"]
    else:
        assert got["max_tokens"] == 77
        assert (got["thinking"], got["output_config"]) == (
            {"type": "adaptive", "display": "summarized"},
            {"effort": "low"},
        )
        assert "temperature" not in got  # not beside thinking


async def test_a_temperature_reaches_messages() -> None:
    """Whatever the SDK thinks of it."""
    got = await body("anthropic", question(temperature=0.5), Capabilities())
    assert got["temperature"] == 0.5
    got = await body(
        "anthropic", question(temperature=0.5, top_p=0.9), Capabilities(refuses=frozenset({"temperature"}))
    )
    assert ("temperature" in got, got["top_p"]) == (False, 0.9)


@both
async def test_sampling_and_stop(kind: str) -> None:
    """Each under the vendor's name; Responses has no stop and no seed, Messages no seed."""
    got = await body(kind, question(top_p=0.25, stop=("END", "\n\n"), seed=7), Capabilities())
    assert got["top_p"] == 0.25
    if kind == "chat":
        assert (got["stop"], got["seed"]) == (["END", "\n\n"], 7)
    elif kind == "anthropic":
        assert got["stop_sequences"] == ["END", "\n\n"]
        assert "seed" not in got
    else:
        assert not {"stop", "seed"} & set(got)
    assert "stop" in KNOWN.capabilities("anything").refuses
    nothing = await body(kind, question(), Capabilities())
    assert not {"top_p", "stop", "stop_sequences", "seed", "tool_choice", "parallel_tool_calls"} & set(nothing)


@both
@pytest.mark.parametrize("choice", [ANY_TOOL, "weather"])
async def test_a_forced_tool(kind: str, choice: str) -> None:
    """Any, or one by its name; at most one call if that is wanted."""
    got = await body(kind, question(tools=(WEATHER,), tool_choice=choice, parallel_tool_calls=False))
    named = choice != ANY_TOOL
    if kind == "chat":
        assert got["tool_choice"] == ({"type": "function", "function": {"name": "weather"}} if named else "required")
    elif kind == "responses":
        assert got["tool_choice"] == ({"type": "function", "name": "weather"} if named else "required")
    else:
        form = {"type": "tool", "name": "weather"} if named else {"type": "any"}
        assert got["tool_choice"] == form | {"disable_parallel_tool_use": True}
        forced = await body(kind, question(tools=(WEATHER,), tool_choice=choice, reasoning_effort="high"))
        assert "thinking" not in forced
    if kind != "anthropic":
        assert got["parallel_tool_calls"] is False
    only = await body(kind, question(tools=(WEATHER,), parallel_tool_calls=False))
    assert only.get("parallel_tool_calls") is False or only["tool_choice"] == {
        "type": "auto",
        "disable_parallel_tool_use": True,
    }


@both
async def test_what_a_model_refuses_is_not_sent(kind: str) -> None:
    """Options that a model does not take are left out: data decides, not the model's name."""
    refuses = Capabilities(tools=False, refuses=frozenset({"temperature", "max_tokens", "reasoning_effort"}))
    request = question(tools=(WEATHER,), temperature=0.5, max_tokens=77, reasoning_effort="low")
    got = await body(kind, request, refuses)
    unwanted = {"temperature", "max_output_tokens", "reasoning_effort", "reasoning", "thinking", "include", "tools"}
    assert not unwanted & set(got)
    assert got.get("max_tokens") != 77


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        ("claude-sonnet-4-5", {"type": "enabled", "budget_tokens": 8192}),
        ("claude-opus-4-6", {"type": "adaptive", "display": "summarized"}),
        ("claude-opus-5-5", {"type": "adaptive", "display": "summarized"}),
        ("claude-3-5-haiku-20241022", None),
    ],
)
async def test_thinking_as_the_family_wants_it(model: str, thinking: dict[str, Any] | None) -> None:
    """Older families take a budget, newer ones an effort, the oldest nothing."""
    from streamchat.providers.anthropic.messages import KNOWN, anthropic_body

    request = question(model=model, reasoning_effort="medium", max_tokens=20_000)
    got, _ = anthropic_body(request, KNOWN.capabilities(model))
    assert got.get("thinking") == thinking
    if thinking and "budget_tokens" in thinking:
        assert got["max_tokens"] == 20_000 > thinking["budget_tokens"]


@pytest.mark.parametrize("effort", [None, "none"])
async def test_no_thinking_unless_asked(effort: str | None) -> None:
    """Without an effort the model's own default holds."""
    assert "thinking" not in await body("anthropic", question(reasoning_effort=effort))


CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


@both
@pytest.mark.parametrize("schema", [CLOSED, {"type": "object", "properties": {"a": {"type": "string"}}}])
async def test_schema(kind: str, schema: dict[str, Any]) -> None:
    """A schema goes into the vendor's own field; strict only where strict mode would take it."""
    got = await body(kind, question(schema=schema))
    strict = schema is CLOSED
    if kind == "chat":
        json_schema = {"name": "answer", "schema": schema, "strict": strict}
        assert got["response_format"] == {"type": "json_schema", "json_schema": json_schema}
    elif kind == "responses":
        assert got["text"] == {"format": {"type": "json_schema", "name": "answer", "schema": schema, "strict": strict}}
    else:
        assert got["output_config"] == {"format": {"type": "json_schema", "schema": schema}}


@both
async def test_schema_in_words(kind: str) -> None:
    """A model that cannot be held to a schema is asked for it."""
    got = await body(kind, question(schema=CLOSED), Capabilities(schema=False))
    assert not {"response_format", "text", "output_config"} & set(got)
    assert "additionalProperties" in str(got)


@both
async def test_not_streaming(kind: str) -> None:
    """A whole answer is asked for with the vendor's other call, and read as the same events."""
    import json

    whole = Reply(json.dumps(wire.message(kind, "hello")).encode(), content_type="application/json")
    async with replay(whole) as server:
        heard = await ask(kind, server.url, question(stream=False))
    assert not server.asked[0].body.get("stream")
    assert (heard.text, heard.reason, heard.error) == ("hello", "stop", None)


@both
async def test_system_prompt(kind: str) -> None:
    """It stands where the vendor wants it, with what system messages add."""
    request = Request("m", (Message("s", "system", (TextPart("Be kind."),)), user("hi")), system="Be brief.")
    got, text = await body(kind, request), "Be brief.\n\nBe kind."
    if kind == "chat":
        assert got["messages"][0] == {"role": "system", "content": text}
    elif kind == "responses":
        assert got["instructions"] == text
    else:
        assert got["system"] == [{"type": "text", "text": text, "cache_control": {"type": "ephemeral"}}]


@both
async def test_images_and_files(kind: str) -> None:
    """Pictures in the vendor's shape, text files as labelled text."""
    parts = ("look", ImagePart("image/png", "QUJD", "a.png"), FilePart('n"otes.txt', "line"))
    content = bare(turns(kind, await body(kind, question(user(*parts))))[0]["content"])
    file = '<file name="n\'otes.txt">\nline\n</file>'
    if kind == "chat":
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
        assert content == [{"type": "text", "text": "look"}, image, {"type": "text", "text": file}]
    elif kind == "responses":
        image = {"type": "input_image", "image_url": "data:image/png;base64,QUJD", "detail": "auto"}
        assert content == [{"type": "input_text", "text": "look"}, image, {"type": "input_text", "text": file}]
    else:
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QUJD"}}
        assert content == [{"type": "text", "text": "look"}, image, {"type": "text", "text": file}]


@both
async def test_a_pdf_as_it_is(kind: str) -> None:
    """A PDF with its bytes is a document of the vendor's, one without is text."""
    whole = FilePart("a.pdf", "", "application/pdf", "file-id", "QUJD", pages=1)
    read = FilePart("a.pdf", "its text", "application/pdf", "file-id", pages=1)
    content = bare(turns(kind, await body(kind, question(user(whole, read))))[0]["content"])
    url = "data:application/pdf;base64,QUJD"
    if kind == "chat":
        document = {"type": "file", "file": {"filename": "a.pdf", "file_data": url}}
    elif kind == "responses":
        document = {"type": "input_file", "filename": "a.pdf", "file_data": url}
    else:
        source = {"type": "base64", "media_type": "application/pdf", "data": "QUJD"}
        document = {"type": "document", "source": source, "title": "a.pdf"}
    assert content[0] == document
    assert content[1]["text"] == '<file name="a.pdf">\nits text\n</file>'


@both
async def test_a_picture_for_a_model_that_cannot_see(kind: str) -> None:
    """It is named in words instead."""
    got = await body(kind, question(user("look", ImagePart("image/png", "QUJD", "a.png"))), Capabilities(images=False))
    assert "QUJD" not in str(got)
    assert "a.png" in str(got)


@both
async def test_tools(kind: str) -> None:
    """Tools with their schemas."""
    (tool,) = (await body(kind, question(tools=(WEATHER,))))["tools"]
    inner = tool["function"] if kind == "chat" else tool
    assert (inner["name"], inner["description"]) == (WEATHER.name, WEATHER.description)
    assert inner["input_schema" if kind == "anthropic" else "parameters"] == WEATHER.parameters


def loop(*parts: Part | str, **fields: Any) -> Request:
    return question(user("hi"), answer(*parts, status="streaming", **fields))


@both
async def test_tool_loop(kind: str) -> None:
    """Text, calls and results in the vendor's order; the results end the request."""
    second = ToolCallPart("t2", "time", "{}", {}, "error", error="It broke.")
    got = turns(kind, await body(kind, loop("Let me see.", DONE, second)))[1:]
    if kind == "chat":
        assert [m["role"] for m in got] == ["assistant", "tool", "tool"]
        assert got[0]["content"] == "Let me see."
        assert [c["function"] for c in got[0]["tool_calls"]] == [
            {"name": "weather", "arguments": '{"city": "Rome"}'},
            {"name": "time", "arguments": "{}"},
        ]
        assert [(m["tool_call_id"], m["content"]) for m in got[1:]] == [
            ("t1", '{"degrees": 20}'),
            ("t2", "Error: It broke."),
        ]
    elif kind == "responses":
        assert [item.get("type", item.get("role")) for item in got] == [
            *["assistant", "function_call", "function_call"],
            *["function_call_output", "function_call_output"],
        ]
        assert (got[1]["call_id"], got[1]["arguments"]) == ("t1", '{"city": "Rome"}')
        assert (got[3]["call_id"], got[3]["output"]) == ("t1", '{"degrees": 20}')
    else:
        assert [m["role"] for m in got] == ["assistant", "user"]
        use = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Rome"}}
        assert got[0]["content"][:2] == [{"type": "text", "text": "Let me see."}, use]
        results = bare(got[1]["content"])
        assert results[0] == {"type": "tool_result", "tool_use_id": "t1", "content": '{"degrees": 20}'}
        assert results[1]["is_error"] is True


@both
async def test_several_rounds_in_one_answer(kind: str) -> None:
    """What was said after a result comes after it."""
    second = ToolCallPart("t2", "weather", "{}", {}, "done", result="sunny")
    got = turns(kind, await body(kind, loop(DONE, "And now?", second)))[1:]
    if kind == "responses":
        shapes = [item.get("type", item.get("role")) for item in got]
        assert shapes == ["function_call", "function_call_output", "assistant", "function_call", "function_call_output"]
    else:
        assert [m["role"] for m in got] == (["assistant", "tool"] if kind == "chat" else ["assistant", "user"]) * 2


@both
async def test_text_behind_a_call_of_the_same_round(kind: str) -> None:
    """What the model said after its call in the same breath stays before the result."""
    import dataclasses

    call = dataclasses.replace(DONE, opaque={"said_after": 5})
    got = turns(kind, await body(kind, loop(call, "Wait.Done.")))[1:]
    if kind == "responses":
        assert [item.get("content") or item["type"] for item in got[:4]] == [
            *["function_call", "Wait.", "function_call_output", "Done."]
        ]
    elif kind == "chat":
        assert [m.get("content") for m in got[:3]] == ["Wait.", '{"degrees": 20}', "Done."]
    else:
        assert got[0]["content"][1] == {"type": "text", "text": "Wait."}
        assert got[2]["content"][0]["text"] == "Done."


@both
@pytest.mark.parametrize("state", ["invalid", "denied", "timeout", "stopped", "unknown", "receiving"])
async def test_every_call_is_answered(kind: str, state: Any) -> None:
    """A call that never ran has an answer that says so, and arguments that are an object."""
    call = ToolCallPart("t1", "weather", '{"ci', None, state, error="Not run." if state != "receiving" else None)
    got = str(await body(kind, loop(call)))
    assert "Error: " in got
    assert '{"ci' not in got


@both
async def test_results_as_messages_of_their_own(kind: str) -> None:
    """Where a history has tool messages, the results are not sent twice."""
    got = turns(kind, await body(kind, question(user("hi"), answer(DONE), Message("t", "tool", (DONE,)))))
    assert str(got).count("degrees") == 1


SIGNED = ReasoningPart("I think", {"anthropic": {"type": "thinking", "signature": "sig"}})
REDACTED = ReasoningPart("", {"anthropic": {"type": "redacted_thinking", "data": "xyz"}})


async def test_signed_thinking_goes_back() -> None:
    """Signed and redacted blocks go back as they came, in their order; unsigned thinking does not."""
    got = (await body("anthropic", loop(SIGNED, REDACTED, ReasoningPart("unsigned"), DONE)))["messages"][1]["content"]
    assert got[:2] == [
        {"type": "thinking", "thinking": "I think", "signature": "sig"},
        {"type": "redacted_thinking", "data": "xyz"},
    ]
    assert "unsigned" not in str(got)


async def test_encrypted_reasoning_goes_back() -> None:
    """Reasoning items go back verbatim before what they led to, and not where nothing follows."""
    item = {"type": "reasoning", "id": "rs", "encrypted_content": "xyz", "summary": []}
    frame = {"type": "function_call", "id": "fc", "call_id": "t1", "name": "weather", "namespace": "n"}
    thought = ReasoningPart("hm", {"responses": [item]})
    call = ToolCallPart("t1", "weather", "{}", {}, "done", result=1, opaque={"responses": [frame]})
    got = (await body("responses", loop(thought, call)))["input"][1:3]
    assert got == [item, {**frame, "arguments": "{}"}]
    assert item not in (await body("responses", question(user("a"), answer(thought), user("b"))))["input"]


async def test_reasoning_details_go_back() -> None:
    """Blocks of a router go back whole."""
    details = [{"type": "reasoning.text", "text": "a", "signature": "s"}]
    thought = ReasoningPart("a", {"chat": {"reasoning_details": details}})
    assert (await body("chat", loop(thought, DONE)))["messages"][1]["reasoning_details"] == details


@pytest.mark.parametrize(("model", "field"), [("deepseek-chat", "reasoning_content"), ("llama-3", None)])
async def test_reasoning_as_a_field(model: str, field: str | None) -> None:
    """Only in a tool loop, and only to models that ask for it, thinking goes back as a field."""
    own = {"model": model}
    request = question(user("hi"), answer(ReasoningPart("hm"), DONE, **own), model=model)
    got = (await body("chat", request))["messages"][1]
    assert got.get("reasoning_content") == ("hm" if field else None)
    later = question(user("hi"), answer(ReasoningPart("hm"), DONE, "ok", **own), user("more"), model=model)
    assert "hm" not in str(await body("chat", later))


@both
async def test_opaque_data_of_another_model_stays(kind: str) -> None:
    """Signatures and items mean nothing to another model; its text and calls do."""
    opaque = {"anthropic": {"type": "thinking", "signature": "SECRET"}, "responses": [{"type": "SECRET"}]}
    parts = (ReasoningPart("hm", opaque), NoticePart("x", "x", opaque=opaque), "text", DONE)
    got = str(await body(kind, loop(*parts, model="other:model")))
    assert "SECRET" not in got
    assert "text" in got
    assert "degrees" in got


async def test_model_names_with_our_prefix_are_the_same_model() -> None:
    """``provider:name`` in a message is ``name`` in a request."""
    got = str(await body("anthropic", loop(SIGNED, DONE, model="anthropic:m")))
    assert "sig" in got


def searched(at: int, name: str, result_at: int | None, of: str = "m1") -> ToolCallPart:
    call = {"type": "server_tool_use", "id": name, "name": "search", "input": {}}
    kept: dict[str, Any] = {"call": call, "of": of, "at": at}
    if result_at is not None:
        kept |= {"result": {"type": "search_tool_result", "tool_use_id": name}, "result_of": of, "result_at": result_at}
    state = "done" if result_at is not None else "ready"
    return ToolCallPart(name, "search", "{}", {}, state, by_provider=True, opaque={"anthropic": kept})


@pytest.mark.parametrize(
    ("parts", "order"),
    [
        ((searched(0, "a", 1), searched(2, "b", 3)), "a A b B"),
        ((searched(0, "a", 3), searched(1, "b", 2)), "a b B A"),
        ((searched(0, "a", 2), searched(1, "b", 3), "text"), "a b A B text"),
        ((searched(0, "a", 1), "text", searched(3, "b", 4)), "a A text b B"),
        ((searched(0, "a", None), "text"), "text"),
    ],
)
async def test_blocks_of_the_provider_go_back_in_their_order(parts: tuple[Any, ...], order: str) -> None:
    """Calls and results of the provider's own tools, verbatim; a call without a result does not."""
    request = question(user("hi"), answer(*parts), user("more"))
    got = (await body("anthropic", request))["messages"][1]["content"]
    names = [b.get("id") or b.get("tool_use_id", "").upper() or b.get("text") for b in got]
    assert " ".join(names) == order


async def test_a_pause_goes_back_as_it_is() -> None:
    """After a pause the answer goes back unchanged, and nothing is asked in words."""
    paused = answer("text", searched(1, "a", None), status="streaming", stop_reason="pause")
    got = (await body("anthropic", question(user("hi"), paused)))["messages"]
    assert [m["role"] for m in got] == ["user", "assistant"]
    assert got[1]["content"][-1]["type"] == "server_tool_use"


@both
async def test_continue_by_asking(kind: str) -> None:
    """A model that takes no prefill gets its partial answer, and is asked to go on."""
    got = turns(kind, await body(kind, question(user("hi"), answer("Once upon"))))
    assert CONTINUE in str(got[-1])
    assert "Once upon" in str(got[-2])


@both
async def test_continue_by_prefill(kind: str) -> None:
    """A model that takes a prefill gets its partial answer last."""
    capabilities = Capabilities(reasoning=True, continues="prefill")
    got = await body(kind, question(user("hi"), answer("Once upon \n"), reasoning_effort="high"), capabilities)
    last = turns(kind, got)[-1]
    assert last["role"] == "assistant"
    if kind == "anthropic":
        assert last["content"] == [{"type": "text", "text": "Once upon"}]
        assert "thinking" not in got
    else:
        assert last["content"] == "Once upon \n"


@both
async def test_no_continuation_after_a_tool_result(kind: str) -> None:
    """The next step of a tool loop is no continuation."""
    for capabilities in (Capabilities(), Capabilities(continues="prefill")):
        assert CONTINUE not in str(await body(kind, loop("text", DONE), capabilities))


async def test_cache_markers() -> None:
    """System prompt and the last two turns of the person are marked, no more than four in all."""
    messages = [user("1"), answer("2"), user("3"), answer("4"), user("5")]
    got = await body("anthropic", Request("m", tuple(messages), system="s"))
    marked = [i for i, m in enumerate(got["messages"]) if "cache_control" in m["content"][-1]]
    assert marked == [2, 4]
    assert str(got).count("cache_control") == 3


async def test_a_refused_turn_is_left_out() -> None:
    """The provider asks for it: else everything after it is refused too. Retry still asks the same."""
    refused = answer("No", stop_reason="refusal")
    got = (await body("anthropic", question(user("bad"), refused, user("good"))))["messages"]
    assert bare(got) == [{"role": "user", "content": [{"type": "text", "text": "good"}]}]


@both
async def test_empty_turns_are_left_out(kind: str) -> None:
    """An answer that failed before its first word leaves no hole, and questions in a row are one turn."""
    got = turns(kind, await body(kind, question(user("a"), answer(status="failed"), user("b", " "), user())))
    assert len(got) == 1
    assert got[0]["role"] == "user"


async def test_ids_that_a_vendor_would_refuse() -> None:
    """Ids of other vendors are made to fit, in call and result alike."""
    import dataclasses

    got = (await body("anthropic", loop(dataclasses.replace(DONE, id="call:1/ü"))))["messages"]
    assert got[1]["content"][0]["id"] == got[2]["content"][0]["tool_use_id"] == "call_1__"


async def test_summaries_that_an_organisation_may_not_see() -> None:
    """The API then refuses the whole request: it is asked again without, and remembered."""
    import json

    message = "Your organization must be verified to generate reasoning summaries."
    no = json.dumps({"error": {"message": message, "type": "invalid_request_error"}}).encode()
    refusal = Reply(no, status=400, content_type="application/json")
    async with replay(refusal, Reply(wire.whole("responses", "ok"))) as server:
        from tests.unit.providers.asking import hear, provider_at

        provider = provider_at("responses", server.url, capabilities_of=lambda model: EVERYTHING)
        for _ in range(2):
            heard = await hear(provider.stream(question(reasoning_effort="low")))
            assert (heard.text, heard.error) == ("ok", None)
        await provider.close()
    assert [asked.body["reasoning"] for asked in server.asked] == [
        {"summary": "auto", "effort": "low"},
        {"effort": "low"},
        {"effort": "low"},
    ]


@both
async def test_the_search_of_the_vendor(kind: str) -> None:
    """It is sent beside our tools where the model has it, and to no other."""
    able, request = Capabilities(web_search=True), question(web_search=True)
    own = {"responses": {"type": "web_search"}, "anthropic": {"type": "web_search_20250305", "name": "web_search"}}
    assert (await body(kind, request, able)).get("tools") == ([own[kind]] if kind in own else None)
    tool = ToolSpec("x", "", {"type": "object"})
    tools = (await body(kind, replace(request, tools=(tool,)), able))["tools"]
    assert len(tools) == 1 + (kind in own)
    assert "tools" not in await body(kind, request, Capabilities())
    assert "tools" not in await body(kind, question(), able)
