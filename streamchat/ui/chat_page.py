"""The chat page and the pages without a state of their own: their components and event handlers.

Knows nothing of their appearance.
"""

from __future__ import annotations

import reflex as rx

from streamchat.ui.components import Composer, Header, LatencyPage, NotFound, Sidebar, Transcript, Viewport
from streamchat.ui.live import Live
from streamchat.ui.sidebar import Chats


def page() -> rx.Component:
    """Return the page for all conversations."""
    return rx.fragment(
        head(),
        Viewport.create(
            Sidebar.create(rows=Chats.rows, changes=Chats.changes, person=Chats.person),
            rx.el.main(
                Header.create(on_tools=Live.tools, on_switch=Live.switch),
                Transcript.create(
                    state=Live.get_full_name(),
                    on_resync=Live.follow,
                    on_retry=Live.retry,
                    on_continue=Live.continue_answer,
                    on_earlier=Live.earlier,
                    on_decide=Live.decide,
                    on_pace=Live.pace,
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


def latency() -> rx.Component:
    """Return the page with the figures of the caller's answers."""
    return rx.fragment(head(), LatencyPage.create())


def not_found() -> rx.Component:
    """Return the page for unknown addresses."""
    return rx.fragment(head(), NotFound.create())


def head() -> rx.Component:
    """Return what every page has in the document's head."""
    # React puts these into the document's head.
    # The page's own colours: light and dark; the header follows another choice of the theme.
    colours = (("light", "#fbfaf8"), ("dark", "#171716"))
    viewport = "width=device-width, initial-scale=1, viewport-fit=cover, interactive-widget=resizes-content"
    return rx.fragment(
        rx.el.link(rel="icon", href="/look/logo"),
        rx.el.link(rel="apple-touch-icon", href="/look/touch-180.png"),
        rx.el.link(rel="manifest", href="/look/manifest.webmanifest"),
        *(
            # Reflex takes an attribute that it does not know for a style, which the content policy forbids.
            rx.el.meta(name="theme-color", content=colour, custom_attrs={"media": f"(prefers-color-scheme: {scheme})"})
            for scheme, colour in colours
        ),
        rx.el.meta(name="viewport", content=viewport),
        rx.el.meta(name="description", content="Chat with any model: answers stream in live and are never lost."),
        rx.el.meta(name="color-scheme", content="light dark"),
    )
