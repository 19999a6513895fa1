"""streamchat delivers LLM answers token by token.

An answer is a numbered log of events: one producer writes it, any number of readers follow it from
any number on. ``docs/architecture.md`` walks the path of a token through the packages.

What a module of your own needs is here: ``from streamchat import model, tool``. Each name is imported when it is first
used, so that this loads no server.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from streamchat.chat.events import (
        Finished,
        Notice,
        ReasoningDelta,
        SourceAdded,
        TextDelta,
        ToolCallArguments,
        ToolCallReady,
        ToolCallStarted,
        ToolProgress,
        ToolResult,
        UsageReported,
    )
    from streamchat.chat.messages import Message
    from streamchat.chat.request import Options, Request, ToolSpec
    from streamchat.providers.base import Capabilities, ModelInfo
    from streamchat.providers.catalog import Source
    from streamchat.providers.python.definition import ModelError, ToolCall, model
    from streamchat.providers.registration import provider
    from streamchat.tools.definition import tool
    from streamchat.tools.tool_context import Context
    from streamchat.tools.values import Image, Plot, Progress, Series, Table, ToolError

# pip refuses an older Python; a checkout can be started with one.
if sys.version_info < (3, 11):  # noqa: UP036
    sys.exit(f"streamchat needs Python 3.11 or newer; this is {sys.version_info[0]}.{sys.version_info[1]}.")

if sys.version_info < (3, 11, 3):
    from streamchat.timeout_fix import fix_timeouts

    fix_timeouts()

__version__ = "0.1.0"

_MODULES = {
    "chat.events": "Finished Notice ReasoningDelta SourceAdded TextDelta ToolCallArguments ToolCallReady "
    "ToolCallStarted ToolProgress ToolResult UsageReported",
    "chat.messages": "Message",
    "chat.request": "Options Request ToolSpec",
    "providers.base": "Capabilities ModelInfo",
    "providers.catalog": "Source",
    "providers.python.definition": "ModelError ToolCall model",
    "providers.registration": "provider",
    "tools.definition": "tool",
    "tools.tool_context": "Context",
    "tools.values": "Image Plot Progress Series Table ToolError",
}
_MODULE_OF = {name: f"{__name__}.{module}" for module, names in _MODULES.items() for name in names.split()}

__all__ = [
    "Capabilities",
    "Context",
    "Finished",
    "Image",
    "Message",
    "ModelError",
    "ModelInfo",
    "Notice",
    "Options",
    "Plot",
    "Progress",
    "ReasoningDelta",
    "Request",
    "Series",
    "Source",
    "SourceAdded",
    "Table",
    "TextDelta",
    "ToolCall",
    "ToolCallArguments",
    "ToolCallReady",
    "ToolCallStarted",
    "ToolError",
    "ToolProgress",
    "ToolResult",
    "ToolSpec",
    "UsageReported",
    "model",
    "provider",
    "tool",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
    return value
