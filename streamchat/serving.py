"""Serves the built app on existing sockets with uvicorn, in this process.

Knows nothing of other processes, and builds nothing.
"""

from __future__ import annotations

import asyncio
import atexit
import gc
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from streamchat import build
from streamchat.errors import StreamchatError
from streamchat.logs import set_up_logging
from streamchat.reflex_internals import copy_page, import_app
from streamchat.settings import load_settings

if TYPE_CHECKING:
    import reflex as rx
    from starlette.types import ASGIApp

GRACE_SECONDS = 3
TICK_SECONDS = 1.0
# Files that are open beside clients' connections: databases, Redis, providers, subprocesses, modules.
FILES = 256
# Python begins its collector after 700 new objects that are still there. With two hundred answers at once it did that
# sixty times a second, and looked at all that is young or old again each time: 14 % of all work, and pauses of 0.15 s.
GC_THRESHOLDS = (10_000, 10, 10)


def serve(sockets: Sequence[socket.socket], ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT. ``ready`` is called once the server accepts connections."""
    settings = load_settings()
    set_up_logging(settings.log)
    app = asgi_app()
    import uvicorn

    from streamchat.http_protocol import patient
    from streamchat.streamchat import wind_down

    config = uvicorn.Config(
        app,
        http=patient(settings.request_timeout),
        # Beyond it requests get 503, so that the process never runs out of file descriptors.
        limit_concurrency=connection_limit(settings.connections),
        log_level="warning",
        log_config=None,  # as everything else: streamchat/logs.py
        # URLs contain Reflex's tab tokens.
        access_log=False,
        server_header=False,
        # What a proxy says of its client is read in one place, whatever server this is: web/proxies.py.
        proxy_headers=False,
        ws_max_size=2_000_000,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )

    class Server(uvicorn.Server):
        def __init__(self, config: uvicorn.Config) -> None:
            super().__init__(config)
            self._signalled = asyncio.Event()
            self._loop: asyncio.AbstractEventLoop | None = None

        async def main_loop(self) -> None:
            # uvicorn's own wakes up ten times a second, to see whether a signal came. The tick renews the header Date.
            self._loop = asyncio.get_running_loop()
            while not await self.on_tick(0):
                with suppress(TimeoutError):
                    async with asyncio.timeout(TICK_SECONDS):
                        await self._signalled.wait()

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            super().handle_exit(sig, frame)
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._signalled.set)

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if not self.should_exit:
                # Modules and routes are there for good: going through them again and again stops the loop for 0.1 s.
                gc.freeze()
                gc.set_threshold(*GC_THRESHOLDS)
                ready()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            for server in self.servers:
                server.close()  # accept no new connections
            await wind_down()
            await super().shutdown(sockets)

    wind_down.called_by_server = True
    Server(config).run(list(sockets))


def connection_limit(requested: int) -> int:
    """Return how many connections a process may have: ``requested``, if the system allows as many open files."""
    try:
        import resource
    except ImportError:  # Windows
        return requested
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = requested + FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return requested if soft == resource.RLIM_INFINITY else min(requested, max(16, soft - FILES))


def asgi_app() -> ASGIApp:
    """Return the app with the built page. Call it once per process."""
    # With Redis: a worker caches a tab's state instead of loading and storing it for every piece.
    os.environ["REFLEX_OPLOCK_ENABLED"] = "true"
    return import_app(_page(), build.PACKAGE / "ui" / "serve", _load)


def _page() -> Path:
    """Return the folder of the built page; below a path of the public address, that of a copy made for it."""
    base = load_settings().public_path
    if not base:
        return build.web()
    try:
        folder = Path(tempfile.mkdtemp(prefix="streamchat-page-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        copy_page(build.web(), folder, base)
    except OSError as error:
        raise StreamchatError(f"The page cannot be copied for the path {base}: {error.strerror or error}.") from None
    return folder


def _load() -> rx.App:
    from streamchat.streamchat import app

    return app
