"""All uses of Reflex's internals on the server's side.

Knows nothing of the page. Each function has a contract test (``test_reflex_internals.py``) that fails with an
explanation if another version of Reflex does it differently; ``docs/decisions/2026-11-29-reflex-at-arms-length.md``
describes an update. Rule: a name of Reflex that is not documented, or begins with ``_``, appears in no other module.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import re
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, chdir, contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import reflex as rx
    from starlette.types import ASGIApp

# The parts of a folder ``.web`` that serving needs: the bundle, and the list of pages. Relative to the folder.
BUNDLE = Path("build", "client")
SERVED = (BUNDLE, Path("backend"))
# Optional modules of Reflex's socket library, for clients and brokers that are not used: 0.2 s of imports.
_UNUSED = ("aiohttp", "aio_pika", "aiopika", "kafka", "kombu", "requests", "zmq")
VITE_CONFIG = "vite.config.js"
_VITE_PLUGINS = "    alwaysUseReactDomServerNode(),\n"
# Reflex starts Vite with ``--host``, which binds every address; a plugin overrides the command line.
# strictPort: on another port than the configured one, the backend would refuse the page as foreign. proxy: the page
# calls the API at its own address, which is the backend's everywhere but here.
_DEVELOPMENT_SERVER = """    {
      name: "loopback-only",
      apply: "serve",
      config: () => ({
        server: {
          host: "127.0.0.1",
          strictPort: true,
          proxy: {
            "^/(api|v1|sign-in|look)(/|[?]|$)": { target: "http://127.0.0.1:%d", changeOrigin: true, ws: true },
          },
        },
      }),
    },
