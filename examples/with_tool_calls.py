"""A tool loop that joins every fragment of the arguments: python examples/with_tool_calls.py "What is it?"."""

import json
import os
import sys

from openai import OpenAI

TOOLS = {"calculate": lambda expression: f"{expression} = ?", "current_time": lambda timezone: f"noon in {timezone}"}
DECLARED = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]},
        },
    }
    for name, argument in (("calculate", "expression"), ("current_time", "timezone"))
]

client = OpenAI(base_url=os.environ.get("STREAMCHAT_URL", "http://localhost:3000") + "/v1", api_key="none-is-needed")
messages: list = [{"role": "user", "content": " ".join(sys.argv[1:]) or "What is it?"}]
while True:
    text, calls, reason = "", {}, None
    with client.chat.completions.create(
        model=os.environ.get("STREAMCHAT_MODEL", "simulator:parallel-tools"),
        messages=messages,
        tools=DECLARED,
        stream=True,
    ) as stream:
        for choice in (choice for chunk in stream for choice in chunk.choices):
            reason = choice.finish_reason or reason
            text += choice.delta.content or ""
            print(choice.delta.content or "", end="", flush=True)
            for part in choice.delta.tool_calls or ():
                # The first fragment has the id and the name; those that follow only say which call they belong to.
                call = calls.setdefault(part.index, {"id": "", "name": "", "arguments": ""})
                call["id"] = part.id or call["id"]
                call["name"] = part.function.name or call["name"]
                call["arguments"] += part.function.arguments or ""
    # Arguments that were cut off may parse: a tool runs only if the model said that it wants it.
    if reason != "tool_calls":
        break
    functions = [{"name": call["name"], "arguments": call["arguments"]} for call in calls.values()]
    requested = [
        {"id": call["id"], "type": "function", "function": function}
        for call, function in zip(calls.values(), functions, strict=True)
    ]
    messages.append({"role": "assistant", "content": text, "tool_calls": requested})
    for call in calls.values():
        arguments = json.loads(call["arguments"])
        print(f"\n{call['name']}({arguments})", end="")
        result = TOOLS[call["name"]](**arguments)
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    print()
print(f"\n{reason} {len(messages)} messages")
