"""What a person decides about a tool call, and answers that wait for it.

An answer that waits has no task and belongs to no process; it is changed here and nowhere else. Rules:

* A decision is an entry of the log like any other: ``ToolCallReady`` with the arguments that were agreed to, or
  ``ToolResult("denied")``. It is stored before it is told.
* Of two who decide at the same time, the second sees what the first did: the store changes only what it still is.
* The run goes on when no call is left to decide about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from streamchat.chat.events import Event, Json, Stopped, ToolCallReady, ToolResult
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message, ToolCallPart
from streamchat.errors import InvalidInput, NotFound, StreamchatError
from streamchat.runs.log import Log, Snapshot
from streamchat.runs.ports import Store, StoredAnswer
from streamchat.tools.toolbox import Toolbox

DENIED = "The person did not allow this call."
MAX_REASON = 2000
_TRIES, _PAUSE = 30, 0.1


@dataclass(frozen=True, slots=True)
class Decision:
    """``arguments``: changed ones, ``None`` for those of the model. ``reason``: of a denial, told to the model.
    ``always``: from now on this tool need not ask in this conversation."""

    approve: bool
    arguments: Mapping[str, Json] | None = None
    reason: str = ""
    always: bool = False


class Parked:
    """The answers that wait."""

    def __init__(self, store: Store, log: Log, worker: str) -> None:
        self._store = store
        self._log = log
        self._worker = worker

    async def change(
        self, owner: str, run_id: str, events: Callable[[Message], Sequence[Event]]
    ) -> tuple[StoredAnswer, Message]:
        """Apply ``events`` of what is stored; returns the answer as it was and the message as it is now.

        Raises ``NotFound``, and ``InvalidInput`` where the answer does not wait.
        """
        for _ in range(_TRIES):
            stored = await self._store.answer(owner, run_id)
            if stored.message.status == "waiting":
                new = list(events(stored.message))
                message, seq = fold(stored.message, new), stored.seq + len(new)
                if await self._store.move_on(message, seq, after=stored.seq, worker=self._worker):
                    self._log.go_on(Snapshot(stored.seq, stored.message))
                    for event in new:
                        self._log.append(run_id, event)
                    return stored, message
            elif not self._told(run_id):
                raise InvalidInput("This answer does not wait for a decision.")
            await asyncio.sleep(_PAUSE)
        raise StreamchatError("This answer could not be changed now. Please try again.", kind="busy")

    async def stop(self, owner: str, run_id: str) -> StoredAnswer | None:
        """End an answer that waits; ``None`` where it does not. Raises ``NotFound``."""
        stored = await self._store.answer(owner, run_id)
        if stored.message.status == "waiting":
            with suppress(InvalidInput):  # somebody decided elsewhere: then it runs, or has ended
                await self.change(owner, run_id, lambda message: [Stopped()])
                return stored
        return None

    def _told(self, run_id: str) -> bool:
        """Whether readers were told already that it waits, which is stored in a moment."""
        try:
            return self._log.snapshot(run_id).message.status == "waiting"
        except NotFound:
            return False


def decided(message: Message, call_id: str, decision: Decision, toolbox: Toolbox | None) -> list[Event]:
    """What a decision adds to the log. Raises ``NotFound`` for an unknown call, ``InvalidInput`` for one that nobody
    asked about, and for arguments that do not fit."""
    call = next((p for p in message.parts if isinstance(p, ToolCallPart) and p.id == call_id), None)
    if call is None:
        raise NotFound("There is no such call.")
    if call.state != "awaiting-approval":
        raise InvalidInput("This call does not wait for a decision.")
    if not decision.approve:
        reason = decision.reason.strip()[:MAX_REASON]
        return [ToolResult(call_id, "denied", error=f"{DENIED} They said: {reason}" if reason else DENIED)]
    arguments = call.arguments or {} if decision.arguments is None else decision.arguments
    if toolbox is not None and (tool := toolbox.get(call.name)):
        try:
            arguments = tool.check(arguments)
        except StreamchatError as error:
            raise InvalidInput(error.user_message) from None
    return [ToolCallReady(call_id, dict(arguments), call.opaque)]


def always_of(message: Message, call_id: str, decision: Decision) -> list[str]:
    """The tools that need not ask any more."""
    if not (decision.approve and decision.always):
        return []
    return [part.name for part in message.parts if isinstance(part, ToolCallPart) and part.id == call_id]
