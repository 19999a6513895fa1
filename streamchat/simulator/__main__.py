"""Entry point of ``python -m streamchat.simulator``.

Without arguments it is the child process that ``SubprocessServer`` starts; with files it plays them (``player``).
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from streamchat.errors import InvalidInput
from streamchat.processes import subprocess_server
from streamchat.simulator.player import Player, read_recording
from streamchat.simulator.server import Server
from streamchat.simulator.wire_anthropic import AnthropicWire
from streamchat.simulator.wire_chat import ChatWire
from streamchat.simulator.wire_responses import ResponsesWire


async def main() -> None:
    """Serve until the parent closes stdin."""
    server = Server(subprocess_server.take_key(), (ChatWire(), ResponsesWire(), AnthropicWire()))
    subprocess_server.report(port=await server.start())
    await asyncio.Event().wait()  # until stdin is closed


async def play(arguments: argparse.Namespace) -> None:
    """Play recordings until the program is interrupted."""
    player = Player([read_recording(path) for path in arguments.files], arguments.speed)
    port = await player.start(arguments.port)
    print(f"http://127.0.0.1:{port}", flush=True)  # noqa: T201 what the command says
    await asyncio.Event().wait()


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parse the command line of the player."""
    parser = argparse.ArgumentParser(prog="python -m streamchat.simulator", description="Play raw recordings.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="of the folder STREAMCHAT_RECORD, in order")
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster than recorded; 0: at once")
    parser.add_argument("--port", type=int, default=0, help="by default any free one")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        asyncio.run(play(parse(sys.argv[1:])) if len(sys.argv) > 1 else main())
    except InvalidInput as error:
        sys.exit(error.user_message)
    except KeyboardInterrupt:
        sys.exit(130)
