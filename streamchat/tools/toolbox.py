"""Registry of all tools: built-in ones, those of the user's modules and packages, and those of MCP servers.

Knows nothing of settings or of how tools run. Rules:

* Names are unique. A duplicate name in a module stops the start; a duplicate of a server is left out.
* Whether a call requires approval is the tool's default, unless a setting names the tool or its server.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from streamchat.errors import SettingsError
from streamchat.tools.definition import Tool

MAX_OFFERED = 128
"""Vendors refuse a request with more tools."""


@dataclass(frozen=True, slots=True)
class ServerState:
    """State of an MCP server. ``sentence`` is an error message or empty; ``tools`` are the names of its tools."""

    name: str
    state: Literal["connecting", "ready", "failed"]
    sentence: str = ""
    tools: tuple[str, ...] = ()


class Servers(Protocol):
    """Source of tools that can change while the program runs."""

    @property
    def names(self) -> Sequence[str]:
        """Names of all servers, connected or not."""
        ...

    def tools(self) -> Sequence[Tool]:
        """Return the tools of the servers that are connected now."""
        ...

    def states(self) -> Sequence[ServerState]:
        """Return the state of each server."""
        ...


class Toolbox:
    """All tools by name.

    ``approve`` and ``trust``: names of tools or servers whose calls always or never require approval. Raises
    ``SettingsError`` for a duplicate name, and for a name in a setting that no tool or server has.
    """

    def __init__(
        self,
        tools: Iterable[Tool] = (),
        *,
        servers: Servers | None = None,
        approve: Collection[str] = (),
        trust: Collection[str] = (),
    ) -> None:
        self._tools: dict[str, Tool] = {}
        for tool in tools:
            if tool.name in self._tools:
                raise SettingsError(f"Two tools have the name {tool.name!r}; each needs its own.")
            self._tools[tool.name] = tool
        self._servers = servers
        self._approve, self._trust = frozenset(approve), frozenset(trust)
        self._check_names()

    def offered(self, off: Collection[str] = frozenset()) -> tuple[Tool, ...]:
        """Return the tools to declare to a model, at most ``MAX_OFFERED``.

        ``off``: names of tools and servers that are switched off.
        """
        on = [tool for tool in self._all().values() if tool.name not in off and (tool.server or None) not in off]
        return tuple(on[:MAX_OFFERED])

    def get(self, name: str) -> Tool | None:
        """Return the tool of this name, or ``None`` if there is none now."""
        return self._all().get(name)

    def servers(self) -> tuple[ServerState, ...]:
        """Return the state of each MCP server of the settings."""
        return tuple(self._servers.states()) if self._servers else ()

    def _all(self) -> dict[str, Tool]:
        tools = dict(self._tools)
        for tool in self._servers.tools() if self._servers else ():
            tools.setdefault(tool.name, tool)
        return {name: self._with_approval(tool) for name, tool in tools.items()}

    def _with_approval(self, tool: Tool) -> Tool:
        for names, approve in ((self._approve, True), (self._trust, False)):
            if tool.name in names or (tool.server and tool.server in names):
                return tool if tool.approve is approve else replace(tool, approve=approve)
        return tool

    def _check_names(self) -> None:
        if both := self._approve & self._trust:
            raise SettingsError(f"STREAMCHAT_APPROVE and STREAMCHAT_TRUST both name {sorted(both)[0]!r}.")
        servers = self._servers.names if self._servers else ()
        for setting, names in (("STREAMCHAT_APPROVE", self._approve), ("STREAMCHAT_TRUST", self._trust)):
            for name in sorted(names):
                server = name.partition("__")[0]
                if name not in self._tools and server not in servers:
                    raise SettingsError(f"{setting} names {name!r}, and there is no such tool or server.")
