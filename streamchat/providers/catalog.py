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

from streamchat.errors import InvalidInput, NotFound, ProviderError
from streamchat.providers.base import Capabilities, ModelInfo, Provider
from streamchat.providers.schema_tools import SchemaTools

_NAME = re.compile(r"[\w./:@+-]{1,100}")


@dataclass(slots=True)
class Source:
    """A named provider and its known models, in order.

    ``list_models``: how it lists its own models. ``capabilities_of``: the capabilities of a model of this name.
    ``start``: how it is warmed up; ``eager``: also right after the server's start, if it has the default model.
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
        return ModelInfo(f"{self.name}:{name}", label or name, self.unavailable, self.note, capabilities, self.remote)


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
        provider = next(s.provider for s in self.sources if s.name == model_id.partition(":")[0])
        return SchemaTools(provider) if by_schema else provider

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
