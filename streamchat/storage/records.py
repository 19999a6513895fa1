"""Results of storage calls, as frozen values.

Knows nothing of SQL. Rule: a run is one answer, so ``run_id`` is the id of the answer's message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from streamchat.chat.conversation_settings import ConversationSettings
from streamchat.chat.feedback import Feedback
from streamchat.chat.messages import Message, Role, Status
from streamchat.chat.request import RunOptions
from streamchat.storage.cursor import PINNED, cursor


@dataclass(frozen=True, slots=True)
class ConversationRow:
    """One conversation in a list. ``answering``: one of its answers is being written or awaits approval.

    ``waiting``: one awaits approval.
    """

    id: str
    title: str
    updated_at: datetime
    answering: bool
    pinned: bool = False
    archived: bool = False
    waiting: bool = False

    @property
    def cursor(self) -> str:
        """Return the cursor of the next, older page, for ``Storage.conversations(before=…)``."""
        return (PINNED if self.pinned else "") + cursor(self.updated_at, self.id)


@dataclass(frozen=True, slots=True)
class BranchPage:
    """A part of the active branch. ``ids``: its messages, oldest first; ``messages``: those that were not known.

    ``siblings``: as in ``Conversation``. ``earlier``: the branch has messages before these. ``compared``: the last of
    ``ids``, if they are answers to one question that stand side by side. ``feedback``: by the id of the answer.
    """

    id: str
    title: str
    settings: ConversationSettings
    ids: tuple[str, ...]
    messages: tuple[Message, ...]
    siblings: Mapping[str, tuple[str, ...]]
    earlier: bool
    compared: tuple[str, ...] = ()
    feedback: Mapping[str, Feedback] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """One message. ``parent_id``: the message before it, ``ROOT`` for a first one. Times are in UTC."""

    message: Message
    conversation_id: str
    parent_id: str
    created_at: datetime
    updated_at: datetime
    feedback: Feedback | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation with its active branch. ``messages``: root first.

    ``siblings``: for each message of the branch that has other versions, the ids of all versions including its own,
    oldest first. ``compared``: the ids of the answers that stand side by side at its end, if there are several.
    ``feedback``: by the id of the answer.
    """

    id: str
    title: str
    messages: tuple[Message, ...]
    siblings: Mapping[str, tuple[str, ...]]
    settings: ConversationSettings = field(default_factory=ConversationSettings)
    pinned: bool = False
    archived: bool = False
    compared: tuple[str, ...] = ()
    feedback: Mapping[str, Feedback] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlacedMessage:
    """A message of any branch. ``position``: its number in the conversation. ``seq``: the last event in ``message``."""

    position: int
    parent_id: str | None
    seq: int
    message: Message


@dataclass(frozen=True, slots=True)
class Begun:
    """A new answer, stored as a row. ``history``: the branch up to and including ``user``, the message to answer.

    ``created`` is ``False`` if an earlier request with the same client message id began it. ``options``: those of the
    request, and of the conversation if the request inherits them. ``choices``: the tool settings of the conversation.
    """

    run_id: str
    conversation_id: str
    title: str
    user: Message
    answer: Message
    history: tuple[Message, ...]
    created: bool
    options: RunOptions = field(default_factory=RunOptions)
    choices: ToolChoices | None = None


@dataclass(frozen=True, slots=True)
class StoredRun:
    """An answer as stored. ``owner``: the owner's id. ``seq``: the last log entry that ``message`` contains.

    ``worker``: the process that owns it, and ``epoch`` its fencing token. ``takeovers``: how often another process has
    continued it. ``request``: the options stored with the run (``RunOptions.to_json``). ``upstream``: the checkpoint of
    the response that the provider stores (``runs.upstream.Checkpoint``), if there is one.
    """

    owner: str
    run_id: str
    conversation_id: str
    message: Message
    seq: int
    worker: str = ""
    request: Mapping[str, Any] = field(default_factory=dict)
    epoch: int = 0
    takeovers: int = 0
    upstream: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class StaleRun:
    """A streaming answer without a recent heartbeat.

    ``silence``: seconds since the last one, by the database's clock; negative if it is in the future. ``released``: its
    owner gave it up, with all of the answer stored.
    """

    run_id: str
    epoch: int
    heartbeat_at: datetime | None
    silence: float
    released: bool


@dataclass(frozen=True, slots=True)
class ToolChoices:
    """Tool settings of a conversation. ``always``: tools that need no approval. ``off``: disabled tools and servers."""

    always: frozenset[str] = frozenset()
    off: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result. ``snippet``: one line around the first match, with the matches between « and »."""

    conversation_id: str
    title: str
    message_id: str
    role: Role
    snippet: str
    created_at: datetime

    @property
    def cursor(self) -> str:
        """Return the cursor of the next, older page, for ``Storage.search(before=…)``."""
        return cursor(self.created_at, self.message_id)


@dataclass(frozen=True, slots=True)
class RunRow:
    """An answer in progress, without its text. ``seq``: its last stored log entry."""

    run_id: str
    conversation_id: str
    status: Status
    seq: int
