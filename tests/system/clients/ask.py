"""Asks a server with the real packages of clients: ``python ask.py CLIENT=FEATURE,… …``, run by their own Python.

Prints what each client made of it, as JSON. ``URL`` is the server's, ``TEXT`` the question. No module of ours is there.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from typing import Any

URL, TEXT = os.environ["URL"], os.environ["TEXT"]
BASE, KEY = f"{URL}/v1", "sk-none"
TOUR, TOOLS, THINKS = "simulator:tour", "simulator:tools", "simulator:reasoning"
STOP = {"X-Stop-On-Disconnect": "1"}
# What several of the clients import: a second of CPU for each of them.
SHARED = (
    "openai.resources.chat.completions",
    "openai.resources.responses",
    "anthropic.resources.messages",
    "langchain_core.messages",
)
CLIENT = ""
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
FUNCTION = {"name": "weather", "description": "The weather of a city.", "parameters": SCHEMA}
Said = dict[str, Any]


def weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


def tell(said: Said) -> None:
    sys.stdout.write(json.dumps({"client": CLIENT, **said}) + "\n")
    sys.stdout.flush()


def leave() -> Said:
    """Go without closing anything: what these clients do when their program ends."""
    tell({"feature": "stop", "left": True})
    os._exit(0)


def openai(feature: str) -> Said:
    from openai import OpenAI

    client = OpenAI(base_url=BASE, api_key=KEY, default_headers=STOP if feature == "stop" else {})
    user = {"role": "user", "content": TEXT}
    if feature == "resume":
        first = client.responses.create(model=TOUR, input=TEXT, stream=True)
        head = [event for event, _ in zip(first, range(8), strict=False)]
        first.close()
        response_id, number = head[0].response.id, head[-1].sequence_number
        rest = list(client.responses.retrieve(response_id, stream=True, starting_after=number))
        events = [*head, *rest]
        text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
        return {"text": text, "pieces": len(rest)}
    if feature == "tools":
        tools = [{"type": "function", "function": FUNCTION}]
        with client.chat.completions.stream(model=TOOLS, messages=[user], tools=tools) as stream:
            call = stream.get_final_completion().choices[0].message.tool_calls[0]
        asked = {"id": call.id, "type": "function", "function": call.function.model_dump(include={"name", "arguments"})}
        result = {"role": "tool", "tool_call_id": call.id, "content": weather(**json.loads(call.function.arguments))}
        messages = [user, {"role": "assistant", "tool_calls": [asked]}, result]
        second = client.chat.completions.create(model=TOOLS, messages=messages, tools=tools, stream=True)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in second if chunk.choices)
        return {"call": call.function.name, "text": text}
    usage = {"include_usage": True}
    model = THINKS if feature == "reasoning" else TOUR
    chunks, thought, used = [], "", None
    for chunk in client.chat.completions.create(model=model, messages=[user], stream=True, stream_options=usage):
        if chunk.choices:
            chunks.append(chunk.choices[0].delta.content or "")
            thought += getattr(chunk.choices[0].delta, "reasoning_content", None) or ""
        used = chunk.usage or used
        if feature == "stop" and len(chunks) > 5:
            return {"left": True}
    counts = {"input": used.prompt_tokens, "output": used.completion_tokens} if used else None
    return {"text": "".join(chunks), "pieces": len(chunks), "thought": thought, "usage": counts}


def anthropic(feature: str) -> Said:
    from anthropic import Anthropic

    client = Anthropic(base_url=URL, api_key=KEY, default_headers=STOP if feature == "stop" else {})
    messages: list[Any] = [{"role": "user", "content": TEXT}]
    if feature == "tools":
        tools = [{"name": "weather", "description": "The weather of a city.", "input_schema": SCHEMA}]
        with client.messages.stream(model=TOOLS, max_tokens=999, messages=messages, tools=tools) as stream:
            answer = stream.get_final_message()
        call = next(block for block in answer.content if block.type == "tool_use")
        result = {"type": "tool_result", "tool_use_id": call.id, "content": weather(**call.input)}
        messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
        with client.messages.stream(model=TOOLS, max_tokens=999, messages=messages, tools=tools) as stream:
            return {"call": call.name, "text": stream.get_final_text()}
    more = {"thinking": {"type": "enabled", "budget_tokens": 2000}} if feature == "reasoning" else {}
    model = THINKS if feature == "reasoning" else TOUR
    pieces = []
    with client.messages.stream(model=model, max_tokens=4000, messages=messages, **more) as stream:
        for piece in stream.text_stream:
            pieces.append(piece)
            if feature == "stop" and len(pieces) > 5:
                return {"left": True}
        final = stream.get_final_message()
    thought = "".join(block.thinking for block in final.content if block.type == "thinking")
    counts = {"input": final.usage.input_tokens, "output": final.usage.output_tokens}
    return {"text": "".join(pieces), "pieces": len(pieces), "thought": thought, "usage": counts}


def langchain_openai(feature: str) -> Said:
    from langchain_openai import ChatOpenAI

    more: Said = {"default_headers": STOP} if feature == "stop" else {}
    if feature == "reasoning":
        more = {"use_responses_api": True, "reasoning": {"effort": "high", "summary": "auto"}}
    return _langchain(
        feature, lambda model: ChatOpenAI(model=model, base_url=BASE, api_key=KEY, stream_usage=True, **more)
    )


def langchain_anthropic(feature: str) -> Said:
    from langchain_anthropic import ChatAnthropic

    more: Said = {"default_headers": STOP} if feature == "stop" else {}
    if feature == "reasoning":
        more = {"thinking": {"type": "enabled", "budget_tokens": 2000}}
    return _langchain(
        feature, lambda model: ChatAnthropic(model=model, base_url=URL, api_key=KEY, max_tokens=4000, **more)
    )


def _langchain(feature: str, make: Callable[[str], Any]) -> Said:
    from langchain_core.messages import HumanMessage, ToolMessage

    if feature == "tools":
        model, messages = make(TOOLS).bind_tools([weather]), [HumanMessage(TEXT)]
        whole = None
        for chunk in model.stream(messages):
            whole = chunk if whole is None else whole + chunk
        call = whole.tool_calls[0]
        messages += [whole, ToolMessage(weather(**call["args"]), tool_call_id=call["id"])]
        return {"call": call["name"], "text": "".join(_text(chunk) for chunk in model.stream(messages))}
    whole, pieces = None, 0
    for chunk in make(THINKS if feature == "reasoning" else TOUR).stream([HumanMessage(TEXT)]):
        whole, pieces = chunk if whole is None else whole + chunk, pieces + bool(_text(chunk))
        if feature == "stop" and pieces > 5:
            return {"left": True}
    thought = "".join(block.get("reasoning", "") for block in whole.content_blocks if block["type"] == "reasoning")
    used = whole.usage_metadata or {}
    counts = {"input": used.get("input_tokens"), "output": used.get("output_tokens")}
    return {"text": _text(whole), "pieces": pieces, "thought": thought, "usage": counts}


def _text(chunk: Any) -> str:
    return chunk.text if isinstance(chunk.text, str) else chunk.text()


def litellm(feature: str) -> Said:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm as library

    def ask(model: str, messages: list[Any], **more: Any) -> Any:
        place = {"api_base": BASE, "api_key": KEY, "stream_options": {"include_usage": True}}
        return library.completion(model=f"openai/{model}", messages=messages, stream=True, **place, **more)

    user = {"role": "user", "content": TEXT}
    if feature == "tools":
        tools = [{"type": "function", "function": FUNCTION}]
        whole = library.stream_chunk_builder(list(ask(TOOLS, [user], tools=tools)))
        message = whole.choices[0].message
        call = message.tool_calls[0]
        result = {"role": "tool", "tool_call_id": call.id, "content": weather(**json.loads(call.function.arguments))}
        rest = ask(TOOLS, [user, message.model_dump(exclude_none=True), result], tools=tools)
        return {
            "call": call.function.name,
            "text": "".join(c.choices[0].delta.content or "" for c in rest if c.choices),
        }
    chunks, text, thought = [], [], ""
    headers = {"extra_headers": STOP} if feature == "stop" else {}
    for chunk in ask(THINKS if feature == "reasoning" else TOUR, [user], **headers):
        chunks.append(chunk)
        if chunk.choices:
            text.append(chunk.choices[0].delta.content or "")
            thought += getattr(chunk.choices[0].delta, "reasoning_content", None) or ""
        if feature == "stop" and len(text) > 5:
            return {"left": True}
    used = library.stream_chunk_builder(chunks).usage
    counts = {"input": used.prompt_tokens, "output": used.completion_tokens}
    return {"text": "".join(text), "pieces": len(text), "thought": thought, "usage": counts}


def llm(feature: str) -> Said:
    from llm.default_plugins.openai_models import Chat

    def make(name: str) -> Any:
        headers = STOP if feature == "stop" else None
        model = Chat(model_id=name, model_name=name, api_base=BASE, supports_tools=True, headers=headers)
        model.key = KEY
        return model

    if feature == "tools":
        called = []
        chain = make(TOOLS).chain(TEXT, tools=[weather], before_call=lambda tool, call: called.append(call.name))
        text = "".join(chain)
        return {"call": called[0], "text": text}
    pieces = []
    response = make(TOUR).prompt(TEXT, stream=True)
    for piece in response:
        pieces.append(piece)
        if feature == "stop" and len(pieces) > 5:
            return {"left": True}
    used = response.usage()
    return {"text": "".join(pieces), "pieces": len(pieces), "usage": {"input": used.input, "output": used.output}}


def pydantic_ai(feature: str) -> Said:
    from openai import AsyncOpenAI
    from pydantic_ai import Agent
    from pydantic_ai.messages import ThinkingPart, ToolCallPart
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    async def main() -> Said:
        client = AsyncOpenAI(base_url=BASE, api_key=KEY, default_headers=STOP if feature == "stop" else {})
        name = {"tools": TOOLS, "reasoning": THINKS}.get(feature, TOUR)
        agent = Agent(OpenAIChatModel(name, provider=OpenAIProvider(openai_client=client)))
        if feature == "tools":  # ``run_stream`` would end with the first text
            agent.tool_plain(weather)
            kinds = []

            async def handle(_: Any, events: Any) -> None:
                kinds.extend([type(event).__name__ async for event in events])

            done = await agent.run(TEXT, event_stream_handler=handle)
            calls = [p.tool_name for m in done.all_messages() for p in m.parts if isinstance(p, ToolCallPart)]
            return {"call": calls[0], "text": done.output, "pieces": kinds.count("PartDeltaEvent")}
        pieces = []
        async with agent.run_stream(TEXT) as stream:
            async for piece in stream.stream_text(delta=True, debounce_by=None):
                pieces.append(piece)
                if feature == "stop" and len(pieces) > 5:
                    return leave()
            parts = [part for message in stream.all_messages() for part in message.parts]
            used = stream.usage() if callable(stream.usage) else stream.usage
        thought = "".join(part.content for part in parts if isinstance(part, ThinkingPart))
        counts = {"input": used.input_tokens, "output": used.output_tokens}
        return {"text": "".join(pieces), "pieces": len(pieces), "thought": thought, "usage": counts}

    return asyncio.run(main())


def openai_agents(feature: str) -> Said:
    from agents import Agent, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
    from openai import AsyncOpenAI

    set_tracing_disabled(True)

    async def main() -> Said:
        client = AsyncOpenAI(base_url=BASE, api_key=KEY, default_headers=STOP if feature == "stop" else {})
        name = {"tools": TOOLS, "reasoning": THINKS}.get(feature, TOUR)
        tools = [function_tool(weather)] if feature == "tools" else []
        model = OpenAIResponsesModel(name, openai_client=client)
        result = Runner.run_streamed(Agent(name="a", model=model, tools=tools), TEXT)
        pieces, calls, thought = [], [], ""
        async for event in result.stream_events():
            kind = event.data.type if event.type == "raw_response_event" else ""
            if kind == "response.output_text.delta":
                pieces.append(event.data.delta)
            elif kind == "response.reasoning_summary_text.delta":
                thought += event.data.delta
            elif event.type == "run_item_stream_event" and event.name == "tool_called":
                calls.append(event.item.raw_item.name)
            if feature == "stop" and len(pieces) > 5:
                return leave()
        used = result.context_wrapper.usage
        counts = {"input": used.input_tokens, "output": used.output_tokens}
        return {"text": "".join(pieces), "pieces": len(pieces), "thought": thought, "usage": counts,
                "call": calls[0] if calls else None}  # fmt: skip

    return asyncio.run(main())


def instructor(feature: str) -> Said:
    import instructor as library
    from openai import OpenAI
    from pydantic import BaseModel

    class Weather(BaseModel):
        city: str

    client = library.from_openai(OpenAI(base_url=BASE, api_key=KEY))
    messages = [{"role": "user", "content": TEXT}]
    if feature == "text":  # an object that grows
        seen = [
            one.city
            for one in client.chat.completions.create_partial(model=TOUR, messages=messages, response_model=Weather)
        ]
        return {"text": seen[-1], "pieces": len(seen)}
    made, raw = client.chat.completions.create_with_completion(model=TOUR, messages=messages, response_model=Weather)
    used = raw.usage
    counts = {"input": used.prompt_tokens, "output": used.completion_tokens}
    return {"call": "Weather", "text": made.city, "usage": counts}


def play(features: list[str]) -> None:
    """What one client, in a process of its own, makes of each feature."""
    global TEXT
    for feature in features:
        TEXT = os.environ.get(f"TEXT_{feature}") or os.environ["TEXT"]
        try:
            said = globals()[CLIENT](feature)
        except Exception as error:  # the test says which
            said = {"error": f"{type(error).__name__}: {error}"[:2000]}
        tell({"feature": feature, **said})
    os._exit(0)  # clients that were left early may wait


for name in SHARED:
    with suppress(ImportError):
        import_module(name)
for word in sys.argv[1:]:
    CLIENT, _, names = word.partition("=")
    if not (pid := os.fork()):
        play(names.split(","))
    os.waitpid(pid, 0)
