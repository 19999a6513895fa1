"""With the OpenAI SDK, and so with every tool that is built on it: python examples/with_openai.py "Hello"."""

import os
import sys

from openai import OpenAI

client = OpenAI(base_url=os.environ.get("STREAMCHAT_URL", "http://localhost:3000") + "/v1", api_key="none-is-needed")
stream = client.chat.completions.create(
    model=os.environ.get("STREAMCHAT_MODEL") or client.models.list().data[0].id,
    messages=[{"role": "user", "content": " ".join(sys.argv[1:]) or "Hello"}],
    stream=True,
    stream_options={"include_usage": True},
)
for chunk in stream:
    for choice in chunk.choices:
        print(choice.delta.content or "", end="", flush=True)
    if chunk.usage:
        print(f"\n{chunk.usage.completion_tokens} tokens")
