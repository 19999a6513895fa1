"""Which tools a conversation may use, as the page lists them, and the switch of each.

Knows nothing of how tools run. Rules:

* What is off is a name of a tool or of a server, kept with the conversation; a new chat has none to keep it with.
* A name that is not on offer is not switched; one that was off stays off while its server is away.
"""

from __future__ import annotations

from typing import Any

from streamchat.errors import InvalidInput, StreamchatError
from streamchat.ui.frames import Frame, number, say
from streamchat.wiring import LOCAL_OWNER, services

DESCRIPTION = 200


async def menu(conversation_id: str | None) -> Frame:
    """The list, or a sentence."""
    try:
        return await _listed(conversation_id)
    except StreamchatError as error:
        return say(error.user_message)


async def switched(conversation_id: str | None, name: Any, on: Any) -> Frame:
    """Switch a tool or a server on or off in a conversation; the new list, or a sentence."""
    try:
        toolbox, store = services().tools, services().store
        known = {tool.name for tool in toolbox.offered()} | {server.name for server in toolbox.servers()}
        if conversation_id is None or not isinstance(on, bool) or not isinstance(name, str) or name not in known:
            raise InvalidInput("There is no such tool here.")
        off = (await store.choices(LOCAL_OWNER, conversation_id)).off
        await store.choose(LOCAL_OWNER, conversation_id, off=off - {name} if on else off | {name})
        return await _listed(conversation_id)
    except StreamchatError as error:
        return say(error.user_message)


async def _listed(conversation_id: str | None) -> Frame:
    toolbox, off, always = services().tools, frozenset(), frozenset()
    if conversation_id is not None:
        chosen = await services().store.choices(LOCAL_OWNER, conversation_id)
        off, always = chosen.off, chosen.always
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
