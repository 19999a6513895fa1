"""With the Anthropic SDK: python examples/with_anthropic.py "Hello"."""

import os
import sys

from anthropic import Anthropic

client = Anthropic(base_url=os.environ.get("STREAMCHAT_URL", "http://localhost:3000"), api_key="none-is-needed")
with client.messages.stream(
    model=os.environ.get("STREAMCHAT_MODEL", "simulator:tour"),
    max_tokens=1000,
    messages=[{"role": "user", "content": " ".join(sys.argv[1:]) or "Hello"}],
) as stream:
    for piece in stream.text_stream:
        print(piece, end="", flush=True)
    message = stream.get_final_message()
print(f"\n{message.stop_reason} {message.usage.output_tokens} tokens")
