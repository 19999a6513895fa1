"""The simulator as a provider: starts its server on first use and reads it through the real adapters.

Knows nothing of scripts. Rule: the constructor selects the adapter, and ``wire=`` in a message overrides it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from streamchat.chat.events import Event
from streamchat.chat.request import Request
from streamchat.errors import ProviderError
from streamchat.processes.shared_subprocess import MakeChild
from streamchat.processes.subprocess_server import Address, SubprocessServer
from streamchat.providers.anthropic import messages
from streamchat.providers.anthropic.messages import Anthropic
from streamchat.providers.base import Capabilities, ModelInfo
from streamchat.providers.model_capabilities import Families
from streamchat.providers.openai import chat, responses
from streamchat.providers.openai.chat import OpenAIChat
from streamchat.providers.openai.responses import OpenAIResponses
from streamchat.simulator import words
from streamchat.simulator.scenes import SCENES

MODELS: tuple[ModelInfo, ...] = tuple(
    ModelInfo(
        f"simulator:{name}",
        scene.label,
        note=scene.note,
        capabilities=Capabilities(reasoning=bool(scene.reasoning), tools=True),
    )
    for name, scene in SCENES.items()
)
"""One model per scene, for the model picker."""


_Adapter: TypeAlias = OpenAIChat | OpenAIResponses | Anthropic


class Simulator:
    """Implements ``Provider``.

    ``wire``: one of ``words.WIRES``. ``address``: a simulator that already runs; by default a child is started.
    ``connect_timeout`` is in seconds. ``record``: see ``http_client``. ``child``: constructor of the subprocess.
    """

    models = MODELS

    def __init__(
        self,
        *,
        wire: str = "chat",
        address: Address | None = None,
        connect_timeout: float = 10,
        record: Path | None = None,
        child: MakeChild = SubprocessServer,
    ) -> None:
        if wire not in words.WIRES:
            raise ValueError(f"wire must be one of {', '.join(words.WIRES)}")
        self._wire = wire
        self._address = address
        self._connect_timeout = connect_timeout
        self._record = record
        self._child = child("simulator", "streamchat.simulator")
        self._adapters: dict[tuple[str, Address], _Adapter] = {}

    @property
    def pid(self) -> int | None:
        """The process id of the child, or ``None`` if it is not running."""
        return self._child.pid

    async def start(self) -> Address:
        """Start the child if needed and return its address. Raises ``ProviderError`` if it cannot be started."""
        return self._address or await self._child.start()

    async def warm_up(self) -> None:
        """Start the child and load the adapter's SDK. Raises ``ProviderError`` if the child cannot be started."""
        await (await self._adapter(self._wire)).warm_up()

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Stream the events of one answer: see ``base.Provider``."""
        options = words.find(next((m.text for m in reversed(request.messages) if m.role == "user"), ""))
        wire = options.get("wire", self._wire)
        adapter = await self._adapter(wire if wire in words.WIRES else self._wire)
        able = adapter.capabilities_of(request.model)
        if lost := able.refuses.intersection(able.unsent(request.options)):
            raise ProviderError(f"{min(lost)}: the API of {wire} does not have it.", kind="bad-request")
        async with aclosing(adapter.stream(request)) as events:
            async for event in events:
                yield event

    async def embed(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """See ``base.Embedder``."""
        adapter = await self._adapter("chat")
        assert isinstance(adapter, OpenAIChat)
        return await adapter.embed(body)

    async def close(self) -> None:
        """Close all adapters and stop the child. May be called twice."""
        adapters, self._adapters = self._adapters, {}
        for adapter in adapters.values():
            await adapter.close()
        await self._child.close()

    async def _adapter(self, wire: str) -> _Adapter:
        address = await self.start()
        for key in [key for key in self._adapters if key[1] != address]:  # adapters of a child that died
            await self._adapters.pop(key).close()
        if (wire, address) not in self._adapters:
            self._adapters[wire, address] = self._build(wire, address)
        return self._adapters[wire, address]

    def _build(self, wire: str, address: Address) -> _Adapter:
        how: dict[str, Any] = {"connect_timeout": self._connect_timeout, "record": self._record}
        how["api_key"] = address.api_key
        match wire:
            case "anthropic":
                return Anthropic(base_url=address.url, capabilities_of=capabilities_over(messages.KNOWN), **how)
            case "responses":
                able = capabilities_over(responses.KNOWN)
                return OpenAIResponses(base_url=f"{address.url}/v1", capabilities_of=able, **how)
        return OpenAIChat(base_url=f"{address.url}/v1", capabilities_of=capabilities_over(chat.KNOWN), **how)


def capabilities_over(families: Families) -> Callable[[str], Capabilities]:
    """Return what a scene takes over this API: what the API itself refuses, it refuses too."""
    scenes = {model.name: model.capabilities for model in MODELS}
    of_any = families.capabilities("")
    return lambda name: replace(of_any, reasoning=scenes[name].reasoning if name in scenes else False)
