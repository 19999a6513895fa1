"""The tools of this program: those built in, those of a person's own modules, those of servers.

Knows nothing of settings or of how tools run. Rules:

* A name belongs to one tool. One of a module that is taken stops the start; one of a server is left out.
* Whether a tool asks before it runs is its own default, unless a person named it (or its server) in a setting.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from streamchat.chat.events import Json, ToolProgress, ToolResult
from streamchat.errors import SettingsError
from streamchat.tools.context import Context
from streamchat.tools.definition import Tool
from streamchat.tools.execution import execute

MAX_OFFERED = 128
"""With more, vendors refuse the request."""


@dataclass(frozen=True, slots=True)
class ServerState:
    """How an MCP server is. ``sentence`` says what is wrong, or is empty; ``tools`` are the names on offer."""

    name: str
    state: Literal["connecting", "ready", "failed"]
    sentence: str = ""
    tools: tuple[str, ...] = ()


class Servers(Protocol):
    """Tools that come and go."""

    @property
    def names(self) -> Sequence[str]: ...
    def tools(self) -> Sequence[Tool]: ...
    def states(self) -> Sequence[ServerState]: ...


class Toolbox:
    """``approve`` and ``trust``: names of tools or servers that always or never ask. Raises ``SettingsError``."""

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
        """The tools a model may be told of, at most ``MAX_OFFERED``.

        ``off``: names of tools and servers that are switched off.
        """
        on = [tool for tool in self._all().values() if tool.name not in off and (tool.server or None) not in off]
        return tuple(on[:MAX_OFFERED])

    def get(self, name: str) -> Tool | None:
        """The tool of this name, if there is one now."""
        return self._all().get(name)

    def execute(
        self, tool: Tool, call_id: str, arguments: Mapping[str, Json], context: Context
    ) -> AsyncGenerator[ToolProgress | ToolResult, None]:
        """Run one call: see ``execution.execute``."""
        return execute(tool, call_id, arguments, context)

    def servers(self) -> tuple[ServerState, ...]:
        """The MCP servers of the settings, and how each is."""
        return tuple(self._servers.states()) if self._servers else ()

    def _all(self) -> dict[str, Tool]:
        found = dict(self._tools)
        for tool in self._servers.tools() if self._servers else ():
            found.setdefault(tool.name, tool)
        return {name: self._as_set(tool) for name, tool in found.items()}

    def _as_set(self, tool: Tool) -> Tool:
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
