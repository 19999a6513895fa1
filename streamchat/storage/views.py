"""What storage answers with, as frozen values.

Knows nothing of SQL. Rule: a run is one answer, so ``run_id`` is the id of the answer's message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from streamchat.chat.messages import Message, Role, Status
from streamchat.storage.cursor import cursor


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """A line of the sidebar. ``answering``: one of its answers is being written or waits for an approval."""

    id: str
    title: str
    updated_at: datetime
    answering: bool

    @property
    def cursor(self) -> str:
        """Where the next, older page begins: hand it to ``Storage.conversations(before=…)``."""
        return cursor(self.updated_at, self.id)


@dataclass(frozen=True, slots=True)
class Conversation:
    """``messages`` is the active branch, root first.

    ``siblings``: for each message on it that has other versions, the ids of all versions in the order
    they were made, its own among them.
    """

    id: str
    title: str
    messages: tuple[Message, ...]
    siblings: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Begun:
    """An answer that has been given its row. ``history``: the branch up to and with what is to be answered.

    ``created`` is false where the same client message id had begun it before.
    """

    run_id: str
    conversation_id: str
    title: str
    user: Message
    answer: Message
    history: tuple[Message, ...]
    created: bool


@dataclass(frozen=True, slots=True)
class StoredRun:
    """An answer as stored. ``seq``: the last entry of its log that ``message`` contains; ``request``: see ``begin``."""

    run_id: str
    conversation_id: str
    message: Message
    seq: int
    request: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolChoices:
    """What a person decided in a conversation: tools that run without asking, and tools and servers that are off."""

    always: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Hit:
    """A message that a search found. ``snippet``: one line around the first word, what was found between « and »."""

    conversation_id: str
    title: str
    message_id: str
    role: Role
    snippet: str
    created_at: datetime

    @property
    def cursor(self) -> str:
        """Where the next, older page begins: hand it to ``Storage.search(before=…)``."""
        return cursor(self.created_at, self.message_id)


@dataclass(frozen=True, slots=True)
class RunRow:
    """An answer that has not ended, without its text."""

    run_id: str
    conversation_id: str
    status: Status
    seq: int
