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

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Protocol, runtime_checkable

from streamchat.chat.events import Event
from streamchat.chat.request import Options, Request

# Options that are obeyed here whatever a model takes: a schema is asked for in words.
_OBEYED_HERE = frozenset({"schema", "stop", "stream"})
# Options that only models with this capability get.
_NEEDS = {
    "reasoning_effort": "reasoning",
    "web_search": "web_search",
    "tool_choice": "tools",
    "parallel_tool_calls": "tools",
}


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model accepts and returns. Data, never an ``if`` on a vendor's name.

    ``context``: size of the context window in tokens, ``None`` if unknown. ``continues``: how a partial answer is sent
    back for *Continue*: ``prefill`` as the last assistant message, ``ask`` as history plus a request to
    continue. ``refuses``: names of ``Options`` fields that the model does not accept. ``excludes``: pairs of them;
    beside the first, the second is not sent. ``schema_tools``: the model has no tools of its own, but can use ours if
    its answer is held to a schema (``providers.schema_tools``). ``documents``: it reads PDFs as they are.
    ``web_search``: its vendor searches the web for it.
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
    excludes: tuple[tuple[str, str], ...] = ()

    def unsent(self, options: Options) -> tuple[str, ...]:
        """Return the names of those of these options that would not reach the model, in their order."""
        given = {f.name for f in fields(Options) if getattr(options, f.name) not in (None, f.default)} - _OBEYED_HERE
        if options.reasoning_effort == "none":  # a model that does not think obeys
            given -= {"reasoning_effort"}
        if not options.web_search:
            given -= {"web_search"}
        lost = given & self.refuses
        lost |= given & {name for name in _NEEDS if not getattr(self, _NEEDS[name])}
        if self.schema_tools and options.parallel_tool_calls is False:  # it makes one call at a time in any case
            lost -= {"parallel_tool_calls"}
        for given_name, left_out in self.excludes:
            if given_name in given - lost and left_out in given:
                lost |= {left_out}
        return tuple(f.name for f in fields(Options) if f.name in lost)


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
class Embedder(Provider, Protocol):
    """A provider whose server also computes embeddings, in the format of OpenAI's API."""

    async def embed(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the response to a request, which names the provider's model. Raises ``ProviderError``."""
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
