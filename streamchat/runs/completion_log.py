"""A record of every answer that is written in this process, event by event, for a log pipeline.

One more reader of the log, and a thread that writes its lines. Rules:

* An event is recorded ``LAG_SECONDS`` after its readers were woken, so never before it was forwarded.
* Nothing waits for the sink. The queue is bounded in bytes; further lines are dropped, and the program's log says how
  many. A sink that blocks for ever blocks only its thread, and not the end of the process.
* A line is the event in its public form, with its run and number and the time; the first one is ``started``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import threading
import time
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, cast

from streamchat.chat.request import is_temporary
from streamchat.chat.wire import event_to_wire, message_to_wire
from streamchat.errors import NotFound
from streamchat.runs.log import AnswerView, Entry, Log, Snapshot
from streamchat.runs.reader import Encoder, RunReader, encode
from streamchat.runs.run_task import ActiveRun
from streamchat.runs.service import RunService
from streamchat.runs.wakeup import Wakeup

logger = logging.getLogger(__name__)
LAG_SECONDS = 0.05
MAX_BYTES = 8 * 1024 * 1024
_BATCH = 1000
_PAUSE_SECONDS, _WARN_SECONDS = 1.0, 10.0
_ERASE_SECONDS = 2.0
_RUN_ID = re.compile(rb'"run_id":"([^"]*)"')
_STREAM_LENGTH = 1_000_000


class CompletionLog:
    """Records every answer that starts in this process from ``start`` on."""

    def __init__(self, runs: RunService, outlet: BackgroundWriter) -> None:
        self._runs = runs
        self._outlet = outlet
        self._task: asyncio.Task[None] | None = None
        self._copying: dict[str, asyncio.Task[None]] = {}
        self._erasing: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Record what begins from now on."""
        self._task = asyncio.create_task(self._work(), name="completion log")

    async def close(self, patience: float = 2.0) -> None:
        """Record what readers have seen, for at most ``patience`` seconds. The runs have ended."""
        if self._task:
            self._task.cancel()
        if copying := [*self._copying.values(), *self._erasing]:
            _, late = await asyncio.wait(copying, timeout=patience)
            for task in late:
                task.cancel()
        await asyncio.to_thread(self._outlet.close, patience)

    async def erase(self, run_ids: Collection[str]) -> None:
        """Remove the lines of these runs, which have ended, from where the lines go."""
        if copying := [task for run_id, task in self._copying.items() if run_id in run_ids]:
            await asyncio.wait(copying, timeout=_ERASE_SECONDS)
        await asyncio.to_thread(self._outlet.erase, frozenset(run_id.encode() for run_id in run_ids))

    async def _work(self) -> None:
        wakeup = Wakeup()
        subscription = self._runs.feed.subscribe(None, wakeup)
        try:
            while await wakeup.wait():
                notes = subscription.take()
                for note in notes:
                    if note.kind == "started" and (run := self._runs.active(note.run_id)):
                        self._begin(run)
                if erased := {note.run_id for note in notes if note.kind == "erased"}:
                    task = asyncio.create_task(self.erase(erased), name="erase records")
                    self._erasing.add(task)
                    task.add_done_callback(self._erasing.discard)
        finally:
            self._runs.feed.unsubscribe(None, subscription)

    def _begin(self, run: ActiveRun) -> None:
        if run.run_id not in self._copying and not is_temporary(run.run_id):
            task = asyncio.create_task(self._copy(run), name=f"record {run.run_id}")
            self._copying[run.run_id] = task
            task.add_done_callback(lambda _: self._copying.pop(run.run_id, None))

    async def _copy(self, run: ActiveRun) -> None:
        encoder = LineEncoder(run.run_id, run.conversation_id, self._runs.log)
        reader = RunReader(self._runs, run.owner, run.run_id)
        async with aclosing(encode(reader, encoder)) as batches:
            async for lines in batches:
                await asyncio.sleep(LAG_SECONDS)
                for line in lines:
                    self._outlet.offer(line)


class LineEncoder(Encoder[bytes]):
    """A run as lines of JSON. Raises ``NotFound`` if the log does not have it."""

    def __init__(self, run_id: str, conversation_id: str, log: Log) -> None:
        self._run_id = run_id
        self._started_at = _started_at(log, run_id)
        model = log.snapshot(run_id).message.model
        self._started = {"type": "started", "conversation_id": conversation_id, "model": model}

    def open(self) -> Iterable[bytes]:
        """See ``Encoder``."""
        return (self._line(0, self._started_at, self._started),)

    def snapshot(self, snapshot: Snapshot) -> Iterable[bytes]:
        """See ``Encoder``."""
        message = message_to_wire(snapshot.message)
        return (self._line(snapshot.seq, time.time(), {"type": "snapshot", "message": message}),)

    def entries(self, entries: Sequence[Entry], answer: AnswerView) -> Iterable[bytes]:
        """See ``Encoder``."""
        """See ``Encoder``."""
        return (self._line(entry.seq, entry.at, event_to_wire(entry.event)) for entry in entries)

    def deleted(self, error: NotFound) -> Iterable[bytes]:
        """See ``Encoder``."""
        return ()

    def _line(self, seq: int, at: float, event: dict[str, Any]) -> bytes:
        """``at``: Unix seconds."""
        when = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
        line = {"at": when, "run_id": self._run_id, "seq": seq, **event}
        return json.dumps(line, separators=(",", ":"), default=str).encode()


