"""The task of a run: writes an answer's events to its log, up to and including its one ending.

The middle of a token's path. Knows nothing of how a run is started, or of its readers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import TypeAlias

from streamchat.chat import events as e
from streamchat.chat.messages import Message, Part, ReasoningPart, TextPart, ToolCallPart
from streamchat.chat.timing import Stopwatch
from streamchat.errors import ProviderError, StorageError, StreamBroken, StreamchatError
from streamchat.runs.coalesce import Arrival
from streamchat.runs.log import Log
from streamchat.runs.persistence import NOT_SAVED, Superseded, Writer
from streamchat.runs.ports import Begun
from streamchat.runs.queue import Ticket
from streamchat.runs.upstream import Upstream

# Text, thinking, arguments and results of an answer, over all its rounds and all workers that wrote it.
MAX_RUN_CHARACTERS = 32 * 1024 * 1024
StorePictures: TypeAlias = Callable[[str, str, e.Json], Awaitable[e.Json]]
"""Stores the pictures in a tool's result as files: owner, run, result. Returns the result that names them."""
ENDED = {e.Failed: "failed", e.Interrupted: "was interrupted"}
logger = logging.getLogger(__name__)


@dataclass(slots=True)
class ActiveRun:
    """A run that has a task in this process. ``epoch``: its fencing token. Times are ``time.monotonic()``.

    ``watch``: measures the answer; ``None`` if another process wrote its beginning, whose times are not known here.
    ``begun``: what it began with, if that was here. ``question``: what it answers, if that is the first message of a
    conversation that a person began. ``upstream``: the responses that the provider stores. ``ticket``: its place among
    the answers of this process, if it has one already.
    """

    run_id: str
    owner: str
    conversation_id: str
    client_message_id: str
    epoch: int = 0
    started: float = field(default_factory=monotonic)
    watch: Stopwatch | None = None
    deltas: int = 0
    stop_requested_at: float | None = None
    entered: bool = False
    ending: bool = False
    superseded: bool = False
    handing_over: bool = False
    handed_over: bool = False
    begun: Begun | None = None
    question: Message | None = None
    ticket: Ticket | None = None
    task: asyncio.Task[None] | None = None
    upstream: Upstream | None = None

    def note(self, event: e.Event, at: float) -> None:
        """Count and time an event of the answer."""
        if isinstance(event, e.Delta):
            self.deltas += 1
        if self.watch is not None:
            self.watch.add(event, at)

    def cancel(self) -> None:
        """Cancel the task, which closes the provider's connection; not once the ending is being written."""
        if not self.entered:
            # A task that is cancelled before its first step never runs, not even its ``finally``.
            asyncio.get_running_loop().call_soon(self.cancel)
        elif self.task and not self.ending:
            self.task.cancel()


async def drive(
    run: ActiveRun,
    source: AsyncGenerator[Arrival, None],
    log: Log,
    writer: Writer,
    store_pictures: StorePictures | None = None,
) -> None:
    """Run one answer until it ends or waits for an approval. Raises nothing: an error becomes the ending."""
    run.entered = True
    ending: e.Ending | e.Waiting = e.Interrupted()
    ended: float | None = None
    try:
        size = sum(map(_part_size, log.snapshot(run.run_id).message.parts))
        async with aclosing(source) as arrivals:
            async for event, at in arrivals:
                if store_pictures and isinstance(event, e.ToolResult):
                    event = replace(event, result=await store_pictures(run.owner, run.run_id, event.result))
                size += _event_size(event)
                if size > MAX_RUN_CHARACTERS:
                    raise StreamBroken("The answer is longer than allowed.", kind="too-long")
                if writer.doubtful:
                    await writer.confirm(run.run_id)
                if isinstance(event, e.Finished | e.Waiting):
                    ending, ended = event, at  # The provider's socket may stay open for long.
                    break
                run.note(event, at)
                log.append(run.run_id, event, at)
    except asyncio.CancelledError:
        ending = _cancelled(run)
    except Superseded:
        run.superseded = True
    except StreamchatError as error:
        ending = _failed(error)
    except Exception:
        logger.exception("run %s failed", run.run_id)
        ending = e.Failed("Something went wrong inside the server; its log says what.", "internal")
    run.ending = True
    ended = ended or monotonic()  # The time is taken now: storing takes time.
    if run.handing_over and isinstance(ending, e.Interrupted) and ending.kind == "shutdown":
        run.handed_over = True  # without an ending: ``RunService.close`` gives it to another process
        return
    if isinstance(ending, e.Failed | e.Interrupted) and ending.kind != "shutdown":
        # The kind only: an error message may quote what was sent.
        model = log.snapshot(run.run_id).message.model
        logger.warning("run %s: the answer of %s %s (%s)", run.run_id, model, ENDED[type(ending)], ending.kind)
    if not run.superseded:
        await _end(run, ending, ended, log, writer)
    if run.superseded:  # Another worker owns it, or it is gone: what it says is to be read elsewhere.
        writer.forget(run.run_id)
        log.drop(run.run_id)


async def _end(run: ActiveRun, ending: e.Ending | e.Waiting, at: float, log: Log, writer: Writer) -> None:
    if run.watch is not None:
        run.watch.add(ending, at)
    stored = True
    try:
        await writer.end(run.run_id, ending)
    except Superseded:
        run.superseded = True
        return
    except StorageError as error:
        stored = False
        log.append(run.run_id, e.Notice(NOT_SAVED, f"This answer could not be saved yet: {error.user_message}"))
    if run.watch is not None and not isinstance(ending, e.Waiting):
        # Complete is what is stored: an ending that is not has no such time.
        timing = (run.watch.complete(monotonic()) if stored else run.watch.timing()).to_json()
        ending = replace(ending, timing=timing)
        writer.note_timing(run.run_id, run.epoch, timing)
    log.append(run.run_id, ending, at)
    writer.ended(run.run_id)


def _failed(error: StreamchatError) -> e.Failed | e.Interrupted:
    if isinstance(error, StreamBroken):
        return e.Interrupted(error.user_message, error.kind)
    if isinstance(error, ProviderError):
        return e.Failed(error.user_message, error.kind, error.retryable, error.retry_after)
    return e.Failed(error.user_message, error.kind)


def _event_size(event: e.Event) -> int:
    """Return about how many characters of memory an event takes."""
    match event:
        case e.TextDelta(text) | e.ReasoningDelta(text) | e.ToolProgress(_, text):
            return len(text)
        case e.ToolCallArguments(_, fragment):
            return len(fragment)
        case e.ToolResult():
            return len(str(event.result)) + len(event.error or "")
        case _:
            return 100


def _part_size(part: Part) -> int:
    """Return about how many characters of memory a part takes that was there before."""
    match part:
        case TextPart(text) | ReasoningPart(text):
            return len(text)
        case ToolCallPart():
            return len(part.raw) + len(str(part.result))
        case _:
            return 100


def _cancelled(run: ActiveRun) -> e.Ending:
    if run.stop_requested_at is None:
        return e.Interrupted("The server was stopped while it answered.", "shutdown")
    return e.Stopped(round((monotonic() - run.stop_requested_at) * 1000), run.deltas)
