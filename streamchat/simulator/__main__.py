"""Entry point of the child process ``python -m streamchat.simulator``, which ``SubprocessServer`` starts."""

from __future__ import annotations

import asyncio

from streamchat.processes import subprocess_server
from streamchat.simulator.server import Server
from streamchat.simulator.wire_anthropic import AnthropicWire
from streamchat.simulator.wire_chat import ChatWire
from streamchat.simulator.wire_responses import ResponsesWire


async def main() -> None:
    """Serve until the parent closes stdin."""
    server = Server(subprocess_server.take_key(), (ChatWire(), ResponsesWire(), AnthropicWire()))
    subprocess_server.report(port=await server.start())
    await asyncio.Event().wait()  # until stdin is closed


if __name__ == "__main__":
    asyncio.run(main())
