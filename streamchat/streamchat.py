"""The Reflex app: pages and lifespan. No logic."""

import reflex as rx
from starlette.types import ASGIApp

from streamchat.ui import presence
from streamchat.ui.live import Live
from streamchat.ui.page import not_found, page
from streamchat.web.app import guard, mount, wind_down
from streamchat.web.grpc_server import grpc_lifespan
from streamchat.wiring import lifespan

__all__ = ["app", "wind_down"]


class App(rx.App):
    """Reflex's app, with the access check around all of it: its own one knows only the page."""

    def __call__(self) -> ASGIApp:
        return guard(super().__call__())


app = App(html_lang="en", toaster=None, api_transformer=mount)
# The page says itself when its socket is lost; Reflex's banner would cover it.
app.app_wraps.pop((5, "Overlay"))
# One route for / and /c/<id>: moving between them keeps the page, its socket and its focus.
# (A catch-all would leave / blank until the socket is there.)
app.add_page(page, route="/[[area]]/[[conversation]]", title="streamchat", on_load=Live.follow)
app.add_page(not_found, route="404", title="streamchat")
app.register_lifespan_task(lifespan)
app.register_lifespan_task(grpc_lifespan)
presence.watch(app)
