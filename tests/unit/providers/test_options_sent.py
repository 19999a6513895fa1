"""No option gets lost: each that a model is said to take is in the request that its adapter builds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamchat.chat.messages import Message, TextPart
from streamchat.chat.request import ANY_TOOL, Options, Request, RunOptions, ToolSpec
from streamchat.providers.ag_ui import agent
from streamchat.providers.anthropic import messages
from streamchat.providers.base import Capabilities
from streamchat.providers.local.provider import Local
from streamchat.providers.model_capabilities import Families
from streamchat.providers.openai import chat, responses
from streamchat.providers.schema_tools import with_schema
from streamchat.simulator import provider as simulator
from tests.support.long import examples

QUESTION = (Message("q", "user", (TextPart("hello"),)),)
TOOLS = (ToolSpec("weather", "", {"type": "object"}), ToolSpec("time", "", {"type": "object"}))
OBEYED_HERE = {"stop"}
Build = Callable[[Request, Capabilities], dict[str, Any]]


def of(families: Families) -> list[tuple[str, Capabilities]]:
    """A model of each family, and one of none."""
    names = [family.prefixes[0] for family in families.families] + ["something-else"]
    return [(name, families.capabilities(name)) for name in names]


def anthropic_body(request: Request, able: Capabilities) -> dict[str, Any]:
    return messages.anthropic_body(request, able)[0]


LOCAL = Local().models[0].capabilities

CASES: list[tuple[str, Build, str, Capabilities]] = [
    *(("chat", chat.chat_body, *one) for one in of(chat.KNOWN)),
    *(("responses", responses.responses_body, *one) for one in of(responses.KNOWN)),
    *(("messages", anthropic_body, *one) for one in of(messages.KNOWN)),
    ("ag-ui", lambda request, _: agent.run_input(replace(request, conversation_id="c")), "agent", agent.CAPABILITIES),
    ("local", chat.chat_body, "smollm2", LOCAL),
    *(
        ("simulator", build, name, simulator.capabilities_over(families)(name))
        for build, families in ((chat.chat_body, chat.KNOWN), (anthropic_body, messages.KNOWN))
        for name in ("tour", "reasoning")
    ),
]  # fmt: skip
IDS = [f"{kind}-{name}" for kind, _, name, _ in CASES]


def options(tools: bool) -> st.SearchStrategy[Options]:
    """Any options that pass the checks of requests."""
    return st.builds(
        Options,
        temperature=st.none() | st.floats(0, 1),
        max_tokens=st.none() | st.integers(0, 20_000).map(lambda n: 2 * n + 1),  # odd: no model's own limit
        reasoning_effort=st.sampled_from([None, "none", "minimal", "low", "medium", "high"]),
        schema=st.sampled_from([None, {"type": "object"}]),
        stream=st.booleans(),
        top_p=st.none() | st.floats(0, 1),
        stop=st.sampled_from([(), ("a",), ("a", "b")]),
        seed=st.none() | st.integers(0, 99),
        tool_choice=st.sampled_from([None, ANY_TOOL, "weather"]) if tools else st.none(),
        parallel_tool_calls=st.sampled_from([None, True, False]) if tools else st.none(),
        web_search=st.sampled_from([None, True]),
    )


def bare(body: Any) -> Any:
    """Without what is another one each time."""
    return {name: value for name, value in body.items() if name != "runId"}


def is_given(name: str, value: Any, default: Any) -> bool:
    return value is not None and value != default


@pytest.mark.parametrize(("kind", "build", "model", "able"), CASES, ids=IDS)
@settings(max_examples=examples(60), deadline=None)
@given(data=st.data())
def test_each_option_is_sent_or_known_not_to_be(
    kind: str, build: Build, model: str, able: Capabilities, data: st.DataObject
):
    """Leaving one out changes the request if it is said to be sent, and does not if it is not."""
    tools = TOOLS if data.draw(st.booleans()) and able.tools else ()
    chosen = data.draw(options(bool(tools)))
    unsent = able.unsent(chosen)
    # Said to be refused or left out, so what the edges let through is without them.
    defaults: dict[str, Any] = {f.name: f.default for f in fields(Options)}
    kept = replace(chosen, **{name: defaults[name] for name in unsent})
    assert able.unsent(kept) == ()
    request = Request(model, QUESTION, options=kept, tools=tools)
    whole = bare(build(request, able))
    for field in fields(Options):
        value = getattr(kept, field.name)
        if not is_given(field.name, value, field.default) or field.name in OBEYED_HERE & able.refuses:
            continue
        if field.name == "stream" or (kind == "ag-ui" and field.name == "stop") or value == "none":
            continue
        if build is anthropic_body and field.name == "parallel_tool_calls" and value:  # what it does by itself
            continue
        without = bare(build(replace(request, options=replace(kept, **{field.name: defaults[field.name]})), able))
        assert whole != without, field.name
    for name in unsent:  # and what is left out does not go out in another way
        assert bare(build(replace(request, options=replace(kept, **{name: getattr(chosen, name)})), able)) == whole or (
            name in {second for _, second in able.excludes}
        )


@pytest.mark.parametrize("limit", [1500, 3000, 100_000])
def test_a_limit_of_tokens_is_never_raised(limit: int):
    """Thinking that is asked for has its budget within the limit that is asked for."""
    name = "claude-sonnet-4-5"
    request = Request(name, QUESTION, options=Options(max_tokens=limit, reasoning_effort="high"))
    body = anthropic_body(request, messages.KNOWN.capabilities(name))
    assert body["max_tokens"] == limit
    assert 1024 <= body["thinking"]["budget_tokens"] < limit


def test_by_a_schema():
    """A model that gets tools by a schema gets one call at a time; it cannot be made to call."""
    able = Capabilities(tools=False, schema_tools=True)
    assert able.unsent(Options(parallel_tool_calls=False)) == ()
    assert able.unsent(Options(tool_choice=ANY_TOOL)) == ("tool_choice",)
    request = Request("m", QUESTION, options=Options(temperature=0.5, seed=3), tools=TOOLS)
    assert with_schema(request).options == replace(request.options, schema=with_schema(request).options.schema)


@pytest.mark.parametrize("build", [chat.chat_body, responses.responses_body, anthropic_body])
@pytest.mark.parametrize("strict", [None, True, False])
def test_strict_tools(build: Build, strict: bool | None):
    """What a client asks for its tools is what the model's server is asked for."""
    tool = replace(TOOLS[0], strict=strict)
    request = Request("claude-sonnet-4-5", QUESTION, tools=(tool,))
    assert RunOptions.from_json(RunOptions(tools=(tool,)).to_json()).tools == (tool,)
    (sent,) = build(request, messages.KNOWN.capabilities(request.model))["tools"]
    told = sent.get("function", sent).get("strict")
    expected: dict[Build, bool | None] = {responses.responses_body: bool(strict), anthropic_body: strict or None}
    assert told == expected.get(build, strict)


def test_together():
    """What excludes another counts only if it is itself sent."""
    able = messages.KNOWN.capabilities("claude-sonnet-4-5")
    assert able.unsent(Options(temperature=0.5)) == ()
    assert able.unsent(Options(temperature=0.5, reasoning_effort="none")) == ()
    assert able.unsent(Options(temperature=0.5, reasoning_effort="high")) == ("temperature",)
    assert able.unsent(Options(0.5, reasoning_effort="high", tool_choice="weather")) == ("reasoning_effort",)
