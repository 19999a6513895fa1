"""The Reflex app: pages and lifespan. No logic."""

import reflex as rx

from streamchat.ui.live import Live
from streamchat.ui.page import page

app = rx.App()
# One catch-all route: moving between conversations keeps the page, its socket and its focus.
app.add_page(page, route="/[[...splat]]", title="streamchat", on_load=Live.follow)
