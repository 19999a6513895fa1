"""The Reflex app: pages and lifespan. No logic."""

import reflex as rx

from streamchat.ui import presence
from streamchat.ui.live import Live
from streamchat.ui.page import not_found, page
from streamchat.wiring import lifespan

app = rx.App(html_lang="en", toaster=None)
# The page says itself when its socket is lost; Reflex's banner would cover it.
app.app_wraps.pop((5, "Overlay"))
# One route for / and /c/<id>: moving between them keeps the page, its socket and its focus.
# (A catch-all would leave / blank until the socket is there.)
app.add_page(page, route="/[[area]]/[[conversation]]", title="streamchat", on_load=Live.follow)
app.add_page(not_found, route="404", title="streamchat")
app.register_lifespan_task(lifespan)
presence.watch(app)
