"""The context of a request: the services, and the identity of the caller.

Each edge creates it from the credentials that it received (``web/dependencies.py``, ``web/grpc_runs.py``,
``ui/context.py``). Rule: a handler takes the owner from here, and from nowhere else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from streamchat.accounts.audit import AuditEvent
from streamchat.chat.conversation_settings import ConversationSettings
from streamchat.chat.events import Notice
from streamchat.chat.files import FileInfo
from streamchat.chat.messages import Part
from streamchat.chat.request import NewRun, is_temporary
from streamchat.errors import InvalidInput
from streamchat.identity import Credentials, Identity
from streamchat.providers.base import Embedder
from streamchat.providers.catalog import Catalog
from streamchat.runs.ports import Begun
from streamchat.runs.service import RunService, check_message
from streamchat.runs.steering import steering
from streamchat.settings import Settings
from streamchat.storage import Storage
from streamchat.storage.records import BranchPage
from streamchat.wiring import Services


@dataclass(frozen=True, slots=True)
class RequestContext:
    """The identity of the caller and the services, passed to every handler. ``address``: the caller's, for limits."""

    services: Services
    identity: Identity
    address: str = ""

    @property
    def owner(self) -> str:
        """Identifier under which everything of this caller is stored."""
        return self.identity.owner

    @property
    def runs(self) -> RunService:
        """Starts, follows and stops answers."""
        return self.services.runs

    @property
    def store(self) -> Storage:
        """Conversations and messages in the database."""
        return self.services.store

    async def models(self) -> Catalog:
        """Return the models of the caller. Raises ``StorageError``."""
        return await self.services.keys.models_of(self.owner)

    @property
    def settings(self) -> Settings:
        """The settings with which this process was started."""
        return self.services.settings

    async def begin_with(self, new: NewRun, preset: str | None) -> NewRun:
        """Return the run with the preset of this id or name for what it leaves out. Raises ``NotFound``."""
        return new if preset is None else (await self.store.presets.get(self.owner, preset, "preset")).begin(new)

    async def record(self, event: AuditEvent, subject: str | None = None, **detail: str | float | bool | None) -> None:
        """Record in the audit log what the caller did, where there are accounts."""
        if (accounts := self.services.accounts) is not None:
            await accounts.audit.record(event, self.owner, subject, address=self.address, **detail)

    async def start(self, new: NewRun, before: Callable[[], Awaitable[Notice | None]] | None = None) -> Begun:
        """Start an answer within the caller's limits.

        ``before`` is called first, unless they are reached; what it returns is the first entry of the answer.

        Raises ``TooManyRequests``, and as ``RunService.start``.
        """

        new = self._with_default_prompt(new)

        async def start() -> list[Begun]:
            stored = await self._with_stored_pictures(new)
            told = None if before is None else await before()
            return [await self.runs.start(self.owner, replace(stored, credential=self._key), told)]

        return (await self._start(new.client_message_id, start))[0]

    async def steer(self, run_id: str, new: NewRun, *, at_round: bool = False) -> Begun:
        """Keep what a run wrote, and answer another message next. Raises as ``start``.

        The run is stopped; with ``at_round`` it ends once the tools have run that its model asks for next. What cannot
        be asked stops nothing.
        """
        check_message(new.parts)
        if new.model:
            (await self.models()).info(new.model)
        _, now = await self.runs.get(self.owner, run_id)
        if at_round and not now.message.ended:
            return await self.start(replace(new, parent_id=run_id, queued=True, steers=True))

        async def stop_first() -> Notice | None:
            if await self.store.known(self.owner, new.client_message_id):
                return None
            _, before = await self.runs.get(self.owner, run_id)
            await self.runs.cancel(self.owner, run_id)
            _, after = await self.runs.get(self.owner, run_id)
            stopped = after.message.status == "stopped" and not before.message.ended
            return steering(run_id, "stopped" if stopped else "too-late")

        return await self.start(new, stop_first)

    async def compare(self, new: NewRun, models: Sequence[str]) -> Sequence[Begun]:
        """Start an answer by each of these models, each within the caller's limits.

        Raises ``TooManyRequests``, and as ``RunService.compare``.
        """

        async def start() -> list[Begun]:
            stored = await self._with_stored_pictures(self._with_default_prompt(new))
            return await self.runs.compare(self.owner, replace(stored, credential=self._key), models)

        return await self._start(new.client_message_id, start, len(models))

    async def _with_stored_pictures(self, new: NewRun) -> NewRun:
        """Store the pictures that a run brings, also in its history and answer; return the run that names them."""
        temporary = new.temporary or is_temporary(new.conversation_id or new.parent_id)
        stored = partial(self.stored_parts, temporary=temporary)
        history = [replace(one, parts=await stored(one.parts)) for one in new.history]
        return replace(new, parts=await stored(new.parts), prefix=await stored(new.prefix), history=history)

    async def stored_parts(self, parts: Sequence[Part], *, temporary: bool = False) -> tuple[Part, ...]:
        """Store the pictures that these parts carry: see ``Uploads.stored_parts``."""
        return await self.services.uploads.stored_parts(self.owner, parts, temporary=temporary)

    async def upload(self, content: bytes, name: str, *, temporary: bool = False) -> FileInfo:
        """Store a file of the caller: see ``Uploads.add``."""
        return await self.services.uploads.add(self.owner, content, name, temporary=temporary)

    async def embed(self, model: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Have the server of a model compute embeddings, within the caller's limits.

        Raises as ``Catalog.info``, ``InvalidInput`` if it has none, ``TooManyRequests``, ``ProviderError``.
        """
        models = await self.models()
        info, provider = models.info(model), models.provider(model)
        if not isinstance(provider, Embedder):
            raise InvalidInput(f"model: {info.label} has no embeddings.")
        await self.services.usage.count_call(self.owner, self._key, self.address)
        return await provider.embed({**body, "model": info.name})

    async def retry(
        self, message_id: str, client_message_id: str, model: str, *, continue_partial: bool, after: int | None = None
    ) -> Begun:
        """Answer again within the caller's limits. Raises ``TooManyRequests``, and as ``RunService.retry``."""

        async def start() -> list[Begun]:
            begun = await self.runs.retry(
                self.owner,
                message_id=message_id,
                client_message_id=client_message_id,
                model=model,
                continue_partial=continue_partial,
                after=after,
                credential=self._key,
            )
            return [begun]

        return (await self._start(client_message_id, start))[0]

    async def _start(
        self, client_message_id: str, start: Callable[[], Awaitable[Sequence[Begun]]], count: int = 1
    ) -> Sequence[Begun]:
        async def is_repeated() -> object:
            return isinstance(client_message_id, str) and await self.store.known(self.owner, client_message_id)

        return await self.services.usage.start(
            self.runs, self.owner, self._key, self.address, start, is_repeated, count
        )

    def _with_default_prompt(self, new: NewRun) -> NewRun:
        """Return the run with the operator's system prompt if it begins a conversation here and has none of its own."""
        prompt = self.settings.system_prompt
        if not prompt or not new.inherit or new.conversation_id or new.parent_id or new.options.system is not None:
            return new
        return replace(new, options=replace(new.options, system=prompt))

    @property
    def _key(self) -> str:
        """The id of the API key that was shown, ``""`` if none was."""
        return self.identity.credential if self.identity.shown == "key" else ""


def first_page(begun: Begun) -> BranchPage | None:
    """Return the page of a conversation that has just begun, without a query; ``None`` if it began earlier."""
    if not begun.created:
        return None
    messages = (*begun.history, begun.answer)
    settings = ConversationSettings(begun.answer.model, begun.options)
    ids = tuple(message.id for message in messages)
    return BranchPage(begun.conversation_id, begun.title, settings, ids, messages, {}, earlier=False)


async def context_for(services: Services, credentials: Credentials) -> RequestContext:
    """Identify the caller. Raises ``StreamchatError`` if the credentials are refused or their rate limit is reached."""
    identity = await services.identify(credentials)
    if services.accounts is not None:
        services.accounts.sessions.count(identity)
    return RequestContext(services, identity, credentials.address)
