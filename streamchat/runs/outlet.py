"""Lines for somebody slow, written by a thread: whoever hands them over never waits.

``FileSink`` and ``RedisSink`` are where they go. Rules:

* What waits has a bound in bytes; beyond it lines are dropped, and the log of the program says how many.
* A sink that blocks for ever blocks this thread alone, and not the end of the process.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from pathlib import Path
from typing import Protocol

from redis import Redis

logger = logging.getLogger(__name__)
MAX_BYTES = 8 * 1024 * 1024
_BATCH = 1000
_PAUSE_SECONDS, _TELL_SECONDS = 1.0, 10.0
_STREAM_LENGTH = 1_000_000


class Sink(Protocol):
    """May block, and raise anything."""

    def write(self, lines: list[bytes]) -> None: ...


class FileSink:
    """Appends to a file, which several processes may share: each batch is one write of whole lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def write(self, lines: list[bytes]) -> None:
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        data = memoryview(b"".join(line + b"\n" for line in lines))
        while data:
            data = data[os.write(self._file, data) :]


class RedisSink:
    """Adds to a stream, one entry per line, and keeps its newest million."""

    def __init__(self, url: str, stream: str) -> None:
        self._redis = Redis.from_url(url, socket_timeout=10, socket_connect_timeout=10)
        self._stream = stream

    def write(self, lines: list[bytes]) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            for line in lines:
                pipe.xadd(self._stream, {"line": line}, maxlen=_STREAM_LENGTH, approximate=True)
            pipe.execute()


class Outlet:
    """``offer`` lines to a sink. ``dropped``: how many were lost, because the sink was too slow or failed."""

    def __init__(self, sink: Sink, max_bytes: int = MAX_BYTES) -> None:
        self.dropped = 0
        self._sink = sink
        self._max = max_bytes
        self._bytes = 0
        self._waiting: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._told = (0, 0.0)
        self._thread = threading.Thread(target=self._work, name="completion log", daemon=True)
        self._thread.start()

    def offer(self, line: bytes) -> None:
        """Have it written soon, or drop it. Never waits for the sink."""
        with self._changed:
            if self._bytes + len(line) > self._max:
                self._lost(1)
                return
            self._waiting.append(line)
            self._bytes += len(line)
            self._changed.notify()

    def close(self, patience: float = 2.0) -> None:
        """Write what waits, for at most ``patience`` seconds."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(patience)

    def _work(self) -> None:
        while batch := self._next():
            try:
                self._sink.write(batch)
            except Exception as error:
                with self._changed:
                    self._lost(len(batch), type(error).__name__)
                    self._changed.wait_for(lambda: self._closing, _PAUSE_SECONDS)

    def _next(self) -> list[bytes]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing)
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            self._bytes -= sum(map(len, batch))
            return batch

    def _lost(self, count: int, why: str = "it is slower than the answers") -> None:
        self.dropped += count
        told, at = self._told
        if not told or time.monotonic() - at > _TELL_SECONDS:
            self._told = (self.dropped, time.monotonic())
            logger.warning("the completion log has lost %d lines: %s", self.dropped, why)
