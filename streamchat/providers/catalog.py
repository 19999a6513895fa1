"""The models on offer and their providers. Knows no vendor: ``wiring`` fills it.

Rules:

* A model id is ``provider:name``. A provider with ``open_ended`` accepts any name, the others only their own.
* A model that cannot be used now stays listed, with the reason.
* The default is the first usable model, in the order of offering.
* A server's own list is requested once, after the start; until it responds, the server has no listed models.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from streamchat.errors import InvalidInput, NotFound, ProviderError
from streamchat.providers.base import Capabilities, ModelInfo, Provider
from streamchat.providers.schema_tools import SchemaTools

OWN_KEY = "With your own key."
_NAME = re.compile(r"[\w./:@+-]{1,100}")


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """How people bring keys of their own for the models of a source.

    ``vendor``: identifier of what a key is for; several sources may have the same. ``label``: its name for people.
    ``host``: to which a key is sent. ``provider``: returns the provider for a key; it shares the connections of the
    source's provider, and need not be closed.
    """

    vendor: str
    label: str
    host: str
    provider: Callable[[str], Provider]


@dataclass(slots=True)
class Source:
    """A named provider and its known models, in order.

    ``list_models``: how it lists its own models. ``capabilities_of``: the capabilities of a model of this name.
    ``start``: how it is warmed up; ``eager``: also right after the server's start, if it has the default model.
    ``own_keys``: ``None`` if people cannot bring keys for it; otherwise ``unavailable`` means that there is no key.
    ``on_use``: called whenever its provider is asked for.
    """

    name: str
    provider: Provider
    models: Sequence[ModelInfo] = ()
    open_ended: bool = False
    unavailable: str | None = None
    note: str = ""
    list_models: Callable[[], Awaitable[list[str]]] | None = None
    capabilities_of: Callable[[str], Capabilities] = lambda name: Capabilities()
    start: Callable[[], Awaitable[object]] | None = None
    remote: bool = False
    eager: bool = True
    own_keys: OwnKeys | None = None
    has_own_key: bool = False
    on_use: Callable[[], None] | None = None

    def info(self, model_id: str) -> ModelInfo | None:
        """Return the model with this id, ``None`` if this provider does not have it."""
        for model in self.models:
            if model.id == model_id:
                return model
        name = model_id.partition(":")[2]
        if self.open_ended and _NAME.fullmatch(name):
            return self.model_info(name)
        return None

    def model_info(self, name: str, label: str = "") -> ModelInfo:
        """Return the description of a model of this provider. ``label`` defaults to the name."""
        capabilities = self.capabilities_of(name)
        return ModelInfo(
            f"{self.name}:{name}",
            label or name,
            self.unavailable,
            self.note,
            capabilities,
            self.remote,
            self.has_own_key,
        )

    def with_key(self, key: str | None, on_use: Callable[[], None]) -> Source:
        """Return this source for a person who brought this key. ``None``: the key cannot be read any more."""
        assert self.own_keys is not None
        if key is None:
            lost = f"your own key for {self.own_keys.label} cannot be read any more. Set it again."
            return self._changed(replace(self, unavailable=lost))
        provider = self.own_keys.provider(key)
        return self._changed(
            replace(self, provider=provider, unavailable=None, note=OWN_KEY, has_own_key=True, on_use=on_use)
        )

    def without_key(self) -> Source:
        """Return this source for a person who may bring a key, and has brought none."""
        if self.own_keys is None or self.unavailable is None:
            return self
        return self._changed(replace(self, unavailable=f"add a key of your own for {self.own_keys.label}."))

    def _changed(self, source: Source) -> Source:
        source.models = [
            replace(model, unavailable=source.unavailable, note=source.note, own_key=source.has_own_key)
            for model in self.models
        ]
        return source


@dataclass(slots=True)
class Catalog:
    """All providers. ``chosen``: the ids to offer, in order; empty offers every known model. ``schema_tools``: the ids
    of models that have no tools of their own and get ours by a schema. ``off``: the ids that an admin has switched off:
    they are not offered, and start nothing.
    """

    sources: Sequence[Source]
    chosen: Sequence[str] = field(default=())
    schema_tools: Sequence[str] = field(default=())
    off: frozenset[str] = frozenset()

    @property
    def offered(self) -> Mapping[str, ModelInfo]:
        """The offered models by id: the usable ones first, each group in the order of offering."""
        return {model_id: model for model_id, model in self.listed.items() if model_id not in self.off}

    @property
    def listed(self) -> Mapping[str, ModelInfo]:
        """As ``offered``, with those that are switched off."""
        if self.chosen:
            listed: Iterable[ModelInfo] = [self._find(i) or _unknown(i) for i in self.chosen]
            return {model.id: model for model in listed}
        every = [model for source in self.sources for model in source.models]
        return {model.id: model for model in sorted(every, key=lambda model: model.unavailable is not None)}

    @property
    def default(self) -> str:
        """The id of the first usable model, ``""`` if there is none."""
        return next((model.id for model in self.offered.values() if model.unavailable is None), "")

    def info(self, model_id: str) -> ModelInfo:
        """Return the model. Raises ``NotFound`` for an unknown id, ``InvalidInput`` with the reason for an unusable
        one.
        """
        model = self._find(model_id) if isinstance(model_id, str) else None
        if model is None:
            raise NotFound(f"There is no model named “{str(model_id)[:60]}”. Choose another one.")
        if model.id in self.off:
            raise InvalidInput(f"{model.label} is switched off here. Choose another one.")
        if model.unavailable is not None:
            raise InvalidInput(f"{model.label} cannot be used now: {model.unavailable}")
        return model

    def provider(self, model_id: str) -> Provider:
        """Return the provider of this model. Raises as ``info``."""
        by_schema = self.info(model_id).capabilities.schema_tools
        source = next(source for source in self.sources if source.name == model_id.partition(":")[0])
        if source.on_use is not None:
            source.on_use()
        return SchemaTools(source.provider) if by_schema else source.provider

    @property
    def vendors(self) -> Mapping[str, OwnKeys]:
        """What people may bring keys for, by vendor."""
        own_keys = [source.own_keys for source in reversed(self.sources) if source.own_keys]
        return {one.vendor: one for one in reversed(own_keys)}

    def for_person(self, keys: Mapping[str, str | None], on_use: Callable[[str], None]) -> Catalog:
        """Return the catalog of a person with keys of their own, by vendor. ``None``: one that cannot be read any more.

        ``on_use``: called with the vendor whenever its provider is asked for. The catalog is not to be closed.
        """

        def own(source: Source) -> Source:
            vendor = source.own_keys.vendor if source.own_keys else None
            if vendor is None or vendor not in keys:
                return source.without_key()
            return source.with_key(keys[vendor], partial(on_use, vendor))

        return replace(self, sources=[own(source) for source in self.sources])

    async def discover(self) -> bool:
        """Request the servers' model lists. Returns whether any server listed a model."""
        listing = [source for source in self.sources if source.list_models]
        for source, names in zip(
            listing, await asyncio.gather(*(s.list_models() for s in listing if s.list_models)), strict=True
        ):
            usable = [name for name in names if _NAME.fullmatch(name)]
            source.models = [source.model_info(name, f"{name} ({source.name})") for name in usable]
        return any(source.models for source in listing)

    async def warm_up(self, model_id: str | None = None) -> None:
        """Start the provider of a model, so that its next answer does not wait for it. ``None``: the default model.

        Raises as ``info`` does, for the model that is named.
        """
        name = (self.default if model_id is None else self.info(model_id).id).partition(":")[0]
        source = next((source for source in self.sources if source.name == name), None)
        if source and source.start and (source.eager or model_id is not None):
            with suppress(ProviderError):  # The first request to it reports the error.
                await source.start()

    async def close(self) -> None:
        """Close every provider."""
        for source in self.sources:
            await source.provider.close()

    def _find(self, model_id: str) -> ModelInfo | None:
        name = model_id.partition(":")[0]
        model = next((source.info(model_id) for source in self.sources if source.name == name), None)
        if model is None or model_id not in self.schema_tools:
            return model
        return replace(model, capabilities=replace(model.capabilities, tools=False, schema_tools=True))


def _unknown(model_id: str) -> ModelInfo:
    return ModelInfo(model_id, model_id, unavailable="no such provider is configured.")
