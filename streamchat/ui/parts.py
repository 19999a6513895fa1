"""The page's own React components, as Reflex sees them.

Knows nothing of what they look like: that is in ``assets/``. Props are plain data; events name what the
person did. Versions are pinned, as the lock file has them.
"""

from __future__ import annotations

from typing import Any

import reflex as rx

_Again = rx.EventHandler[rx.event.passthrough_event_spec(str, str, str)]


class Transcript(rx.Component):
    """The conversation. Reads its frames straight from the browser's state object ``state``."""

    library = "$/public/transcript"
    tag = "Transcript"
    lib_dependencies: list[str] = [
        "streamdown@2.7.1",
        "remend@1.4.0",
        "lowlight@3.3.0",
        "highlight.js@11.11.1",
        # The version that Reflex's own charts use.
        "recharts@3.10.1",
    ]

    state: rx.Var[str]
    suggestions: rx.Var[list[dict[str, Any]]]
    on_resync: rx.EventHandler[rx.event.no_args_event_spec]
    on_retry: _Again
    on_continue: _Again
    on_earlier: rx.EventHandler[rx.event.passthrough_event_spec(str)]
    on_decide: rx.EventHandler[rx.event.passthrough_event_spec(str, str, dict)]


class Composer(rx.Component):
    """Where messages are written, and the model is chosen."""

    library = "$/public/composer"
    tag = "Composer"

    models: rx.Var[list[Any]]
    default_model: rx.Var[str]
    on_send: _Again
    on_stop: rx.EventHandler[rx.event.no_args_event_spec]


class _Shell(rx.Component):
    library = "$/public/shell"


class Sidebar(_Shell):
    """The list of conversations, newest first."""

    tag = "Sidebar"
    rows: rx.Var[list[Any]]


class Header(_Shell):
    """Title, connection, tools, theme."""

    tag = "Header"
    on_tools: rx.EventHandler[rx.event.no_args_event_spec]
    on_switch: rx.EventHandler[rx.event.passthrough_event_spec(str, bool)]


class Viewport(_Shell):
    """The whole page, as high as the screen that is left."""

    tag = "Viewport"


class NotFound(_Shell):
    """What is shown at an address that names nothing."""

    tag = "NotFound"
