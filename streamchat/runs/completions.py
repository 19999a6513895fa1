"""A record of every answer that is written in this process, event by event, for a log pipeline.

One more reader of the log. Rules:

* It takes an event ``LAG_SECONDS`` after its readers were woken, so nothing is recorded before it was forwarded.
* It never waits for where the record goes: see ``outlet``.
* A line is the event in its public form, with its run and number and the time; the first one is ``started``.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

from streamchat.chat.wire import event_to_wire, message_to_wire
from streamchat.errors import NotFound
from streamchat.runs.bell import Bell
from streamchat.runs.log import Snapshot, follow
from streamchat.runs.outlet import Outlet
from streamchat.runs.runs import Runs

LAG_SECONDS = 0.05


class Completions:
    def __init__(self, runs: Runs, owner: str, outlet: Outlet) -> None:
        self._runs = runs
        self._owner = owner
        self._outlet = outlet
        self._task: asyncio.Task[None] | None = None
        self._copying: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Record what begins from now on."""
        self._task = asyncio.create_task(self._work(), name="completion log")

    async def close(self, patience: float = 2.0) -> None:
        """Record what has been told, for at most ``patience`` seconds. The runs have ended."""
        if self._task:
            self._task.cancel()
        if copying := [*self._copying.values()]:
            _, late = await asyncio.wait(copying, timeout=patience)
            for task in late:
                task.cancel()
        await asyncio.to_thread(self._outlet.close, patience)

    async def _work(self) -> None:
        bell = Bell()
        subscription = self._runs.feed.subscribe(self._owner, bell)
        try:
            while await bell.wait():
                for note in subscription.take():
                    if note.kind == "started" and note.run_id in self._runs.here():
                        self._begin(note.run_id, note.conversation_id)
        finally:
            self._runs.feed.unsubscribe(self._owner, subscription)

    def _begin(self, run_id: str, conversation_id: str) -> None:
        if run_id not in self._copying:
            task = asyncio.create_task(self._copy(run_id, conversation_id), name=f"record {run_id}")
            self._copying[run_id] = task
            task.add_done_callback(lambda _: self._copying.pop(run_id, None))

    async def _copy(self, run_id: str, conversation_id: str) -> None:
        log = self._runs.log
        try:
            model = log.snapshot(run_id).message.model
            self._write(run_id, 0, {"type": "started", "conversation_id": conversation_id, "model": model})
            async with aclosing(follow(log, run_id)) as batches:
                async for batch in batches:
                    await asyncio.sleep(LAG_SECONDS)
                    if isinstance(batch, Snapshot):
                        self._write(run_id, batch.seq, {"type": "snapshot", "message": message_to_wire(batch.message)})
                        continue
                    for entry in batch:
                        self._write(run_id, entry.seq, event_to_wire(entry.event))
        except NotFound:  # deleted while it was written
            return

    def _write(self, run_id: str, seq: int, event: dict[str, Any]) -> None:
        line = {"at": datetime.now(UTC).isoformat(timespec="milliseconds"), "run_id": run_id, "seq": seq, **event}
        self._outlet.offer(json.dumps(line, separators=(",", ":"), default=str).encode())
