"""Whether a tab is still there: Reflex goes on running a background handler when its tab has gone."""

from __future__ import annotations

import logging

import reflex as rx

_app: rx.App | None = None


def watch(app: rx.App) -> None:
    """Ask this app from now on."""
    global _app
    _app = app
    logging.getLogger("reflex.app").addFilter(_names_no_tab)


def _names_no_tab(record: logging.LogRecord) -> bool:
    """A frame for a tab that just left is no news, and Reflex would write the tab's token into the log."""
    return "disconnected client" not in record.getMessage()


def is_open(token: str) -> bool:
    """Whether a socket of this tab is connected to this process."""
    namespace = _app.event_namespace if _app else None
    if namespace is None:
        return False
    # With several workers Reflex also knows sockets of the others: a tab that went there has its follower there.
    tokens = namespace._token_manager
    socket = tokens.token_to_socket.get(token)
    return socket is not None and socket.instance_id == tokens.instance_id
