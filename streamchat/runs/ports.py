"""The interfaces that runs need of the database and of the models. ``storage/`` and ``wiring/`` implement them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from streamchat.chat.messages import Message, Part
from streamchat.chat.request import NewRun, RunOptions
from streamchat.chat.writes import Change, End, Timed, Written
from streamchat.providers.base import ModelInfo, Provider
from streamchat.runs.attachments import FileStore


class Begun(Protocol):
    """A new answer, or the existing one of the same client message id (``created`` is false)."""

    @property
    def run_id(self) -> str:
        """The id of the run, which is that of the answer."""
        ...

    @property
    def conversation_id(self) -> str:
        """The id of its conversation."""
        ...

    @property
    def title(self) -> str:
        """The title of its conversation."""
        ...

    @property
    def user(self) -> Message:
        """The message to answer."""
        ...

    @property
    def answer(self) -> Message:
        """The answer as it was stored."""
        ...

    @property
    def history(self) -> tuple[Message, ...]:
        """The branch up to and including ``user``."""
        ...

    @property
    def created(self) -> bool:
        """Whether this call created it."""
        ...

    @property
    def options(self) -> RunOptions:
        """The options of the answer."""
        ...

    @property
    def choices(self) -> Chosen | None:
        """The tool settings of its conversation, if they were read."""
        ...


class StoredAnswer(Protocol):
    """An answer as stored."""

    @property
    def owner(self) -> str:
        """The id of its owner."""
        ...

    @property
    def run_id(self) -> str:
        """The id of its run."""
        ...

    @property
    def conversation_id(self) -> str:
        """The id of its conversation."""
        ...

    @property
    def message(self) -> Message:
        """The answer."""
        ...

    @property
    def seq(self) -> int:
        """The number of the last log entry that ``message`` contains."""
        ...

    @property
    def worker(self) -> str:
        """The name of the process that owns it."""
        ...

    @property
    def epoch(self) -> int:
        """The fencing token of its owner."""
        ...

    @property
    def takeovers(self) -> int:
        """How often another process has continued it."""
        ...

    @property
    def request(self) -> Mapping[str, Any]:
        """The options of the run: ``RunOptions.to_json``."""
        ...

    @property
    def upstream(self) -> Mapping[str, Any] | None:
        """The stored response of its provider: ``upstream.Checkpoint.to_json``."""
        ...


class Chosen(Protocol):
    """Tool settings of a conversation."""

    @property
    def always(self) -> frozenset[str]:
        """Tools that need no approval."""
        ...

    @property
    def off(self) -> frozenset[str]:
        """Disabled tools and servers."""
        ...


class Choices(Protocol):
    """Where the tool settings of conversations are."""

    async def choices(self, owner: str, conversation_id: str) -> Chosen:
        """Return the tool settings of a conversation. Raises ``NotFound``, ``StorageError``."""
        ...


class Answering(Protocol):
    """An answer that has not ended."""

    @property
    def run_id(self) -> str:
        """The id of its run."""
        ...

    @property
    def conversation_id(self) -> str:
        """The id of its conversation."""
        ...


class Store(FileStore, Protocol):
    """The database: see ``storage.Storage``, whose methods these are.

    Every method raises ``StorageError``; those for an owner raise ``NotFound`` for what is not theirs.
    """

    async def begin(self, owner: str, new: NewRun, *, worker: str, exclusive: bool) -> Begun:
        """Store a question and begin its answer."""
        ...

    async def begin_compared(
        self, owner: str, new: NewRun, models: Sequence[str], *, worker: str, exclusive: bool
    ) -> Sequence[Begun]:
        """Store a question and begin an answer by each of these models, side by side."""
        ...

    async def compared_with(self, owner: str, message_id: str) -> tuple[str, ...]:
        """Return the answers that stand side by side with this one, itself included; ``()`` if none do."""
        ...

    async def begin_again(
        self,
        owner: str,
        *,
        message_id: str,
        client_message_id: str,
        model: str,
        worker: str,
        continue_partial: bool,
        prefix: Sequence[Part] = (),
        exclusive: bool,
        credential: str,
    ) -> Begun:
        """Begin a sibling of an answer that has ended, with the parts ``prefix``, or with those of the old one."""
        ...

    async def model_of(self, owner: str, conversation_id: str | None, message_id: str | None = None) -> str:
        """Return the id of a conversation's model, "" if it has none. ``None``: the conversation of the message."""
        ...

    async def known(self, owner: str, client_message_id: str) -> bool:
        """Return whether an answer exists for this request."""
        ...

    async def select_branch(self, owner: str, message_id: str) -> str:
        """Show the branch of this message, and return its conversation."""
        ...

    async def write(
        self, changes: Sequence[Change] = (), ends: Sequence[End] = (), timings: Sequence[Timed] = ()
    ) -> Written:
        """Store what is new of several answers, the ends of others, and the times of ended ones.

        Returns which rows took it.
        """
        ...

    async def move_on(self, message: Message, seq: int, *, after: int, worker: str, epoch: int) -> bool:
        """Update a suspended answer whose seq is ``after``, under a new epoch. Returns whether it was in that state."""
        ...

    async def claim(
        self, run_id: str, *, worker: str, epoch: int, silent_for: float | None, continues: bool
    ) -> StoredAnswer | None:
        """Become the owner of an answer, if it has this epoch and no heartbeat. Returns it with the new epoch."""
        ...

    async def release(self, owned: Sequence[tuple[str, int]]) -> None:
        """Give up answers (run id and epoch), so that another process may claim them at once."""
        ...

    async def answer(self, owner: str, run_id: str) -> StoredAnswer:
        """Return one answer."""
        ...

    async def conversation_of(self, owner: str, run_id: str) -> str:
        """Return the id of the conversation of an answer: the proof that it is this owner's."""
        ...

    async def question_branch(self, owner: str, run_id: str) -> tuple[Message, ...]:
        """Return the branch up to and including the question of an answer."""
        ...

    async def steered(self, run_id: str) -> str | None:
        """Return the run that is to follow this one at its next round of tools, if there is one."""
        ...

    async def choices(self, owner: str, conversation_id: str) -> Chosen:
        """Return the tool settings of a conversation."""
        ...

    async def choose(self, owner: str, conversation_id: str, *, always: Sequence[str]) -> None:
        """Add tools that need no approval."""
        ...

    async def answering(self, owner: str) -> Sequence[Answering]:
        """Return the answers in progress."""
        ...

    async def delete(self, owner: str, conversation_id: str) -> None:
        """Delete a conversation for good."""
        ...


class Models(Protocol):
    """The models on offer."""

    def info(self, model_id: str) -> ModelInfo:
        """Return a model. Raises ``NotFound`` for an unknown id, ``InvalidInput`` for one that cannot be used now."""
        ...

    def provider(self, model_id: str) -> Provider:
        """Return the provider of a model. Raises as ``info``."""
        ...

    @property
    def offered(self) -> Mapping[str, ModelInfo]:
        """The models by id."""
        ...

    @property
    def default(self) -> str:
        """The id of the default model."""
        ...
