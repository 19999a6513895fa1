"""Tool-call approvals and suspended runs.

An answer that waits has no task and belongs to no process; it is changed only here. Rules:

* A decision is an entry of the log like any other: ``ToolCallReady`` with the arguments that were agreed to, or
  ``ToolResult("denied")``. It is stored before readers see it.
* Of two concurrent decisions the second sees the first: the store changes a row only from the state that was read.
* The run continues when no call needs a decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from streamchat.chat.events import Event, Json, Stopped, ToolCallReady, ToolResult
from streamchat.chat.fold import fold
from streamchat.chat.messages import Message, ToolCallPart
from streamchat.errors import InvalidInput, NotFound, StreamchatError, WrongArguments
from streamchat.runs.log import Log, Snapshot
from streamchat.runs.ports import Store, StoredAnswer
from streamchat.tools.signature import BadArguments
from streamchat.tools.toolbox import Toolbox

DENIED = "The person did not allow this call."
MAX_REASON = 2000
_TRIES, _PAUSE = 30, 0.1


@dataclass(frozen=True, slots=True)
class Decision:
    """A person's decision about one call.

    ``arguments``: changed arguments, ``None`` for the model's. ``reason``: of a denial, sent to the model. ``always``:
    the tool needs no approval in this conversation from now on.
    """

    approve: bool
    arguments: Mapping[str, Json] | None = None
    reason: str = ""
    always: bool = False


class SuspendedRuns:
    """The answers that wait for an approval."""

    def __init__(self, store: Store, log: Log, worker: str) -> None:
        self._store = store
        self._log = log
        self._worker = worker

    async def change(
        self, owner: str, run_id: str, events: Callable[[Message], Sequence[Event]]
    ) -> tuple[StoredAnswer, Message]:
        """Apply the events that ``events`` makes of the stored message. Returns the old answer and the new message.

        Raises ``NotFound``, and ``InvalidInput`` if the answer does not wait.
        """
        for _ in range(_TRIES):
            stored = await self._store.answer(owner, run_id)
            if stored.message.status == "waiting":
                new = list(events(stored.message))
                message, seq = fold(stored.message, new), stored.seq + len(new)
                epoch = stored.epoch + 1
                if await self._store.move_on(message, seq, after=stored.seq, worker=self._worker, epoch=epoch):
                    self._log.resume(Snapshot(stored.seq, stored.message), epoch)
                    for event in new:
                        self._log.append(run_id, event)
                    return stored, message
            elif not self._waits_in_log(run_id):
                raise InvalidInput("This answer does not wait for a decision.")
            await asyncio.sleep(_PAUSE)
        raise StreamchatError("This answer could not be changed now. Please try again.", kind="busy")

    async def stop(self, owner: str, run_id: str) -> StoredAnswer | None:
        """End an answer that waits and return it; ``None`` if it does not wait. Raises ``NotFound``."""
        stored = await self._store.answer(owner, run_id)
        if stored.message.status == "waiting":
            with suppress(InvalidInput):  # another worker stored a decision: it runs, or has ended
                await self.change(owner, run_id, lambda message: [Stopped()])
                return stored
        return None

    def _waits_in_log(self, run_id: str) -> bool:
        """Return whether the log says that it waits, which is stored in a moment."""
        try:
            return self._log.snapshot(run_id).message.status == "waiting"
        except NotFound:
            return False


def decided(message: Message, call_id: str, decision: Decision, toolbox: Toolbox | None) -> list[Event]:
    """Return the events of a decision.

    Raises ``NotFound`` for an unknown call, and ``InvalidInput`` if it needs no decision or the arguments are invalid.
    """
    call = next((p for p in message.parts if isinstance(p, ToolCallPart) and p.id == call_id), None)
    if call is None:
        raise NotFound("There is no such call.")
    if call.state != "awaiting-approval":
        raise InvalidInput("This call does not wait for a decision.")
    if not decision.approve:
        reason = decision.reason.strip()[:MAX_REASON]
        return [ToolResult(call_id, "denied", error=f"{DENIED} They said: {reason}" if reason else DENIED)]
    arguments = call.arguments or {} if decision.arguments is None else decision.arguments
    if not call.by_provider and toolbox is not None and (tool := toolbox.get(call.name)):
        try:
            arguments = tool.check(arguments)
        except BadArguments as error:
            raise WrongArguments(error.user_message, error.paths) from None
        except StreamchatError as error:
            raise InvalidInput(error.user_message) from None
    return [ToolCallReady(call_id, dict(arguments), call.opaque, call.schema)]


def always_of(message: Message, call_id: str, decision: Decision) -> list[str]:
    """Return the tools that need no approval from now on."""
    if not (decision.approve and decision.always):
        return []
    calls = [part for part in message.parts if isinstance(part, ToolCallPart) and not part.by_provider]
    return [part.name for part in calls if part.id == call_id]
