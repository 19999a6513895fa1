"""The tools menu: lists the tools of a conversation, and switches them on and off.

Knows nothing of how tools run. Rules:

* Names of tools and servers that are off are stored with the conversation. A new chat has no conversation yet, so
  nothing can be switched in it.
* Only names on offer can be switched. A tool that was off stays off while its server is away.
"""

from __future__ import annotations

from typing import Any

from streamchat.errors import InvalidInput, StreamchatError
from streamchat.protocols.page.stream import Frame, number
from streamchat.ui.context import Tab, handling, refused
from streamchat.wiring.request_context import RequestContext

DESCRIPTION = 200


async def menu(tab: Tab) -> Frame:
    """Return the list as a frame, or an error message."""
    try:
        async with handling(tab) as context:
            return await _listed(context, tab.conversation_id)
    except StreamchatError as error:
        return refused(error)


async def switch(tab: Tab, name: Any, on: Any) -> Frame:
    """Switch a tool or a server on or off in a conversation. Returns the new list, or an error message."""
    try:
        async with handling(tab) as context:
            return await _switch(context, tab.conversation_id, name, on)
    except StreamchatError as error:
        return refused(error)


async def _switch(context: RequestContext, conversation_id: str | None, name: Any, on: Any) -> Frame:
    toolbox, store = context.services.tools, context.store
    names = {tool.name for tool in toolbox.offered()} | {server.name for server in toolbox.servers()}
    if conversation_id is None or not isinstance(on, bool) or not isinstance(name, str) or name not in names:
        raise InvalidInput("There is no such tool here.")
    off = (await store.choices(context.owner, conversation_id)).off
    await store.choose(context.owner, conversation_id, off=off - {name} if on else off | {name})
    return await _listed(context, conversation_id)


async def _listed(context: RequestContext, conversation_id: str | None) -> Frame:
    toolbox, off, always = context.services.tools, frozenset(), frozenset()
    if conversation_id is not None:
        choices = await context.store.choices(context.owner, conversation_id)
        off, always = choices.off, choices.always
    servers = [
        {"name": server.name, "state": server.state, "sentence": server.sentence, "on": server.name not in off}
        for server in toolbox.servers()
    ]
    tools = [
        {
            "name": tool.name,
            "description": _first_line(tool.spec.description),
            "server": tool.server,
            "asks": tool.approve and tool.name not in always,
            "on": tool.name not in off,
        }
        for tool in toolbox.offered()
    ]
    return {"k": "tools", "conversation": conversation_id, "servers": servers, "tools": tools, "n": number()}


def _first_line(text: str) -> str:
    line = text.strip().partition("\n")[0]
    return line if len(line) <= DESCRIPTION else line[:DESCRIPTION] + "…"
