"""What runs need of the database and of the models, as protocols. ``storage/`` and ``wiring/`` fill them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from streamchat.chat.messages import Message, Part
from streamchat.providers.base import ModelInfo, Provider


class Begun(Protocol):
    """An answer that was begun, or had been begun by the same client message id (``created`` is false)."""

    @property
    def run_id(self) -> str: ...
    @property
    def conversation_id(self) -> str: ...
    @property
    def title(self) -> str: ...
    @property
    def user(self) -> Message: ...
    @property
    def answer(self) -> Message: ...
    @property
    def history(self) -> tuple[Message, ...]: ...
    @property
    def created(self) -> bool: ...


class StoredAnswer(Protocol):
    """An answer as stored, with the number of the last log entry in it."""

    @property
    def run_id(self) -> str: ...
    @property
    def conversation_id(self) -> str: ...
    @property
    def message(self) -> Message: ...
    @property
    def seq(self) -> int: ...
    @property
    def request(self) -> Mapping[str, Any]: ...


class Chosen(Protocol):
    """What a person decided about tools in a conversation: names that never ask, names (or servers) that are off."""

    @property
    def always(self) -> frozenset[str]: ...
    @property
    def off(self) -> frozenset[str]: ...


class Choices(Protocol):
    async def choices(self, owner: str, conversation_id: str) -> Chosen: ...


class Answering(Protocol):
    """An answer that has not ended."""

    @property
    def run_id(self) -> str: ...
    @property
    def conversation_id(self) -> str: ...


class Store(Protocol):
    """Every method raises ``StorageError``; those for an owner raise ``NotFound`` for what is not theirs."""

    async def begin(
        self,
        owner: str,
        *,
        conversation_id: str | None,
        client_message_id: str,
        parts: Sequence[Part],
        model: str,
        worker: str,
        alone: bool,
        history: Sequence[Message],
        prefix: Sequence[Part],
        request: Mapping[str, Any],
        named: str | None,
    ) -> Begun: ...

    async def begin_again(
        self, owner: str, *, message_id: str, client_message_id: str, model: str, worker: str, keep: bool, alone: bool
    ) -> Begun: ...

    async def known(self, owner: str, client_message_id: str) -> bool: ...
    async def save(self, entries: Sequence[tuple[Message, int]]) -> None: ...
    async def end(self, message: Message, seq: int) -> bool: ...
    async def move_on(self, message: Message, seq: int, *, after: int, worker: str) -> bool: ...
    async def answer(self, owner: str, run_id: str) -> StoredAnswer: ...
    async def asked(self, owner: str, run_id: str) -> tuple[Message, ...]: ...
    async def choices(self, owner: str, conversation_id: str) -> Chosen: ...
    async def choose(self, owner: str, conversation_id: str, *, always: Sequence[str]) -> None: ...
    async def answering(self, owner: str) -> Sequence[Answering]: ...
    async def beat(self, run_ids: Sequence[str]) -> None: ...
    async def sweep(self, stale_before: datetime, message: str) -> Sequence[tuple[str, str]]: ...


class Models(Protocol):
    """The models on offer."""

    def info(self, model_id: str) -> ModelInfo:
        """Raises ``NotFound`` for an unknown id, ``InvalidInput`` for one that cannot be used now."""
        ...

    def provider(self, model_id: str) -> Provider:
        """The provider that answers for this model. Raises as ``info``."""
        ...

    @property
    def offered(self) -> Mapping[str, ModelInfo]: ...

    @property
    def default(self) -> str: ...
