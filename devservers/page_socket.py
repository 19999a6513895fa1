"""What travels over the page's socket, as text: Engine.IO 4 and Socket.IO 5 as far as one websocket needs them.

Knows no connection. Readers without a browser are built on it, in tests and in benchmarks.
"""

from __future__ import annotations

import json
from typing import Any

ROOT_STATE = "reflex___state____state"
LIVE = f"{ROOT_STATE}.streamchat___ui___live____live"
CHATS = f"{ROOT_STATE}.streamchat___ui___sidebar____chats"
ON_LOAD = f"{ROOT_STATE}.reflex___state____on_load_internal_state.on_load_internal"
NAMESPACE = "/_event"
EVENT = f"42{NAMESPACE},"
PING, PONG = "2", "3"


def address(url: str, token: str) -> str:
    """Return the websocket's address; ``url`` is that of the page, ``token`` the tab's."""
    return f"{url.replace('http', 'ws', 1)}{NAMESPACE}/?token={token}&EIO=4&transport=websocket"


def event(name: str, payload: dict[str, Any], path: str) -> dict[str, Any]:
    """Return a call of a handler by its full name, from a page at ``path``."""
    router = {"pathname": path, "asPath": path, "query": {}}
    return {"name": name, "payload": payload, "router_data": router}


def packet(data: Any, name: str = "event") -> str:
    """Return the text that emits ``data``."""
    return f"{EVENT}{json.dumps([name, data])}"


def hello(path: str | None) -> str:
    """Return what a page sends first: it connects to the namespace and loads; with ``None`` it only connects."""
    boot = {} if path is None else {"event": event(f"{ROOT_STATE}.hydrate_and_load", {"vars": {}}, path)}
    return f"40{NAMESPACE},{json.dumps(boot)}"


def parsed(text: str) -> list[Any]:
    """Return an emitted packet as its name and its data; ``text`` begins with ``EVENT``."""
    return json.loads(text[len(EVENT) :])


def frame_of(update: dict[str, Any]) -> dict[str, Any] | None:
    """Return the transcript's frame in a state update, if there is one."""
    return ((update.get("delta") or {}).get(LIVE) or {}).get("f_rx_state_")


def begun_in(update: dict[str, Any]) -> str | None:
    """Return the path of the conversation that the page has begun, if a state update says so: it goes there then."""
    frame = frame_of(update) or {}
    return f"/c/{frame['conversation']}" if frame.get("begun") else None
