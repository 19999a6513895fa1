"""Tools as typed functions: ``@tool`` declares one, ``Toolbox`` holds them, ``execute`` runs a call.

Knows nothing of providers, runs, storage or pages.
"""

from streamchat.tools.definition import Tool, tool
from streamchat.tools.execution import execute
from streamchat.tools.signature import BadArguments
from streamchat.tools.tool_context import Context, Services
from streamchat.tools.toolbox import ServerState, Toolbox
from streamchat.tools.values import Image, Plot, Progress, Series, Table, ToolError

__all__ = [
    "BadArguments",
    "Context",
    "Image",
    "Plot",
    "Progress",
    "Series",
    "ServerState",
    "Services",
    "Table",
    "Tool",
    "ToolError",
    "Toolbox",
    "execute",
    "tool",
]
