"""MCP servers as sources of tools, through the official SDK.

``spec``: parsing of the setting. ``server``: one connection and its life cycle. ``tool_adapter``: a server's tool as a
``Tool``. ``content``: conversion of results. ``servers``: all servers, in their own thread.
"""

from streamchat.tools.mcp.servers import McpServers
from streamchat.tools.mcp.spec import ServerSpec, read_specs

__all__ = ["McpServers", "ServerSpec", "read_specs"]
