"""Executors of daemon threads: for event loops that run other people's code, and for calls that may block for long.

The threads of ``ThreadPoolExecutor`` are joined when the program exits, so one that blocks would keep it from ending.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any


class DaemonThreads(ThreadPoolExecutor):
    """Runs each call in a daemon thread of its own. ``name``: that of the threads."""

    def __init__(self, name: str) -> None:
        super().__init__(max_workers=1)
        self._name = name

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call ``fn`` in a new thread. Returns the future of its result."""
        call = _Call(fn, args, kwargs)
        threading.Thread(target=call.run, name=self._name, daemon=True).start()
        return call.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Do nothing: no thread is waited for."""


class DaemonPool(Executor):
    """Runs calls in daemon threads that are reused, as many as calls at once. ``name``: that of the threads."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._begin()

    def _begin(self) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._threads = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Call ``fn`` in a thread. Returns the future of its result."""
        call = _Call(fn, args, kwargs)
        self._calls.put(call)
        if not self._idle.acquire(blocking=False):
            self._threads += 1
            work = threading.Thread(target=_work, args=(self._calls, self._idle), name=self._name, daemon=True)
            work.start()
        return call.future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the idle threads, and the others after their call. None is waited for; later calls get new ones."""
        for _ in range(self._threads):
            self._calls.put(None)
        self._begin()


def _work(calls: SimpleQueue[_Call | None], idle: threading.Semaphore) -> None:
    while (call := calls.get()) is not None:
        call.run()
        del call  # nothing of it is kept while the thread waits
        idle.release()


class _Call:
    """A call and the future of its result."""

    def __init__(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.future: Future[Any] = Future()
        self._what = fn, args, kwargs

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        fn, args, kwargs = self._what
        del self._what
        try:
            self.future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            self.future.set_exception(error)
