"""The command line: ``streamchat run`` serves the app on this machine.

Knows how to start, not what is served. A failure that the user can fix is an error message of one line and exit code 1.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import os
import socket
import subprocess
import sys
import time
from ipaddress import ip_address
from pathlib import Path

from streamchat import __version__, build, protos
from streamchat.environment import DESKTOP, child_environment
from streamchat.errors import SettingsError, StreamchatError
from streamchat.serving import serve
from streamchat.settings import Settings, load_settings
from streamchat.workers import supervise

# A client that takes no data for longer is disconnected. It may reconnect and resume.
STALL_SECONDS = 120


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns the exit code: 0, or 1 after an error message of one line."""
    parser = argparse.ArgumentParser(prog="streamchat", description="Chat that delivers answers token by token.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_run(commands.add_parser("run", help="serve the page and the API; in a checkout, build the page first"))
    _add_ask(commands.add_parser("ask", help="ask a running server from the terminal, and stream the answer"))
    commands.add_parser("build", help="in a checkout: build the page if its sources have changed")
    doctor = commands.add_parser("doctor", help="check the installation and the settings; shows no secrets")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    for name, text in (("backup", "write all data to one file"), ("restore", "restore such a file")):
        command = commands.add_parser(name, help=text)
        command.add_argument("file", type=Path, metavar="FILE")
        command.add_argument("--data-dir", metavar="FOLDER", help="the folder of the data (STREAMCHAT_DATA_DIR)")
    _add_deploy(commands.add_parser("deploy", help="`deploy check URL`: test a deployment from outside"))
    options = parser.parse_args(arguments)
    try:
        match options.command:
            case "run":
                return _run(options)
            case "ask":
                return _ask(options)
            case "doctor":
                from streamchat.doctor import main as examine

                return examine(as_json=options.json)
            case "backup" | "restore":
                return _backup(options)
            case "deploy":
                from streamchat.deploy_check import main as check

                return check(options.url, idle=options.idle, as_json=options.json)
        return _build()
    except StreamchatError as error:
        print(error.user_message, file=sys.stderr)  # noqa: T201 the terminal is this module's page
        return 1
    except KeyboardInterrupt:
        return 130  # Ctrl-C; the server has shut down by then, and raises the signal again


def _add_run(parser: argparse.ArgumentParser) -> None:
    about = "a Python file, or module, with @model and @tool (as in STREAMCHAT_MODULES)"
    parser.add_argument("modules", nargs="*", metavar="MODULE", help=about)
    parser.add_argument("--host", metavar="ADDRESS", help="the address to listen on (STREAMCHAT_HOST)")
    parser.add_argument("--port", help="the port to serve on (the setting PORT)")
    parser.add_argument("--data-dir", metavar="FOLDER", help="the folder of the database (STREAMCHAT_DATA_DIR)")
    parser.add_argument("--open", action="store_true", help="open the page in the browser once it is served")


def _add_deploy(parser: argparse.ArgumentParser) -> None:
    check = parser.add_subparsers(dest="what", required=True).add_parser("check", help="test a deployment from outside")
    check.add_argument("url", help="the address that people use, for example https://chat.example")
    check.add_argument("--idle", type=float, default=0, metavar="SECONDS", help="also test a connection that is silent")
    check.add_argument("--json", action="store_true", help="print JSON")


def _backup(options: argparse.Namespace) -> int:
    from streamchat import backup

    if options.data_dir is not None:
        os.environ["STREAMCHAT_DATA_DIR"] = options.data_dir
    work = backup.backup if options.command == "backup" else backup.restore
    _say(work(load_settings(), options.file))
    return 0


def _add_ask(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "If people sign in on the server, set STREAMCHAT_API_KEY to an API key from its page /account."
    url = f"http://127.0.0.1:{os.environ.get('PORT') or 3000}"
    parser.add_argument("question", nargs="*", help="the question; read from a pipe if left out")
    parser.add_argument("--model", help="provider:model (default: the server's first one)")
    parser.add_argument("--conversation", metavar="ID", help="ask in this conversation instead of in a new one")
    parser.add_argument("--follow", metavar="RUN", help="follow a run that exists, instead of asking")
    parser.add_argument("--json", action="store_true", help="print one event per line as JSON")
    parser.add_argument("--url", default=url, help=f"the server's address (default: {url})")


def _ask(options: argparse.Namespace) -> int:
    from streamchat.client.cli_ask import KEY_VARIABLE, AskOptions, main

    question, key = " ".join(options.question), os.environ.get(KEY_VARIABLE, "")
    chosen = options.url, options.model, options.conversation, options.follow, options.json
    return main(AskOptions(question, *chosen, key))


def _build() -> int:
    if build.is_checkout() and not build.is_current():
        _say("Building the page …")
        build.build()
    return 0


def _run(options: argparse.Namespace) -> int:
    started = time.monotonic()
    # Workers, and everything else that reads the settings, find them in the environment.
    if options.host is not None:
        os.environ["STREAMCHAT_HOST"] = options.host
    if options.port is not None:
        os.environ["PORT"] = options.port
    if options.data_dir is not None:
        os.environ["STREAMCHAT_DATA_DIR"] = options.data_dir
    _add_modules(options.modules)
    settings = load_settings()
    os.environ["STREAMCHAT_DATA_DIR"] = str(settings.data_dir.absolute())
    if settings.workers == 1 and (settings.modules or settings.tools):
        _import_modules(settings)
    sockets = _listen(settings.host, settings.port)
    _say(f"Data: {asyncio.run(_check(settings))}")
    _build()
    if settings.grpc_port is not None:
        _check_grpc(settings.grpc_host, settings.grpc_port)
        if build.is_checkout():
            protos.generate()

    def ready() -> None:
        workers = f" with {settings.workers} workers" if settings.workers > 1 else ""
        seconds = time.monotonic() - started
        address = _shown_address(settings)
        _say(f"streamchat is serving on {address}{workers} (ready in {seconds:.1f} s)")
        if options.open:
            _open_page(address)

    if settings.workers > 1:
        return supervise(settings.workers, sockets, ready)
    serve(sockets, ready)
    return 0


def _add_modules(modules: list[str]) -> None:
    """Put modules in front of ``STREAMCHAT_MODULES``, where the workers find them too."""
    if modules:
        files = [os.path.abspath(name) if name.endswith(".py") else name for name in modules]
        if odd := next((name for name in files if "," in name), None):
            raise SettingsError(f"{odd!r} has a comma, which separates modules; rename it.")
        os.environ["STREAMCHAT_MODULES"] = ",".join([*files, os.environ.get("STREAMCHAT_MODULES", "")])


def _import_modules(settings: Settings) -> None:
    """Import the user's modules, so that one that is broken is an error message before anything else is done."""
    from streamchat.wiring.user_modules import load_user_modules

    load_user_modules(settings)


def _shown_address(settings: Settings) -> str:
    """Return the address at which a person on this machine opens the page."""
    address = ip_address(settings.host)
    name = f"[{address}]" if address.version == 6 else str(address)
    if address.is_loopback or address.is_unspecified:
        name = "localhost"
    return f"http://{name}:{settings.port}" + (f"{settings.public_path}/" if settings.public_path else "")


def _open_page(address: str) -> None:
    # In a process of its own: the browser must not inherit our keys, and may not return until it is closed.
    subprocess.Popen(
        [sys.executable, "-m", "webbrowser", address],
        env=child_environment(DESKTOP),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _listen(host: str, port: int) -> list[socket.socket]:
    """Bind sockets. Raises ``SettingsError`` if the port is in use or the address is not of this machine.

    ``127.0.0.1`` is loopback of both families, so that ``localhost`` works; ``0.0.0.0`` is every address of both.
    """
    sockets = []
    for family, address in _addresses(host):
        try:
            # With its protocol, by which asyncio knows that what is written is to be sent at once (TCP_NODELAY): else
            # the rest of each answer waits until the reader confirms its beginning, 40 ms on one machine.
            listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            drop_stalled(listener)
            listener.bind((address, port))
            sockets.append(listener)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                why = "already in use" if error.errno == errno.EADDRINUSE else "not allowed"
                other = port + 1 if port < 65535 else 3000
                command = f"make run PORT={other}" if build.is_checkout() else f"streamchat run --port {other}"
                raise SettingsError(f"Port {port} is {why}. Choose another one: {command}") from None
            if not sockets:
                raise SettingsError(f"Cannot listen on {address}:{port}: {error.strerror}.") from None
    return sockets


def _addresses(host: str) -> list[tuple[socket.AddressFamily, str]]:
    both = {"127.0.0.1": "::1", "0.0.0.0": "::"}  # the second one if this machine has IPv6
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return [(family, host)] + ([(socket.AF_INET6, both[host])] if host in both else [])


def drop_stalled(listener: socket.socket, seconds: float = STALL_SECONDS) -> None:
    """Have the kernel close connections of this listener whose client accepts no data for ``seconds``."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(seconds * 1000))


async def _check(settings: Settings) -> str:
    """Check database and Redis before the server starts, so that a failure is one error message.

    Returns the location of the data.
    """
    from streamchat.storage import Storage

    try:
        if settings.database_url is None:
            settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or "unknown error"
        raise SettingsError(
            f"The data directory {settings.data_dir} cannot be used: {why}. Choose another one: --data-dir FOLDER."
        ) from None
    store = Storage(settings.database)
    await store.open()
    await store.close()
    if settings.redis_url is not None:
        from streamchat.runs.redis.engine import check

        await check(settings.redis_url)
    return str(settings.data_dir.absolute()) if settings.database_url is None else store.shown


def _check_grpc(host: str, port: int) -> None:
    """Raise ``SettingsError`` if the port is in use. The workers share it, so binding it would not fail for them."""
    try:
        with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET):
            pass
    except OSError as error:
        why = (error.strerror or str(error)).partition(" (")[0]
        raise SettingsError(f"Cannot serve gRPC on {host}:{port}: {why}.") from None


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 the terminal is this module's page
