"""The page ``/lab``: one answer, read over every transport at once, with the time at which each showed its text.

The browser reads HTTP and the WebSocket itself. ``Lab`` brings what it cannot read: the page's own path, the log's
times, and gRPC. Rules:

* Nothing here starts a run: the browser does, by ``POST /api/runs``, and every reader gets its identifier.
* Any client can call a handler with any payload: each handler validates, and reads for the tab's owner only.
* A tab has one reader of each kind. A newer one, or a closed socket, ends it; it never ends the run.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, suppress
from typing import Any, TypeAlias

import reflex as rx
from reflex.utils.exceptions import LockExpiredError

from streamchat.chat.events import TextDelta
from streamchat.errors import NotFound, StreamchatError
from streamchat.protocols.page.stream import Frame, PageEncoder
from streamchat.runs.log import Entry, Log, Snapshot
from streamchat.runs.reader import FROM_SNAPSHOT, Batch, RunReader, pieces_of
from streamchat.ui.chat_page import head
from streamchat.ui.components import LabPage
from streamchat.ui.context import Tab, context_of, services, tab_of
from streamchat.ui.tab_session import is_open
from streamchat.wiring import Services, state_lost

# Reads a run over gRPC: yields arrival in Unix seconds, bytes and text.
FollowGrpc: TypeAlias = Callable[[Services, str], AsyncGenerator[tuple[float, int, str], None]]
# Seconds between two frames with what came over gRPC. The times in them are exact.
GRPC_SECONDS = 0.1
HEARTBEAT_SECONDS = 5.0

# The newest reader of each tab, by kind and Reflex's token.
_readers: dict[tuple[str, str], object] = {}
_follow_grpc: FollowGrpc | None = None


def serve(follow_grpc: FollowGrpc) -> None:
    """Register the reader of the gRPC port."""
    global _follow_grpc
    _follow_grpc = follow_grpc


def page() -> rx.Component:
    """Return the page."""
    return rx.fragment(
        head(),
        LabPage.create(state=Lab.get_full_name(), on_warm=Lab.warm, on_race=Lab.race, on_grpc=Lab.grpc),
    )


class Lab(rx.State):
    """What a race needs of the server.

    ``f``: the newest frame of the page's path. ``g``: the newest of gRPC. ``w``: the model that is warm.
    """

    f: dict = {}  # a ``Frame``: see ``Live``
    g: dict = {}
    w: str = ""

    @rx.event(background=True)
    async def warm(self, model: str):
        """Start what answers for a model: its start belongs to no answer's times."""
        async with self:
            tab = tab_of(self)
        if not isinstance(model, str):
            return
        with suppress(StreamchatError):  # the run reports it
            await (await context_of(tab)).services.models.warm_up(model)
        async with self:
            self.w = model[:200]

    @rx.event(background=True)
    async def race(self, run_id: str):
        """Send the run's frames as the chat page gets them, then the log's times."""
        async with self:
            tab = tab_of(self)
        async with aclosing(_shown(self, "f", _current("page", tab, _page_frames(tab, run_id)))) as shown:
            async for _ in shown:
                yield

    @rx.event(background=True)
    async def grpc(self, run_id: str):
        """Read the run over this server's gRPC port, and send what came and when."""
        async with self:
            tab = tab_of(self)
        async with aclosing(_shown(self, "g", _current("grpc", tab, _grpc_frames(tab, run_id)))) as shown:
            async for _ in shown:
                yield


async def _shown(lab: Lab, var: str, frames: AsyncGenerator[Frame, None]) -> AsyncGenerator[None, None]:
    """Assign each frame to a var of the tab's state, and yield behind it: Reflex sends what has changed."""
    async with aclosing(frames):
        async for frame in frames:
            try:
                async with lab:
                    setattr(lab, var, frame)
            except (*state_lost(), LockExpiredError):
                continue  # the browser notices the gap
            yield


