"""An agent of Pydantic AI as a model: `pip install pydantic-ai-slim`, then
`streamchat run examples/model_pydantic_ai.py`.

`MODEL=openai:gpt-6-luna` chooses what it asks; `test` needs no network.
"""

from __future__ import annotations

import os

from pydantic_ai import Agent, FunctionToolCallEvent, FunctionToolResultEvent, PartDeltaEvent, PartStartEvent
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, TextPartDelta, ThinkingPartDelta, UserPromptPart

from streamchat import ReasoningDelta, ToolCall, ToolResult, UsageReported, model

agent = Agent(os.environ.get("MODEL", "test"), instructions="Answer in one sentence.")


@agent.tool_plain
def length(text: str) -> int:
    """Count the characters of a text."""
    return len(text)


@model(label="Pydantic AI", tools=False)
async def pydantic_ai(request):
    history = [
        ModelRequest([UserPromptPart(message.text)])
        if message.role == "user"
        else ModelResponse([TextPart(message.text)])
        for message in request.messages[:-1]
    ]
    async with agent.run_stream_events(request.text, message_history=history) as events:
        async for event in events:
            match event:
                case (
                    PartStartEvent(part=TextPart(content=text))
                    | PartDeltaEvent(delta=TextPartDelta(content_delta=text))
                ):
                    yield text
                case PartDeltaEvent(delta=ThinkingPartDelta(content_delta=str(text))):
                    yield ReasoningDelta(text)
                case FunctionToolCallEvent(part=call):
                    yield ToolCall(call.tool_name, call.args_as_dict(), call.tool_call_id, by_provider=True)
                case FunctionToolResultEvent(part=result):
                    yield ToolResult(result.tool_call_id, "done", str(result.content))
                case _ if event.event_kind == "agent_run_result":
                    usage = event.result.usage
                    usage = usage() if callable(usage) else usage
                    yield UsageReported(usage.input_tokens, usage.output_tokens)
