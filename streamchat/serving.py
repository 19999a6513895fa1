"""Serves the built app on sockets that are there already, with uvicorn, in this process.

Knows nothing of other processes, and builds nothing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Sequence

from streamchat import build

GRACE_SECONDS = 3


def serve(sockets: Sequence[socket.socket], ready: Callable[[], None]) -> None:
    """Until SIGTERM or SIGINT; ``ready`` is called once it serves."""
    # Reflex reads these at import: serve the build as it is, together with the backend.
    os.environ |= {
        "REFLEX_ENV_MODE": "prod",
        "__REFLEX_SKIP_COMPILE": "true",
        "__REFLEX_MOUNT_FRONTEND_COMPILED_APP": "true",
        # With a Redis: a worker keeps a tab's state at hand instead of fetching and storing it for every piece.
        "REFLEX_OPLOCK_ENABLED": "true",
    }
    os.chdir(build.ROOT)
    import uvicorn

    from streamchat.streamchat import app, wind_down

    config = uvicorn.Config(
        app(),
        log_level="warning",
        # Addresses carry Reflex's tab tokens.
        access_log=False,
        server_header=False,
        ws_max_size=2_000_000,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if not self.should_exit:
                ready()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            for server in self.servers:
                server.close()  # nobody new
            await wind_down()
            await super().shutdown(sockets)

    Server(config).run(list(sockets))
