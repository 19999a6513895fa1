"""The simulator as a provider: starts its child when first asked and reads it through the real adapters.

Knows no scene's script; which adapter reads is the constructor's choice, or the message's with ``wire=``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from streamchat.chat.events import Event
from streamchat.chat.request import Request
from streamchat.providers.anthropic import Anthropic
from streamchat.providers.base import Capabilities, ModelInfo, Provider
from streamchat.providers.child import Address, Child
from streamchat.providers.openai_chat import OpenAIChat
from streamchat.providers.openai_responses import OpenAIResponses
from streamchat.providers.shared_child import MakeChild
from streamchat.providers.simulator import words
from streamchat.providers.simulator.scenes import SCENES

MODELS: tuple[ModelInfo, ...] = tuple(
    ModelInfo(
        f"simulator:{name}",
        scene.label,
        note=scene.note,
        capabilities=Capabilities(reasoning=bool(scene.reasoning), tools=True),
    )
    for name, scene in SCENES.items()
)
"""The scenes, for the model picker."""


class Simulator:
    """Implements ``Provider``. ``address``: one that is served already, instead of a child of our own."""

    models = MODELS

    def __init__(
        self,
        *,
        wire: str = "chat",
        address: Address | None = None,
        connect_timeout: float = 10,
        child: MakeChild = Child,
    ) -> None:
        if wire not in words.WIRES:
            raise ValueError(f"wire must be one of {', '.join(words.WIRES)}")
        self._wire = wire
        self._address = address
        self._connect_timeout = connect_timeout
        self._child = child("simulator", "streamchat.providers.simulator")
        self._adapters: dict[tuple[str, Address], Provider] = {}

    @property
    def pid(self) -> int | None:
        """The process id of our child while it lives."""
        return self._child.pid

    async def start(self) -> Address:
        """Warm up: where it serves, once it does. Raises ``ProviderError``."""
        return self._address or await self._child.start()

    async def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """See ``base.Provider``."""
        said = words.find(next((m.text for m in reversed(request.messages) if m.role == "user"), ""))
        wire = said.get("wire", self._wire)
        adapter = await self._adapter(wire if wire in words.WIRES else self._wire)
        async with aclosing(adapter.stream(request)) as events:
            async for event in events:
                yield event

    async def close(self) -> None:
        """End the child and close what is open. May be called twice."""
        adapters, self._adapters = self._adapters, {}
        for adapter in adapters.values():
            await adapter.close()
        await self._child.close()

    async def _adapter(self, wire: str) -> Provider:
        address = await self.start()
        for key in [key for key in self._adapters if key[1] != address]:  # of a child that died
            await self._adapters.pop(key).close()
        if (wire, address) not in self._adapters:
            self._adapters[wire, address] = self._build(wire, address)
        return self._adapters[wire, address]

    def _build(self, wire: str, address: Address) -> Provider:
        key, timeout = address.api_key, self._connect_timeout
        match wire:
            case "anthropic":
                return Anthropic(api_key=key, base_url=address.url, connect_timeout=timeout)
            case "responses":
                return OpenAIResponses(api_key=key, base_url=f"{address.url}/v1", connect_timeout=timeout)
        return OpenAIChat(api_key=key, base_url=f"{address.url}/v1", connect_timeout=timeout)
