"""The producer: an answer's events into the log of one run, up to and with its one ending.

The middle of a token's path. Knows nothing of how a run was started or who reads it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from time import monotonic

from streamchat.chat import events as e
from streamchat.errors import ProviderError, StorageError, StreamBroken, StreamchatError
from streamchat.runs.log import Log
from streamchat.runs.writer import NOT_SAVED, Writer

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Running:
    """A run that has a task in this process. Times are ``time.monotonic()``."""

    run_id: str
    owner: str
    conversation_id: str
    client_message_id: str
    started: float = field(default_factory=monotonic)
    deltas: int = 0
    stop_asked: float | None = None
    entered: bool = False
    ending: bool = False
    superseded: bool = False
    task: asyncio.Task[None] | None = None

    def cancel(self) -> None:
        """Cancel the task, which closes the provider's connection; not once the ending is being written."""
        if not self.entered:
            # A task that is cancelled before its first step never runs, not even its ``finally``.
            asyncio.get_running_loop().call_soon(self.cancel)
        elif self.task and not self.ending:
            self.task.cancel()


async def produce(run: Running, source: AsyncGenerator[e.Event, None], log: Log, writer: Writer) -> None:
    """Run one answer to its end, or until it waits for a person. Raises nothing: what goes wrong is the ending."""
    run.entered = True
    ending: e.Ending | e.Waiting = e.Interrupted()
    try:
        async with aclosing(source) as events:
            async for event in events:
                if isinstance(event, e.Finished | e.Waiting):
                    ending = event  # The last that is said; the provider's socket may stay open for long.
                    break
                if isinstance(event, e.Delta):
                    run.deltas += 1
                log.append(run.run_id, event)
    except asyncio.CancelledError:
        ending = _cancelled(run)
    except StreamBroken as error:
        ending = e.Interrupted(error.user_message, error.kind)
    except ProviderError as error:
        ending = e.Failed(error.user_message, error.kind, error.retryable, error.retry_after)
    except StreamchatError as error:
        ending = e.Failed(error.user_message, error.kind)
    except Exception:
        logger.exception("run %s failed", run.run_id)
        ending = e.Failed("Something went wrong inside the server; its log says what.", "internal")
    run.ending = True
    if run.superseded:  # It has an ending, by another hand.
        writer.forget(run.run_id)
        return
    try:
        await writer.end(run.run_id, ending)
    except StorageError as error:
        log.append(run.run_id, e.Notice(NOT_SAVED, f"This answer could not be saved yet: {error.user_message}"))
    finally:
        log.append(run.run_id, ending)


def _cancelled(run: Running) -> e.Ending:
    if run.stop_asked is None:
        return e.Interrupted("The server was stopped while it answered.", "shutdown")
    return e.Stopped(round((monotonic() - run.stop_asked) * 1000), run.deltas)
