"""Chats that are deleted as soon as their answer has ended (``chat.request.UNKEPT``).

Knows the store by its protocol. Rules:

* The rows are in memory only, as those of any temporary chat. After the ending nothing reads them any more, but for
  readers that follow the log already.
* What the provider wants back of its reasoning is kept in memory for ``KEEP_SECONDS``: the client has only a handle of
  it (``protocols.reasoning_handles``), and sends that with its next request.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, replace

from streamchat.chat.messages import Message, ReasoningPart
from streamchat.errors import NotFound, StorageError
from streamchat.runs.ports import Store

KEEP_SECONDS = 3600.0
MAX_KEPT = 1000
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reasoned:
    """The reasoning of an answer. ``message`` has no other parts."""

    owner: str
    message: Message


class Unkept:
    """Deletes such chats, and keeps the opaque data of their reasoning for a while."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._reasoning: dict[str, Reasoned] = {}
        self._deletions: set[asyncio.Task[None]] = set()

    def ended(self, owner: str, conversation_id: str, message: Message) -> None:
        """Delete the chat of this answer, in the background."""
        reasoning = tuple(part for part in message.parts if isinstance(part, ReasoningPart))
        if any(part.opaque is not None for part in reasoning):
            self._reasoning[message.id] = Reasoned(owner, replace(message, parts=reasoning))
            if len(self._reasoning) > MAX_KEPT:
                del self._reasoning[next(iter(self._reasoning))]
            asyncio.get_running_loop().call_later(KEEP_SECONDS, self._reasoning.pop, message.id, None)
        task = asyncio.create_task(self._delete(owner, conversation_id), name=f"delete {conversation_id}")
        self._deletions.add(task)
        task.add_done_callback(self._deletions.discard)

    async def answer(self, owner: str, run_id: str) -> Reasoned:
        """Return the reasoning of an answer that has ended. Raises ``NotFound``."""
        kept = self._reasoning.get(run_id)
        if kept is None or kept.owner != owner:
            raise NotFound("This answer does not exist.")
        return kept

    async def close(self, patience: float) -> None:
        """Wait for deletions in progress."""
        if self._deletions:
            await asyncio.wait(self._deletions, timeout=patience)

    async def _delete(self, owner: str, conversation_id: str) -> None:
        try:
            with suppress(NotFound):
                await self._store.delete(owner, conversation_id)
        except StorageError as error:  # it goes with the other temporary chats
            logger.warning("a chat is deleted later: %s", error)