"""
_tasks: set[asyncio.Task[Any]] = set()
# What of a bundle names the page's root: addresses in quotes, React Router's base, Vite's prefix of preloaded chunks.
_ROOTED = re.compile(
    r"""(?<=["'`])/(?=assets/|favicon\.svg|look/|(?:lab|latency)[`"'])|(?<=href=")/(?=")|(?<=href:[`"'])/(?=[`"'])"""
)
_FONT = re.compile(r"(?<=url\()/(?=assets/)")
_BASENAME = re.compile(r'(?<="basename":")/(?=")')
_PRELOAD = re.compile(r"(?<=\{return[`\"'])/(?=[`\"']\+\w+\})")
# The socket's namespace is the path of its address, and the server's has no base.
_NAMESPACE = re.compile(r"\b([\w$]+)\.href(?=,\{path:\1\.pathname\b)")
_ENDPOINT = re.compile(r'(?<=\+")/(?=\w)')
_ADDRESS = re.compile(r"""([`"'])(ws|http)s?://[^`"'/]+(/[^`"']*)\1""")


def serving_environment(web: Path) -> Mapping[str, str]:
    """Return the variables with which Reflex serves the build in ``web`` as it is, together with the backend.

    Reflex reads them when it is imported.
    """
    return {
        "REFLEX_ENV_MODE": "prod",
        "REFLEX_WEB_WORKDIR": str(web),
        "__REFLEX_SKIP_COMPILE": "true",
        "__REFLEX_MOUNT_FRONTEND_COMPILED_APP": "true",
    }


def import_app(web: Path, project: Path, load: Callable[[], rx.App]) -> ASGIApp:
    """Import a Reflex app and return an ASGI app that serves it with the build in ``web``. Writes no files.

    ``project``: a folder with an ``rxconfig.py``. By default Reflex would use the working directory, and remove files
    from a folder ``assets`` there. ``load``: imports the app and returns it.
    """
    os.environ |= serving_environment(web)
    with _hidden(_UNUSED):
        import socketio  # noqa: F401
    with chdir(project):
        return load()()


def remove_connection_banner(app: rx.App) -> None:
    """Remove the banner that covers the page if its socket is lost. Raises ``KeyError``."""
    app.app_wraps.pop((5, "Overlay"))


def send_frames_without_tasks(app: rx.App) -> None:
    """Make a frame for a tab go from its handler into the socket's queue, and from there to the socket, as it is.

    The socket library makes a task for each recipient of a frame, and for each wait of the socket's writer a timer,
    before Python 3.12 with a task of its own. The writer needs none: the reader of the socket has it, and ends both.
    """
    from engineio.async_socket import AsyncSocket
    from engineio.exceptions import QueueEmpty, SocketIsClosedError
    from socketio import AsyncManager
    from socketio.packet import EVENT

    server: Any = app.sio

    class ToOneTab(AsyncManager):
        async def emit(
            self,
            event: str,
            data: Any,
            namespace: str,
            room: str | None = None,
            skip_sid: Any = None,
            callback: Any = None,
            to: str | None = None,
            **more: Any,
        ) -> None:
            tab = to or room
            socket = self.eio_sid_from_sid(tab, namespace) if isinstance(tab, str) else None
            if socket is None or skip_sid or callback or data is None or isinstance(data, tuple):
                return await super().emit(event, data, namespace, room, skip_sid, callback, to, **more)
            with suppress(SocketIsClosedError):  # as nobody looks at the result of the task
                await server._send_packet(socket, server.packet_class(EVENT, namespace=namespace, data=[event, data]))

    async def poll(self: Any) -> list[Any]:
        try:
            packets = [await self.queue.get()]
        except asyncio.CancelledError:
            raise QueueEmpty from None
        while not self.queue.empty() and packets[-1] is not None:
            packets.append(self.queue.get_nowait())
        for _ in packets:
            self.queue.task_done()
        if packets[-1] is None and len(packets) > 1:  # the end, which the next call returns
            self.queue.put_nowait(packets.pop())
        return [] if packets == [None] else packets

    server.manager = ToOneTab()
    server.manager.set_server(server)
    AsyncSocket.poll = poll


def is_connected(app: rx.App, token: str) -> bool:
    """Return whether a socket of the tab with this token is connected to this process."""
    namespace = app.event_namespace
    if namespace is None:
        return False
    # With several workers Reflex also lists sockets of other workers, where the tab then has its follower.
    tokens = namespace._token_manager
    socket = tokens.token_to_socket.get(token)
    return socket is not None and socket.instance_id == tokens.instance_id


def keep_tokens_out_of_the_log() -> None:
    """Drop the warning about a frame for a tab that has just closed: it is normal, and contains the tab's token."""
    logging.getLogger("reflex.app").addFilter(_names_no_token)


def _names_no_token(record: logging.LogRecord) -> bool:
    return "disconnected client" not in record.getMessage()


def keep_locks_from_cancellation() -> None:
    """Make a handler that is cancelled while it takes or returns its tab's lock in Redis leave no lock behind.

    Reflex cancels a tab's follower with each navigation. A lock that was taken for it at that moment would have no
    owner, and nothing would reach the tab until it expires, after ten seconds. To be called once the app is there:
    Reflex has imported the module by then, if it can.
    """
    module = sys.modules.get("reflex.istate.manager.redis")
    if module is None or hasattr(module.StateManagerRedis._lock, "outlives_cancellation"):
        return
    lock: Any = module.StateManagerRedis._lock

    @wraps(lock)
    @asynccontextmanager
    async def locked(self: Any, *arguments: Any, **more: Any) -> AsyncIterator[bytes]:
        context = lock(self, *arguments, **more)
        taking = _background(context.__aenter__())
        try:
            lock_id = await asyncio.shield(taking)
        except asyncio.CancelledError:
            _background(_return_lock(context, taking))
            raise
        try:
            yield lock_id
        except GeneratorExit:  # the event loop ends, and closes the generator of ``context`` as it closes this one
            raise
        except BaseException as error:
            if not await asyncio.shield(_background(context.__aexit__(type(error), error, error.__traceback__))):
                raise
        else:
            await asyncio.shield(_background(context.__aexit__(None, None, None)))

    setattr(locked, "outlives_cancellation", True)  # noqa: B010 so that it is done once
    module.StateManagerRedis._lock = locked


async def _return_lock(context: Any, taking: asyncio.Task[bytes]) -> None:
    """Return a lock once it was taken, as the one who asked for it has gone."""
    with suppress(Exception):  # Redis is away: the lock expires
        await taking
        await context.__aexit__(None, None, None)


def _background(work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    task = asyncio.create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return task


def keep_secrets_from_page_tools(is_inherited: Callable[[str], bool]) -> None:
    """Make Reflex start Bun and Vite with empty values for the variables that ``is_inherited`` refuses.

    Reflex passes its whole environment to them. Its Python processes, which serve the app, are not affected.
    """
    from reflex.utils import processes

    start: Any = processes.new_process
    if hasattr(start, "__wrapped__"):
        return

    @wraps(start)
    def new_process(args: Any, *more: Any, **options: Any) -> Any:
        program = args if isinstance(args, str) else str(args[0])
        if program != sys.executable:
            refused = {name: "" for name in os.environ if not is_inherited(name)}
            options["env"] = {**options.get("env", {}), **refused}
        return start(args, *more, **options)

    processes.new_process = new_process


def page_folder() -> Path:
    """Return the folder from which Reflex serves the built page, as an absolute path. It may not be built yet."""
    from reflex.utils.prerequisites import get_web_dir

    return (get_web_dir() / BUNDLE).resolve()


def use_page_origin(static_dir: Path) -> None:
    """Make a built page connect to the address it was loaded from, instead of the one that Reflex writes into a chunk.

    Raises ``RuntimeError`` if no address is found, so that an update of Reflex cannot break it silently.
    """
    rewritten = 0
    for chunk in static_dir.glob("assets/reflex-env-*.js"):
        text, count = _ADDRESS.subn(_from_location, chunk.read_text())
        chunk.write_text(text)
        rewritten += count
    if not rewritten:
        raise RuntimeError("the build has no reflex-env chunk with an address to rewrite")


def copy_page(web: Path, target: Path, base: str) -> None:
    """Copy a built page to ``target`` so that it is at home below ``base`` (for example ``"/chat"``).

    Raises ``RuntimeError`` if the bundle is not as expected, so that an update of Reflex cannot break it silently.
    """
    for folder in SERVED:
        shutil.copytree(web / folder, target / folder)
    client = target / BUNDLE
    rules = {
        "*.html": ((_ROOTED, base + "/"), (_BASENAME, base)),
        "assets/*.js": (
            (_ROOTED, base + "/"),
            (_NAMESPACE, r'\1.protocol+"//"+\1.host+"/_event"'),
            (_PRELOAD, base + "/"),
        ),
        "assets/*.css": ((_FONT, base + "/"),),
        "assets/reflex-env-*.js": ((_ENDPOINT, base + "/"),),
    }
    for pattern, substitutions in rules.items():
        for rule, replacement in substitutions:
            changed = [_substitute(file, rule, replacement) for file in client.glob(pattern)]
            if not any(changed):
                raise RuntimeError(f"the build has nothing to rewrite for a path in {pattern}")


def _substitute(file: Path, rule: re.Pattern[str], replacement: str) -> bool:
    text, count = rule.subn(replacement, file.read_text("utf-8"))
    if count:
        file.write_text(text, "utf-8")
        if (compressed := file.with_name(file.name + ".gz")).exists():
            compressed.write_bytes(gzip.compress(text.encode(), 6))
    return bool(count)


def bind_vite_to_loopback(config: str, backend_port: int) -> str:
    """Return Vite's configuration, as written by Reflex, with its development server bound to loopback.

    That server passes calls of the API on to the backend, which listens on ``backend_port``.

    Raises ``RuntimeError`` if it has no list of plugins, so that an update of Reflex cannot break it silently.
    """
    if 'name: "loopback-only"' in config:
        return re.sub(r'(target: "http://127\.0\.0\.1:)\d+', rf"\g<1>{backend_port}", config)
    if _VITE_PLUGINS not in config:
        raise RuntimeError("Vite's configuration has no list of plugins to add to")
    return config.replace(_VITE_PLUGINS, _DEVELOPMENT_SERVER % backend_port + _VITE_PLUGINS, 1)


def _from_location(match: re.Match[str]) -> str:
    scheme, path = match[2], match[3]
    # There is no window while the page is prerendered.
    origin = '(globalThis.location?.origin??"http://localhost")'
    return f'({origin}+"{path}")' if scheme == "http" else f'({origin}.replace(/^http/,"ws")+"{path}")'


@contextmanager
def _hidden(names: tuple[str, ...]) -> Iterator[None]:
    """Make these modules appear not installed, unless they are imported already."""
    modules: dict[str, Any] = sys.modules
    absent = [name for name in names if name not in modules]
    modules |= dict.fromkeys(absent)
    try:
        yield
    finally:
        for name in absent:
            del modules[name]
