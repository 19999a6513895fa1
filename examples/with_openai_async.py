"""With the async OpenAI SDK, and the whole answer at the end: python examples/with_openai_async.py "Hello"."""

import asyncio
import os
import sys

from openai import AsyncOpenAI


async def main() -> None:
    # `async with` closes the connection whatever happens; a loop that is left early would keep it open.
    url = os.environ.get("STREAMCHAT_URL", "http://localhost:3000") + "/v1"
    async with AsyncOpenAI(base_url=url, api_key="none-is-needed") as client:
        model = os.environ.get("STREAMCHAT_MODEL") or (await client.models.list()).data[0].id
        # `stream()` puts the answer together. What `create(stream=True)` returns only yields chunks.
        async with client.chat.completions.stream(
            model=model,
            messages=[{"role": "user", "content": " ".join(sys.argv[1:]) or "Hello"}],
            stream_options={"include_usage": True},
        ) as stream:
            async for event in stream:
                if event.type == "content.delta":
                    print(event.delta, end="", flush=True)
            answer = await stream.get_final_completion()
    choice = answer.choices[0]
    words = len((choice.message.content or "").split())
    print(f"\n{choice.finish_reason} {words} words {answer.usage.completion_tokens} tokens")


asyncio.run(main())
