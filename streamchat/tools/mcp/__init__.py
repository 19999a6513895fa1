"""MCP servers as sources of tools, through the official SDK.

``spec``: what the setting names. ``server``: one connection and its life. ``offer``: a server's tool as one of ours.
``content``: its results as ours. ``servers``: all of them, in a thread of their own.
"""

from streamchat.tools.mcp.servers import McpServers
from streamchat.tools.mcp.spec import ServerSpec, read_specs

__all__ = ["McpServers", "ServerSpec", "read_specs"]
