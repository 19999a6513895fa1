"""Builds the toolbox from the settings."""

from __future__ import annotations

from collections.abc import Callable

from streamchat.settings import Settings
from streamchat.tools.builtin import builtin_tools
from streamchat.tools.mcp import McpServers, read_specs
from streamchat.tools.toolbox import Toolbox
from streamchat.wiring.user_modules import UserModules, load_user_modules


def build_servers(settings: Settings, changed: Callable[[], object] = lambda: None) -> McpServers:
    """Return the MCP servers, not started yet. ``changed``: see ``McpServers``. Raises ``SettingsError``."""
    return McpServers(read_specs(settings.mcp), changed=changed)


def build_toolbox(settings: Settings, servers: McpServers, modules: UserModules | None = None) -> Toolbox:
    """Return the toolbox: built-in tools, those of the user's modules, of installed packages, and of MCP servers.

    ``modules``: loaded here if left out. Raises ``SettingsError``.
    """
    modules = load_user_modules(settings) if modules is None else modules
    tools = [*builtin_tools(), *modules.tools]
    return Toolbox(tools, servers=servers, approve=settings.approve, trust=settings.trust)
