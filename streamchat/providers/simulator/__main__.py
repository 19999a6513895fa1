"""The child process: ``python -m streamchat.providers.simulator``. Started by ``child.Child``, not by hand."""

from __future__ import annotations

import asyncio

from streamchat.providers import child
from streamchat.providers.simulator.server import Server
from streamchat.providers.simulator.wire_anthropic import AnthropicWire
from streamchat.providers.simulator.wire_chat import ChatWire
from streamchat.providers.simulator.wire_responses import ResponsesWire


async def main() -> None:
    server = Server(child.take_key(), (ChatWire(), ResponsesWire(), AnthropicWire()))
    child.report(port=await server.start())
    await asyncio.Event().wait()  # until stdin ends


if __name__ == "__main__":
    asyncio.run(main())
