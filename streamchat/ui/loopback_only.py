"""A Reflex plugin for the page's development server: bound to loopback like everything else, with the API behind it."""

from __future__ import annotations

from functools import partial
from typing import Any

import reflex as rx

from streamchat.reflex_internals import VITE_CONFIG, bind_vite_to_loopback


class LoopbackOnlyPlugin(rx.plugins.Plugin):
    """Extends Vite's configuration."""

    def pre_compile(self, **context: Any) -> None:
        """Register the change. Compiling raises ``RuntimeError`` if Reflex writes the configuration in another form."""
        port = rx.config.get_config().backend_port or 8000
        context["add_modify_task"](VITE_CONFIG, partial(bind_vite_to_loopback, backend_port=port))
