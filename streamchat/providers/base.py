"""What a provider is, and what is known of a model.

Knows no vendor. Rules of ``Provider.stream``:

* It yields events and ends with exactly one ``Finished``, and only if the provider said so;
  ``UsageReported`` comes before it. Anything else is an exception: ``ProviderError`` where the provider
  answered with an error, ``StreamBroken`` where the stream ended without an end. No SDK exception leaves it.
* It never retries and never sleeps. Closing the generator closes the connection.
* A stream with tool calls yields ``ToolCallReady`` only for arguments that parsed strictly to an object,
  ``ToolResult(state="invalid")`` for the others, and ends with ``Finished("tool-calls")``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Literal, Protocol

from streamchat.chat.events import Event
from streamchat.chat.request import Request


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model takes and gives. Data, never an ``if`` on a vendor's name.

    ``context``: tokens of the window, ``None`` if unknown. ``continues``: how a partial answer is sent
    back for *Continue*: ``prefill`` as the last assistant message, ``ask`` as history plus a request to
    go on. ``refuses``: names of ``Options`` fields that the model does not take. ``schema_tools``: no tools of
    its own, but held to a schema it can use ours (``providers.schema_tools``).
    """

    reasoning: bool = False
    tools: bool = True
    schema_tools: bool = False
    images: bool = False
    schema: bool = True
    context: int | None = None
    continues: Literal["prefill", "ask"] = "ask"
    refuses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that can be offered. ``id`` is ``provider:name``.

    ``unavailable``: why it cannot be used now (a sentence for the picker), ``None`` if it can.
    ``note``: a line the page shows beside it.
    """

    id: str
    label: str
    unavailable: str | None = None
    note: str = ""
    capabilities: Capabilities = field(default_factory=Capabilities)

    @property
    def provider(self) -> str:
        return self.id.partition(":")[0]

    @property
    def name(self) -> str:
        return self.id.partition(":")[2]


class Provider(Protocol):
    """A source of answers."""

    def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Events of one answer; see the rules above. Raises ``ProviderError`` and its kinds only."""
        ...

    async def close(self) -> None:
        """Close connections and child processes. May be called twice."""
        ...
