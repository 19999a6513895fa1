"""Reflex wrappers of the page's own React components.

Knows nothing of their appearance, which is in ``assets/chat/``. Props are plain data; events are named after what the
person did. Package versions are pinned to those of the lock file.
"""

from __future__ import annotations

from typing import Any

import reflex as rx

_Answer = rx.EventHandler[rx.event.passthrough_event_spec(str, str, str)]
_Send = rx.EventHandler[rx.event.passthrough_event_spec(str, str, str, dict)]


class Transcript(rx.Component):
    """The conversation. Reads its frames straight from the browser's state object ``state``."""

    library = "$/public/chat/transcript/transcript"
    tag = "Transcript"
    lib_dependencies: list[str] = [
        "streamdown@2.7.1",
        "lowlight@3.3.0",
        "highlight.js@11.11.1",
        "katex@0.19.1",
        "@mermaid-js/tiny@12.0.0",
        # The versions that Reflex's own charts and icons use.
        "recharts@3.10.1",
        "lucide-react@1.26.0",
    ]

    state: rx.Var[str]
    on_resync: rx.EventHandler[rx.event.no_args_event_spec]
    on_retry: _Answer
    on_continue: _Answer
    on_earlier: rx.EventHandler[rx.event.passthrough_event_spec(str)]
    on_decide: rx.EventHandler[rx.event.passthrough_event_spec(str, str, dict)]
    on_pace: rx.EventHandler[rx.event.passthrough_event_spec(int)]


class Composer(rx.Component):
    """The input for messages, with the model picker."""

    library = "$/public/chat/composer/composer"
    tag = "Composer"

    models: rx.Var[list[Any]]
    default_model: rx.Var[str]
    on_send: _Send
    on_stop: rx.EventHandler[rx.event.passthrough_event_spec(bool, list)]


class Sidebar(rx.Component):
    """The list of conversations, newest first."""

    library = "$/public/chat/shell/sidebar"
    tag = "Sidebar"
    rows: rx.Var[list[Any]]
    changes: rx.Var[dict[str, Any]]
    person: rx.Var[dict[str, Any]]


class Header(rx.Component):
    """The header: title, connection, tools, theme."""

    library = "$/public/chat/shell/header"
    tag = "Header"
    on_tools: rx.EventHandler[rx.event.no_args_event_spec]
    on_switch: rx.EventHandler[rx.event.passthrough_event_spec(str, bool)]


class Viewport(rx.Component):
    """The whole page, as high as the visible part of the screen."""

    library = "$/public/chat/shell/viewport"
    tag = "Viewport"


class NotFound(rx.Component):
    """The page for unknown addresses."""

    library = "$/public/chat/shell/not-found"
    tag = "NotFound"


class LatencyPage(rx.Component):
    """The figures of the caller's answers. Reads them over HTTP."""

    library = "$/public/chat/latency/latency"
    tag = "LatencyPage"
    lib_dependencies: list[str] = ["recharts@3.10.1", "lucide-react@1.26.0"]


class LabPage(rx.Component):
    """The comparison of transports. Reads its frames from the browser's state object ``state``."""

    library = "$/public/chat/lab/lab"
    tag = "LabPage"
    lib_dependencies: list[str] = ["recharts@3.10.1", "lucide-react@1.26.0"]

    state: rx.Var[str]
    on_warm: rx.EventHandler[rx.event.passthrough_event_spec(str)]
    on_race: rx.EventHandler[rx.event.passthrough_event_spec(str)]
    on_grpc: rx.EventHandler[rx.event.passthrough_event_spec(str)]
