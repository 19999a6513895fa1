"""Which tools there are, from the settings."""

from __future__ import annotations

from streamchat.settings import Settings
from streamchat.tools.builtin import builtin_tools
from streamchat.tools.loading import tools_of_modules, tools_of_packages
from streamchat.tools.mcp import McpServers, read_specs
from streamchat.tools.toolbox import Toolbox


def build_servers(settings: Settings) -> McpServers:
    """The MCP servers, not started yet. Raises ``SettingsError``."""
    return McpServers(read_specs(settings.mcp))


def build_toolbox(settings: Settings, servers: McpServers) -> Toolbox:
    """Those built in, those of the person's own modules, those of installed packages, those of servers.

    Raises ``SettingsError``.
    """
    tools = [*builtin_tools(), *tools_of_modules(settings.tools), *tools_of_packages()]
    return Toolbox(tools, servers=servers, approve=settings.approve, trust=settings.trust)
