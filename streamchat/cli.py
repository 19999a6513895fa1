"""The command line: ``python -m streamchat run`` serves the app on this machine.

Knows how to start, not what is served. Every failure that a person can mend is one sentence and exit code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import socket
import sys
import time

from streamchat import __version__, build
from streamchat.errors import SettingsError, StreamchatError
from streamchat.settings import Settings, load_settings

GRACE_SECONDS = 3


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="streamchat", description="Chat that delivers answers token by token.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="build what changed and serve on http://localhost:3000 (PORT changes the port)")
    commands.add_parser("build", help="build the page if something it is made of has changed")
    asked = parser.parse_args(arguments)
    try:
        return _run() if asked.command == "run" else _build()
    except StreamchatError as error:
        print(error.user_message, file=sys.stderr)  # noqa: T201 the terminal is this module's page
        return 1


def _build() -> int:
    if not build.is_current():
        _say("Building the page …")
        build.build()
    return 0


def _run() -> int:
    started = time.monotonic()
    settings = load_settings()
    sockets = _listen(settings.port)
    asyncio.run(_check_database(settings))
    _build()
    _serve(settings, sockets, started)
    return 0


def _listen(port: int) -> list[socket.socket]:
    """Sockets on loopback only, IPv4 and where it exists IPv6. Raises ``SettingsError`` where the port is taken."""
    sockets = []
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address, port))
            sockets.append(listener)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                why = "already in use" if error.errno == errno.EADDRINUSE else "not allowed"
                raise SettingsError(f"Port {port} is {why}. Choose another one: make run PORT={port + 1}") from None
            if family == socket.AF_INET:
                raise SettingsError(f"Cannot listen on {address}:{port}: {error.strerror}.") from None
    return sockets


async def _check_database(settings: Settings) -> None:
    """Open the database once before the server does, so that what is wrong with it is said in one sentence."""
    from streamchat.storage import Storage

    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"The data directory {settings.data_dir} cannot be used: {error.strerror}.") from None
    store = Storage(settings.database)
    await store.open()
    await store.close()


def _serve(settings: Settings, sockets: list[socket.socket], started: float) -> None:
    # Reflex reads these at import: serve the build as it is, together with the backend.
    os.environ |= {
        "REFLEX_ENV_MODE": "prod",
        "REFLEX_SKIP_COMPILE": "true",
        "__REFLEX_MOUNT_FRONTEND_COMPILED_APP": "true",
    }
    os.chdir(build.ROOT)
    import uvicorn

    from streamchat.streamchat import app

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
                seconds = time.monotonic() - started
                _say(f"streamchat is serving on http://localhost:{settings.port} (ready in {seconds:.1f} s)")

    Server(config).run(sockets)


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 the terminal is this module's page
