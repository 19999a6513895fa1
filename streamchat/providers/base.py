"""The ``Provider`` protocol and the description of a model.

Knows no vendor. Rules of ``Provider.stream``:

* It yields events and ends with exactly one ``Finished``, and only if the provider ended the answer;
  ``UsageReported`` comes before it. Anything else is an exception: ``ProviderError`` if the provider
  answered with an error, ``StreamBroken`` if the stream ended early. No SDK exception leaves it.
* It never retries and never sleeps. Closing the generator closes the connection.
* A stream with tool calls yields ``ToolCallReady`` only for arguments that parsed strictly to an object,
  ``ToolResult(state="invalid")`` for the others, and ends with ``Finished("tool-calls")``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from streamchat.chat.events import Event
from streamchat.chat.request import Request


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model accepts and returns. Data, never an ``if`` on a vendor's name.

    ``context``: size of the context window in tokens, ``None`` if unknown. ``continues``: how a partial answer is sent
    back for *Continue*: ``prefill`` as the last assistant message, ``ask`` as history plus a request to
    continue. ``refuses``: names of ``Options`` fields that the model does not accept. ``schema_tools``: the model
    has no tools of its own, but can use ours if its answer is held to a schema (``providers.schema_tools``).
    ``documents``: it reads PDFs as they are. ``web_search``: its vendor searches the web for it.
    """

    reasoning: bool = False
    tools: bool = True
    schema_tools: bool = False
    images: bool = False
    documents: bool = False
    web_search: bool = False
    schema: bool = True
    context: int | None = None
    continues: Literal["prefill", "ask"] = "ask"
    refuses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that can be offered. ``id`` is ``provider:name``.

    ``unavailable``: the reason why it cannot be used now, as a sentence for the model picker, or ``None``.
    ``note``: a line that the page shows beside it. ``remote``: what it is sent leaves this machine and its network.
    ``own_key``: it answers with a key of the person who asks.
    """

    id: str
    label: str
    unavailable: str | None = None
    note: str = ""
    capabilities: Capabilities = field(default_factory=Capabilities)
    remote: bool = False
    own_key: bool = False

    @property
    def provider(self) -> str:
        """The provider's part of the id."""
        return self.id.partition(":")[0]

    @property
    def name(self) -> str:
        """The model's name at its provider."""
        return self.id.partition(":")[2]


class Provider(Protocol):
    """A source of answers."""

    def stream(self, request: Request) -> AsyncGenerator[Event, None]:
        """Yield the events of one answer; see the rules above. Raises ``ProviderError`` and its kinds only."""
        ...

    async def close(self) -> None:
        """Close connections and child processes. May be called twice."""
        ...


@runtime_checkable
class Resumable(Provider, Protocol):
    """A provider that can store a response while it generates it: see ``Request.tracker``."""

    def resume(self, request: Request, response_id: str, sequence: int | None) -> AsyncGenerator[Event, None]:
        """Yield the events of a response from its beginning, also if it goes on or has ended. Raises as ``stream``.

        ``sequence``: the number of its first event. ``request``: the one that began it.
        """
        ...

    async def cancel(self, response_id: str) -> None:
        """Have the provider end a response that it still generates. Raises nothing."""
        ...
