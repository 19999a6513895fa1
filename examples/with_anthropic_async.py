"""With the async Anthropic SDK: python examples/with_anthropic_async.py "Hello"."""

import asyncio
import os
import sys

from anthropic import AsyncAnthropic


async def main() -> None:
    url = os.environ.get("STREAMCHAT_URL", "http://localhost:3000")
    async with AsyncAnthropic(base_url=url, api_key="none-is-needed") as client:
        # Without `async with` there is no stream yet, only a manager of one.
        async with client.messages.stream(
            model=os.environ.get("STREAMCHAT_MODEL", "simulator:tour"),
            max_tokens=1000,
            messages=[{"role": "user", "content": " ".join(sys.argv[1:]) or "Hello"}],
        ) as stream:
            async for piece in stream.text_stream:
                print(piece, end="", flush=True)
            message = await stream.get_final_message()
    print(f"\n{message.stop_reason} {message.usage.output_tokens} tokens")


asyncio.run(main())
