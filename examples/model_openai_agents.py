"""An agent of the OpenAI Agents SDK as a model: `pip install openai-agents`, then
`streamchat run examples/model_openai_agents.py`.

It asks what `OPENAI_API_KEY`, `OPENAI_BASE_URL` and `MODEL` say.
"""

from __future__ import annotations

import os

from agents import Agent, ModelSettings, OpenAIChatCompletionsModel, RunConfig, Runner, function_tool
from openai import AsyncOpenAI

from streamchat import ToolCall, ToolResult, UsageReported, model

client = AsyncOpenAI(api_key=os.environ.get("OPENAI_API_KEY", "none"))


@function_tool
def length(text: str) -> int:
    """Count the characters of a text."""
    return len(text)


agent = Agent(
    "Assistant",
    instructions="Answer in one sentence.",
    tools=[length],
    model=OpenAIChatCompletionsModel(os.environ.get("MODEL", "gpt-6-luna"), client),
    model_settings=ModelSettings(include_usage=True),
)


@model(label="OpenAI Agents", tools=False)
async def openai_agents(request):
    history = [{"role": message.role, "content": message.text} for message in request.messages]
    run = Runner.run_streamed(agent, history, run_config=RunConfig(tracing_disabled=True))
    async for event in run.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            yield event.data.delta
        elif event.type == "run_item_stream_event" and event.name == "tool_called":
            call = event.item.raw_item
            yield ToolCall(call.name, {"arguments": call.arguments}, call.call_id, by_provider=True)
        elif event.type == "run_item_stream_event" and event.name == "tool_output":
            yield ToolResult(event.item.raw_item["call_id"], "done", str(event.item.output))
    usage = run.context_wrapper.usage
    yield UsageReported(usage.input_tokens, usage.output_tokens)
