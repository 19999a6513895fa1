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

from streamchat import __version__, build, protos
from streamchat.errors import SettingsError, StreamchatError
from streamchat.serving import serve
from streamchat.settings import Settings, load_settings
from streamchat.workers import supervise

# A client that stalls for longer is gone: it may come back and go on from where it was.
STALL_SECONDS = 120


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="streamchat", description="Chat that delivers answers token by token.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="build what changed and serve on http://localhost:3000 (PORT changes the port)")
    commands.add_parser("build", help="build the page if something it is made of has changed")
    _add_ask(commands.add_parser("ask", help="ask a running server from the terminal, and see the answer as it comes"))
    asked = parser.parse_args(arguments)
    try:
        return {"run": _run, "build": _build}[asked.command]() if asked.command != "ask" else _ask(asked)
    except StreamchatError as error:
        print(error.user_message, file=sys.stderr)  # noqa: T201 the terminal is this module's page
        return 1
    except KeyboardInterrupt:
        return 130  # Ctrl-C; a server has ended in order by then, and raises the signal again


def _add_ask(parser: argparse.ArgumentParser) -> None:
    url = f"http://127.0.0.1:{os.environ.get('PORT') or 3000}"
    parser.add_argument("question", nargs="*", help="what to ask; read from a pipe where it is left out")
    parser.add_argument("--model", help="provider:model; the server's first one otherwise")
    parser.add_argument("--conversation", metavar="ID", help="ask in this conversation instead of in a new one")
    parser.add_argument("--follow", metavar="RUN", help="read a run that has begun, instead of asking")
    parser.add_argument("--json", action="store_true", help="one event a line, for programs")
    parser.add_argument("--url", default=url, help=f"the server's address (default: {url})")


def _ask(asked: argparse.Namespace) -> int:
    from streamchat.client.ask import Wanted, main

    question = " ".join(asked.question)
    return main(Wanted(question, asked.url, asked.model, asked.conversation, asked.follow, asked.json))


def _build() -> int:
    if not build.is_current():
        _say("Building the page …")
        build.build()
    return 0


def _run() -> int:
    started = time.monotonic()
    settings = load_settings()
    sockets = _listen(settings.port)
    asyncio.run(_check(settings))
    _build()
    if settings.grpc_port is not None:
        _check_grpc(settings.grpc_host, settings.grpc_port)
        protos.generate()

    def ready() -> None:
        workers = f" with {settings.workers} workers" if settings.workers > 1 else ""
        seconds = time.monotonic() - started
        _say(f"streamchat is serving on http://localhost:{settings.port}{workers} (ready in {seconds:.1f} s)")

    if settings.workers > 1:
        return supervise(settings.workers, sockets, ready)
    serve(sockets, ready)
    return 0


def _listen(port: int) -> list[socket.socket]:
    """Sockets on loopback only, IPv4 and where it exists IPv6. Raises ``SettingsError`` where the port is taken."""
    sockets = []
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        try:
            listener = socket.socket(family, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            drop_stalled(listener)
            listener.bind((address, port))
            sockets.append(listener)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                why = "already in use" if error.errno == errno.EADDRINUSE else "not allowed"
                raise SettingsError(f"Port {port} is {why}. Choose another one: make run PORT={port + 1}") from None
            if family == socket.AF_INET:
                raise SettingsError(f"Cannot listen on {address}:{port}: {error.strerror}.") from None
    return sockets


def drop_stalled(listener: socket.socket, seconds: float = STALL_SECONDS) -> None:
    """Have the kernel end connections of this listener whose client takes nothing of what is sent for so long."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


async def _check(settings: Settings) -> None:
    """Look for what the server needs before it does, so that what is wrong is said in one sentence."""
    from streamchat.runs.redis_engine import check
    from streamchat.storage import Storage

    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"The data directory {settings.data_dir} cannot be used: {error.strerror}.") from None
    store = Storage(settings.database)
    await store.open()
    await store.close()
    if settings.redis_url is not None:
        await check(settings.redis_url)


def _check_grpc(host: str, port: int) -> None:
    """The workers share the port, so the system would refuse none of them, nor another program that shares it."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (")[0]
        raise SettingsError(f"Cannot serve gRPC on {host}:{port}: {why}.") from None


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 the terminal is this module's page
