"""What is used of Reflex beside its public API is as ``streamchat/reflex_internals.py`` expects it.

A test that fails here after an update of Reflex says what changed; docs/decisions/2026-11-29-reflex-at-arms-length.md
says what to do.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import reflex as rx
from engineio.async_socket import AsyncSocket
from engineio.exceptions import QueueEmpty
from reflex_base.compiler.templates import vite_config_template
from reflex_base.constants import ReactRouter
from reflex_base.environment import environment
from socketio import AsyncServer

from devservers.redis import RedisServer
from streamchat import build, reflex_internals
from streamchat.build import ROOT

# What is served, as small as it can be.
FILES = {
    "web/build/client/index.html": "<title>the page</title>",
    "web/backend/stateful_pages.json": "[]",
    "web/backend/bundled_libraries.json": "[]",
    "project/rxconfig.py": "import reflex as rx\nconfig = rx.Config(app_name='probe', state_manager_mode='memory')",
}
PROGRAM = Path(__file__).with_name("reflex_probe.py")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a small Reflex app said that was served from a folder of somebody else's; ``written``: new files."""
    folder = tmp_path_factory.mktemp("reflex")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    here = folder / "here"
    (here / "assets" / "external" / "empty").mkdir(parents=True)
    (here / "rxconfig.py").write_text("raise SystemExit('the configuration of another program was run')")
    before = files(folder)
    done = subprocess.run(
        [sys.executable, "-P", str(PROGRAM), str(folder / "web"), str(folder / "project")],
        cwd=here,
        env=os.environ | {"PYTHONPATH": str(ROOT), "HOME": str(folder), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.returncode == 0, f"Reflex does not serve a build as it is any more:\n{done.stdout}{done.stderr}"
    return {**json.loads(done.stdout.splitlines()[-1]), "changed": sorted(files(folder) ^ before)}


def test_a_build_is_served_from_any_folder(probe: dict[str, Any]):
    """The page is served without compiling, and the working directory's ``rxconfig.py`` is not read."""
    assert "the page" in probe["page"], "Reflex does not serve the folder that REFLEX_WEB_WORKDIR names"


def test_serving_writes_nothing(probe: dict[str, Any]):
    """A read-only installation can serve; a folder that belongs to somebody else is left as it is."""
    assert probe["changed"] == [], "Reflex writes or removes files when it serves"


def test_the_environment_is_what_reflex_reads():
    """The variables that are set for serving are Reflex's."""
    read = {
        environment.REFLEX_ENV_MODE.name,
        environment.REFLEX_WEB_WORKDIR.name,
        environment.REFLEX_SKIP_COMPILE.name,
        environment.REFLEX_MOUNT_FRONTEND_COMPILED_APP.name,
    }
    assert read == set(reflex_internals.serving_environment(Path())), "Reflex reads other variables"


def test_the_banner_is_where_it_was(probe: dict[str, Any]):
    """Reflex's banner of a lost socket is there by default, and can be taken away."""
    assert probe["banner"] == [True, False], "Reflex's banner is not app_wraps[5, 'Overlay'] any more"


def test_a_tab_is_known_by_its_socket(probe: dict[str, Any]):
    """A tab with a socket is connected, another is not."""
    assert probe["connected"] == [True, False], "Reflex keeps the sockets of tabs elsewhere"


def test_no_token_is_in_the_log(probe: dict[str, Any]):
    """Reflex's warning about a tab that left is found by its text."""
    assert probe["log"] == [1, 1], "Reflex's warning about a disconnected client has another text or logger"


def test_the_backends_address_is_rewritten(tmp_path: Path):
    """Every address of the chunk is replaced by one on the page's own origin; a build without any is refused."""
    with pytest.raises(RuntimeError, match="no reflex-env chunk"):
        reflex_internals.use_page_origin(tmp_path)
    (tmp_path / "assets").mkdir()
    chunk = tmp_path / "assets" / "reflex-env-x.js"
    chunk.write_text('var e={PING:`http://localhost:8000/ping`,EVENT:"ws://localhost:8000/_event"};')
    reflex_internals.use_page_origin(tmp_path)
    assert "8000" not in chunk.read_text()
    assert '+"/_event"' in chunk.read_text()


def test_vite_listens_on_this_machine_only():
    """The configuration that Reflex writes has a place for the plugin, once; one of another form is refused."""
    written = vite_config_template(base="/", hmr=True, force_full_reload=False, experimental_hmr=False, sourcemap=False)
    config = reflex_internals.bind_vite_to_loopback(written, 8000)
    assert config.count('host: "127.0.0.1",\n          strictPort: true') == 1
    assert reflex_internals.bind_vite_to_loopback(config, 8000) == config
    assert reflex_internals.bind_vite_to_loopback(config, 8123) == config.replace("127.0.0.1:8000", "127.0.0.1:8123")
    with pytest.raises(RuntimeError, match="no list of plugins"):
        reflex_internals.bind_vite_to_loopback("export default {}", 8000)
    assert ReactRouter.VITE_CONFIG_FILE == reflex_internals.VITE_CONFIG


def test_reflex_tells_its_processes_the_port_of_the_page(monkeypatch: pytest.MonkeyPatch):
    """What ``reflex run`` settles on is in the environment of its processes, under the name that rxconfig.py reads."""
    monkeypatch.setenv("REFLEX_FRONTEND_PORT", "3000")
    rx.Config(app_name="probe")._set_persistent(frontend_port=4000)
    assert os.environ["REFLEX_FRONTEND_PORT"] == "4000", "Reflex hands the port of the page on in another way"


def test_connections_to_redis_are_bounded(tmp_path: Path) -> None:
    """Reflex takes the bound of our setting in the configuration that serves the page, and waits beyond it."""
    program = (
        "from reflex.utils.prerequisites import get_redis\n"
        "pool = get_redis().connection_pool\n"
        "print(type(pool).__name__, pool.max_connections)"
    )
    settings = {"STREAMCHAT_REDIS_URL": "redis://127.0.0.1:1/0", "STREAMCHAT_REDIS_CONNECTIONS": "9"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT / "streamchat" / "ui" / "serve",
        env=os.environ | settings | {"PYTHONPATH": str(ROOT), "STREAMCHAT_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert done.stdout.split() == ["BlockingConnectionPool", "9"], done.stderr


def test_a_page_moves_below_a_path(built: None, tmp_path: Path):
    """Every address of the built page that begins at the root begins at the path; compressed copies say the same."""
    reflex_internals.copy_page(build.web(), tmp_path, "/team/chat")
    client = tmp_path / reflex_internals.BUNDLE
    texts = {
        file: file.read_text("utf-8")
        for kind in ("*.html", "assets/*.js", "assets/*.css")
        for file in client.glob(kind)
    }
    # Behind the host stands the socket's namespace, which has no base.
    rooted = re.compile(
        r"""(?<!\.host\+)["'`]/(assets/|favicon|_event|ping)|href=["'`]?/["'`]|"basename":"/\"|url\(/assets/"""
    )
    assert [file.name for file, text in texts.items() if rooted.search(text)] == []
    assert '"basename":"/team/chat"' in texts[client / "index.html"]
    for file, text in texts.items():
        if (compressed := file.with_name(file.name + ".gz")).exists():
            assert gzip.decompress(compressed.read_bytes()).decode() == text


async def test_a_handler_that_is_cancelled_leaves_no_lock(redis: RedisServer) -> None:
    """Reflex cancels a tab's follower with each navigation, also while it takes the tab's lock in Redis, or returns it:
    the next handler has the lock at once, and not when it expires."""
    from redis.asyncio import Redis
    from reflex.istate.manager.redis import StateManagerRedis
    from reflex.istate.manager.token import BaseStateToken

    reflex_internals.keep_locks_from_cancellation()
    manager = StateManagerRedis(redis=Redis.from_url(redis.url))
    tab = BaseStateToken(ident="tab", cls=rx.State)

    async def handle() -> None:
        async with manager.modify_state(tab):
            pass

    await handle()
    for steps in range(300):
        # Beside none, one, or two other handlers of the tab: with them there is more to do once it is taken.
        others = [asyncio.create_task(handle()) for _ in range(steps % 3)]
        cancelled = asyncio.create_task(handle())
        for _ in range(steps % 25):
            await asyncio.sleep(0)
        await asyncio.sleep(steps % 10 * 0.0004)
        cancelled.cancel()
        await asyncio.gather(cancelled, *others, return_exceptions=True)
        async with asyncio.timeout(manager.lock_expiration / 2000):
            await handle()
    # A server that ends closes all generators at once, also those of a lock that a handler has.
    lock = manager._lock(tab)
    await lock.__aenter__()
    its_own = lock.gen.ag_frame.f_locals["context"].gen  # pyrefly: ignore[missing-attribute]
    assert await asyncio.gather(lock.gen.aclose(), its_own.aclose(), return_exceptions=True) == [None, None]
    async with asyncio.timeout(manager.lock_expiration / 2000):
        await handle()
    await manager.close()


async def test_a_frame_goes_to_its_tab_as_before_and_without_a_task():
    """The socket library's own manager, which makes a task per recipient, says what is to arrive."""
    arrived = []
    for direct in (False, True):
        server: Any = AsyncServer(async_mode="asgi")
        if direct:
            reflex_internals.send_frames_without_tasks(SimpleNamespace(sio=server))  # pyrefly: ignore[bad-argument-type]
        server.manager.initialize()
        sockets = {name: AsyncSocket(server.eio, name) for name in ("a", "b")}
        server.eio.sockets.update(sockets)
        sids = [await server.manager.connect(name, "/page") for name in sockets]
        tasks = len(asyncio.all_tasks())
        for data in ({"state": {"f": {"k": "more"}}}, ["list"], "text"):
            sending: Any = server.emit("event", data, to=sids[0], namespace="/page")
            if direct:
                with pytest.raises(StopIteration):  # it never waits
                    sending.send(None)
                assert len(asyncio.all_tasks()) == tasks
            else:
                await sending
        await server.emit("event", to=sids[0], namespace="/page")
        await server.emit("event", {"to": "all"}, namespace="/page")
        await server.emit("event", ("two", "arguments"), to=sids[1], namespace="/page")
        await server.emit("event", {"to": "a list"}, to=sids[1:], namespace="/page")
        await server.emit("event", {}, to="nobody", namespace="/page")
        sockets["a"].closed = True
        await server.emit("event", {}, to=sids[0], namespace="/page")
        arrived.append([[packet.encode() for packet in await socket.poll()] for socket in sockets.values()])
    assert arrived[0] == arrived[1]
    assert [len(packets) for packets in arrived[1]] == [5, 3]


async def test_the_writer_of_a_socket_ends_as_before():
    """At the end of the queue, after what came before it; and if it is cancelled."""
    reflex_internals.send_frames_without_tasks(SimpleNamespace(sio=AsyncServer(async_mode="asgi")))  # pyrefly: ignore[bad-argument-type]
    socket = AsyncSocket(AsyncServer(async_mode="asgi").eio, "a")
    for packet in ("first", "second", None):
        await socket.queue.put(packet)
    assert await socket.poll() == ["first", "second"]
    assert await socket.poll() == []
    await asyncio.wait_for(socket.queue.join(), 5)  # as ``close`` waits for it
    waiting = asyncio.create_task(socket.poll())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(QueueEmpty):
        await waiting


async def test_the_writer_of_a_socket_ends_with_its_reader():
    """It has no limit of its own: who does not answer a ping is noticed by the reader."""
    reflex_internals.send_frames_without_tasks(SimpleNamespace(sio=AsyncServer(async_mode="asgi")))  # pyrefly: ignore[bad-argument-type]
    server = AsyncServer(async_mode="asgi", ping_interval=0.01, ping_timeout=0.01).eio
    socket = server.sockets["a"] = AsyncSocket(server, "a")
    closed = asyncio.Event()

    async def close() -> None:
        closed.set()

    silent = SimpleNamespace(wait=asyncio.Event().wait, send=lambda data: asyncio.sleep(0), close=close)
    async with asyncio.timeout(5):
        await socket._websocket_handler(silent)
    assert closed.is_set()
