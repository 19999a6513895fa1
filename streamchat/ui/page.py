"""The chat page: which parts it has and what they are connected to. Nothing of how they look."""

from __future__ import annotations

import reflex as rx

from streamchat.ui.chats import Chats
from streamchat.ui.live import Live
from streamchat.ui.parts import Composer, Header, NotFound, Sidebar, Transcript, Viewport

# A suggestion with a model is shown only where that model is offered, and is answered by it.
SUGGESTIONS = [
    {"label": "Give me the tour", "text": "Show me what you can do", "model": "simulator:tour"},
    {"label": "Explain", "text": "Explain how HTTP streaming works, in plain words"},
    {"label": "Write", "text": "Write a short, friendly birthday message for a colleague"},
    {"label": "Code", "text": "Write a Python function that merges two sorted lists"},
]


def page() -> rx.Component:
    return rx.fragment(
        _head(),
        Viewport.create(
            Sidebar.create(rows=Chats.rows),
            rx.el.main(
                Header.create(on_tools=Live.tools, on_switch=Live.switch),
                Transcript.create(
                    state=Live.get_full_name(),
                    suggestions=SUGGESTIONS,
                    on_resync=Live.follow,
                    on_retry=Live.retry,
                    on_continue=Live.keep_on,
                    on_earlier=Live.earlier,
                    on_decide=Live.decide,
                ),
                Composer.create(
                    models=Chats.models,
                    default_model=Chats.default_model,
                    on_send=Live.send,
                    on_stop=Live.stop,
                ),
                class_name="main",
            ),
        ),
    )


def not_found() -> rx.Component:
    return rx.fragment(_head(), NotFound.create())


def _head() -> rx.Component:
    # React puts these into the document's head.
    viewport = "width=device-width, initial-scale=1, viewport-fit=cover, interactive-widget=resizes-content"
    return rx.fragment(
        rx.el.link(rel="icon", href="/favicon.svg", type="image/svg+xml"),
        rx.el.meta(name="viewport", content=viewport),
        rx.el.meta(name="description", content="Chat with any model: answers stream in live and are never lost."),
        rx.el.meta(name="color-scheme", content="light dark"),
    )
