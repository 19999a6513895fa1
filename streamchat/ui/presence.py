"""Whether a tab is still there: Reflex goes on running a background handler when its tab has gone."""

from __future__ import annotations

import reflex as rx

_app: rx.App | None = None


def watch(app: rx.App) -> None:
    """Ask this app from now on."""
    global _app
    _app = app


def is_open(token: str) -> bool:
    """Whether a socket of this tab is connected to this process."""
    namespace = _app.event_namespace if _app else None
    return namespace is not None and token in namespace.token_to_sid
