"""A child process: the app on a server of choice, so that the choice of ``streamchat run`` can be compared.

``python -m bench.serve [--server uvicorn|granian] [--ws …] [--loop …] [--no-deflate]``; needs a current build.
"""

from __future__ import annotations

import argparse
import os

from streamchat.serving import asgi_app


def target():
    """The ASGI app, for a server that wants a factory."""
    return asgi_app()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--server", choices=("uvicorn", "granian"), default="uvicorn")
    parser.add_argument("--ws", default="auto")
    parser.add_argument("--loop", default="asyncio")
    parser.add_argument("--no-deflate", action="store_true")
    asked = parser.parse_args()
    port = int(os.environ["PORT"])
    if asked.server == "granian":
        from granian import Granian
        from granian.constants import Interfaces, Loops

        loop = Loops.uvloop if asked.loop == "uvloop" else Loops.asyncio
        Granian(
            "bench.serve:target", port=port, interface=Interfaces.ASGI, factory=True, loop=loop, log_enabled=False
        ).serve()
        return
    import uvicorn

    uvicorn.run(
        target(),
        port=port,
        ws=asked.ws,
        loop=asked.loop,
        ws_per_message_deflate=not asked.no_deflate,
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
