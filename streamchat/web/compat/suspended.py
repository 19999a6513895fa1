"""Reads an answer as a client has it whose stream ended with approval requests. Knows the log, no protocol."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from streamchat.chat.events import Waiting
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message
from streamchat.errors import NotFound, OutOfOrder
from streamchat.runs.log import Snapshot
from streamchat.wiring.request_context import RequestContext


async def suspended(context: RequestContext, run_id: str, current: Snapshot) -> Snapshot:
    """Return the answer as it was when it was suspended, which is what the client has. It may have resumed since."""
    if current.message.status != "waiting":
        with suppress(NotFound, OutOfOrder):
            await context.runs.log.attach(run_id)
            entries = context.runs.log.entries_after(run_id, 0)
            if not isinstance(entries, Snapshot):
                last_wait = max((entry.seq for entry in entries if isinstance(entry.event, Waiting)), default=0)
                empty = Message(run_id, "assistant", status="streaming", model=current.message.model)
                return Snapshot(last_wait, fold(empty, [entry.event for entry in entries[:last_wait]]))
    return Snapshot(current.seq, replace(current.message, status="waiting", error=None, stop_reason=None))