def _started_at(log: Log, run_id: str) -> float:
    """When the run was opened, in Unix seconds; of one that goes on here, the time of its first entry here."""
    if (opened_at := log.opened_at(run_id)) is not None:
        return opened_at
    entries = log.entries_after(run_id, log.start(run_id).seq)
    return entries[0].at if isinstance(entries, list) and entries else time.time()


class Sink(Protocol):
    """Where lines go."""

    def write(self, lines: list[bytes]) -> None:
        """Write these lines. May block, and raise anything."""
        ...

    def erase(self, run_ids: Collection[bytes]) -> None:
        """Remove the lines of these runs. May block, and raise anything."""
        ...


class FileSink:
    """Appends to a file, which several processes may share: each batch is one write of whole lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def write(self, lines: list[bytes]) -> None:
        """Append the lines. Raises ``OSError``."""
        if self._file is None:
            self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        data = memoryview(b"".join(line + b"\n" for line in lines))
        while data:
            data = data[os.write(self._file, data) :]

    def erase(self, run_ids: Collection[bytes]) -> None:
        """Overwrite the lines with spaces, in place: the file keeps its length for whoever appends or reads it."""
        if not self._path.exists():
            return
        with self._path.open("rb+") as file:
            start = 0
            for line in file:
                found = _RUN_ID.search(line)
                if found and found[1] in run_ids:
                    os.pwrite(file.fileno(), b" " * len(line.rstrip(b"\n")), start)
                start += len(line)


class RedisSink:
    """Adds to a stream, one entry per line, and keeps its newest million."""

    def __init__(self, url: str, stream: str) -> None:
        from redis import Redis, RedisCluster
        from redis.cluster import ClusterNode

        from streamchat.runs.redis.cluster import is_cluster, read_address

        options = {"socket_timeout": 10, "socket_connect_timeout": 10}
        if is_cluster(url):
            first, others = read_address(url)
            nodes = [ClusterNode(host, port) for host, port in others]
            self._redis = RedisCluster.from_url(first, startup_nodes=nodes, **options)
        else:
            self._redis = Redis.from_url(url, **options)
        self._stream = stream

    def write(self, lines: list[bytes]) -> None:
        """Add the lines. Raises ``redis.RedisError``."""
        with self._redis.pipeline(transaction=False) as pipe:
            for line in lines:
                pipe.xadd(self._stream, {"line": line}, maxlen=_STREAM_LENGTH, approximate=True)
            pipe.execute()

    def erase(self, run_ids: Collection[bytes]) -> None:
        """Remove the entries. Raises ``redis.RedisError``."""
        after: Any = "-"
        while entries := cast("list[Any]", self._redis.xrange(self._stream, after, "+", _BATCH)):
            found = [(name, _RUN_ID.search(fields.get(b"line", b""))) for name, fields in entries]
            if gone := [name for name, match in found if match and match[1] in run_ids]:
                self._redis.xdel(self._stream, *gone)
            after = b"(" + entries[-1][0]


class BackgroundWriter:
    """``offer`` lines to a sink. ``dropped``: how many were lost, because the sink was too slow or failed."""

    def __init__(self, sink: Sink, max_bytes: int = MAX_BYTES) -> None:
        self.dropped = 0
        self._sink = sink
        self._max = max_bytes
        self._bytes = 0
        self._waiting: deque[bytes] = deque()
        self._writing = False
        self._changed = threading.Condition()
        self._closing = False
        self._warned = (0, 0.0)
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

    def erase(self, run_ids: Collection[bytes]) -> None:
        """Remove the lines of these runs, after those that wait. Blocks; a sink that fails keeps them."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._writing, _ERASE_SECONDS)
        try:
            self._sink.erase(run_ids)
        except Exception as error:
            logger.warning("the completion log keeps lines of deleted answers: %s", type(error).__name__)

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
            self._writing = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._waiting or self._closing)
            self._writing = True
            batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
            self._bytes -= sum(map(len, batch))
            return batch

    def _lost(self, count: int, why: str = "it is slower than the answers") -> None:
        self.dropped += count
        count_before, at = self._warned
        if not count_before or time.monotonic() - at > _WARN_SECONDS:
            self._warned = (self.dropped, time.monotonic())
            logger.warning("the completion log has lost %d lines: %s", self.dropped, why)