async def _current(kind: str, tab: Tab, frames: AsyncGenerator[Frame | None, None]) -> AsyncGenerator[Frame, None]:
    """Yield the frames while the tab is open and asks for no others of this kind. ``None`` only checks that."""
    key, me = (kind, tab.token), object()
    _readers[key] = me
    try:
        async with aclosing(frames):
            async for frame in frames:
                if _readers.get(key) is not me or not is_open(tab.token):
                    return
                if frame is not None:
                    yield frame
    finally:
        if _readers.get(key) is me:
            del _readers[key]


async def _page_frames(tab: Tab, run_id: Any) -> AsyncGenerator[Frame | None, None]:
    """Yield the frames of the page's own protocol, then one with the log's times."""
    if not isinstance(run_id, str):
        return
    try:
        context = await context_of(tab)
        await context.runs.conversation_of(context.owner, run_id)
        times = LogTimes(context.runs.log, run_id)
        reader = RunReader(context.runs, context.owner, run_id, FROM_SNAPSHOT, heartbeat=HEARTBEAT_SECONDS)
        encoder = PageEncoder()
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                times.note(batch)
                for frame in pieces_of(batch, reader, encoder):
                    yield frame
                if batch is None:
                    yield None
        yield times.frame()
    except StreamchatError as error:
        yield {"k": "failed", "m": run_id, "text": error.user_message}


class LogTimes:
    """The times of one answer by its log, in Unix seconds of the server.

    ``opened``: the run was opened. ``first``, ``last``: arrival of the first and the last text from the provider.
    ``complete``: the ending was stored and could be read. ``None``: not known.
    """

    def __init__(self, log: Log, run_id: str) -> None:
        self._log = log
        self._run_id = run_id
        self._gap = False
        self.first: float | None = None
        self.last: float | None = None
        self.complete: float | None = None
        try:
            self.opened = log.opened_at(run_id)
        except NotFound:
            self.opened = None

    def note(self, batch: Batch | None) -> None:
        """Take the times of a batch. A snapshot has none: they are those of the entries for which it stands."""
        if isinstance(batch, Snapshot):
            self._note_text(self._entries_until(batch.seq))
        elif batch:
            self._note_text(batch)
            if batch[-1].last:
                self.complete = time.time()

    def _note_text(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if isinstance(entry.event, TextDelta):
                if self.first is None and not self._gap:
                    self.first = entry.at
                self.last = entry.at

    def _entries_until(self, seq: int) -> list[Entry]:
        with suppress(NotFound):
            entries = self._log.entries_after(self._run_id, 0)
            if isinstance(entries, list):
                return [entry for entry in entries if entry.seq <= seq]
        self._gap = True  # the first text may be among those that the log has no longer
        return []

    def frame(self) -> Frame:
        """Return them as a frame."""
        times = {"opened": self.opened, "first": self.first, "last": self.last, "complete": self.complete}
        return {"k": "times", "m": self._run_id, **times}


async def _grpc_frames(tab: Tab, run_id: Any) -> AsyncGenerator[Frame | None, None]:
    """Yield frames with the text that came, as pairs of arrival and text, and with the bytes so far."""
    if not isinstance(run_id, str) or _follow_grpc is None:
        return
    pieces: list[tuple[float, str]] = []
    size, due, number = 0, 0.0, 0
    try:
        await (context := await context_of(tab)).runs.conversation_of(context.owner, run_id)
        async with aclosing(_follow_grpc(services(), run_id)) as entries:
            async for at, length, text in entries:
                size += length
                if text:
                    pieces.append((at, text))
                if (now := time.monotonic()) >= due and pieces:
                    number += 1
                    yield {"m": run_id, "n": number, "pieces": pieces, "bytes": size}
                    pieces, due = [], now + GRPC_SECONDS
        yield {"m": run_id, "n": number + 1, "pieces": pieces, "bytes": size, "end": True}
    except StreamchatError as error:
        yield {"m": run_id, "n": number + 1, "pieces": [], "bytes": size, "why": error.user_message, "kind": error.kind}
