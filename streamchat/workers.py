"""Supervisor of several worker processes that serve on the same sockets.

Knows nothing of what is served. ``supervise`` is the parent; run as a program, this module is one worker. Rules:

* A worker that ends is replaced, with a growing pause if it ends at once. If the first workers cannot start, the
  supervisor ends too.
* The parent owns the sockets: while no worker runs, connections wait instead of being refused.
* SIGTERM and Ctrl-C end the workers in order, within ``STOP_SECONDS``. A worker whose parent has died ends itself.
* The embedded model and the simulator run once per machine, as children of the parent that all workers share.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from streamchat.backoff import Backoff
from streamchat.processes.shared_subprocess import lending
from streamchat.processes.subprocess_server import import_path
from streamchat.serving import serve

STOP_SECONDS = 12.0
# A worker that ends sooner could not start. Seconds.
_SHORT_LIFE = 5.0
_MAX_PAUSE = 5.0


def supervise(count: int, sockets: Sequence[socket.socket], ready: Callable[[], None]) -> int:
    """Serve with ``count`` workers until SIGTERM or SIGINT, and return the exit code.

    ``ready`` is called once, when all workers serve.
    """
    return asyncio.run(_Supervisor(count, sockets, ready).run())


class _Supervisor:
    def __init__(self, count: int, sockets: Sequence[socket.socket], ready: Callable[[], None]) -> None:
        self._count = count
        self._sockets = sockets
        self._ready = ready
        self._serving: set[int] = set()
        self._was_ready = False
        self._workers: dict[int, asyncio.subprocess.Process] = {}
        self._stopping = asyncio.Event()
        self._code = 0

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stopping.set)
        with tempfile.TemporaryDirectory(prefix="streamchat-") as folder:
            children = Path(folder) / "children"
            async with lending(children):
                keepers = [asyncio.create_task(self._keep(n, children), name=f"worker {n}") for n in range(self._count)]
                await self._stopping.wait()
                self._signal(signal.SIGTERM)
                await asyncio.wait(keepers, timeout=STOP_SECONDS)
                self._signal(signal.SIGKILL)
                await asyncio.gather(*keepers)
        return self._code

    async def _keep(self, number: int, children: Path) -> None:
        backoff = Backoff(base=0.2, cap=_MAX_PAUSE, draw=max)
        while not self._stopping.is_set():
            began = time.monotonic()
            code = await self._work(number, children)
            if self._stopping.is_set():
                return
            if not self._was_ready:  # the worker printed the reason
                self._code = code if code > 0 else 1
                self._stopping.set()
                return
            how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
            print(f"Worker {number} {how}; starting another one.", file=sys.stderr, flush=True)  # noqa: T201 for a person
            if time.monotonic() - began >= _SHORT_LIFE:
                backoff.reset()
            with suppress(TimeoutError):
                async with asyncio.timeout(backoff.next_pause()):
                    await self._stopping.wait()

    async def _work(self, number: int, children: Path) -> int:
        """Run one worker process, and return its exit code."""
        ours, its = socket.socketpair()
        listening = [listener.fileno() for listener in self._sockets]
        with ours:
            with its:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "streamchat.workers", str(its.fileno()), *map(str, listening)),
                    env=os.environ
                    | import_path()
                    | {"STREAMCHAT_CHILDREN": str(children), "STREAMCHAT_WORKER": str(number)},
                    stdin=asyncio.subprocess.DEVNULL,
                    pass_fds=[its.fileno(), *listening],
                    start_new_session=True,  # Ctrl-C in the terminal is ours
                )
            self._workers[number] = process
            if self._stopping.is_set():
                self._signal(signal.SIGTERM)
            listening_task = asyncio.create_task(self._wait_ready(number, ours))
            try:
                return await process.wait()
            finally:
                listening_task.cancel()
                self._serving.discard(number)
                del self._workers[number]

    async def _wait_ready(self, number: int, worker: socket.socket) -> None:
        worker.setblocking(False)
        if await asyncio.get_running_loop().sock_recv(worker, 1):
            self._serving.add(number)
            if len(self._serving) == self._count and not self._was_ready:
                self._was_ready = True
                self._ready()

    def _signal(self, number: signal.Signals) -> None:
        for process in list(self._workers.values()):
            with suppress(ProcessLookupError):
                process.send_signal(number)


def _worker(parent: socket.socket, listening: Sequence[socket.socket]) -> None:
    def end_with_parent() -> None:
        with suppress(OSError):
            parent.recv(1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end_with_parent, name="parent", daemon=True).start()
    serve(listening, ready=lambda: parent.sendall(b"r"))


if __name__ == "__main__":
    inherited = [socket.socket(fileno=int(number)) for number in sys.argv[1:]]
    _worker(inherited[0], inherited[1:])
