"""The Reflex app: assembles pages, API and lifespan tasks. No logic."""

from functools import partial

import reflex as rx
from starlette.types import ASGIApp

from streamchat.reflex_internals import page_folder, remove_connection_banner, send_frames_without_tasks
from streamchat.ui import context, lab, tab_session
from streamchat.ui.chat_page import latency, not_found, page
from streamchat.ui.live import Live
from streamchat.web import app as api
from streamchat.web import grpc_loopback
from streamchat.web.grpc_server import grpc_lifespan
from streamchat.web.wind_down import WindDown
from streamchat.wiring import ServiceHolder

__all__ = ["app", "holder", "wind_down"]

# The services of this worker, open while the server runs.
holder = ServiceHolder()
context.serve(holder)
lab.serve(grpc_loopback.follow)
wind_down = WindDown(holder)


class App(rx.App):
    """Reflex's app inside the access check: Reflex's own check covers only the page's socket."""

    def __call__(self) -> ASGIApp:
        """Return the ASGI app that is served."""
        return api.guard(super().__call__(), holder, page_folder())


app = App(
    html_lang="en",
    toaster=None,
    api_transformer=partial(api.mount, holder=holder),
    # Before anything is painted: what the settings make of the look, and the language.
    head_components=[rx.el.link(rel="stylesheet", href="/look/look.css"), rx.el.script(src="/look/look.js")],
)
# The page itself shows that its socket is lost; Reflex's banner would cover it.
remove_connection_banner(app)
send_frames_without_tasks(app)
# One route for / and /c/<id>: moving between them keeps the page, its socket and its focus.
# (A catch-all would leave / blank until the socket is connected.)
app.add_page(page, route="/[[area]]/[[conversation]]", title="streamchat", on_load=Live.follow)
app.add_page(lab.page, route="/lab", title="Lab · streamchat")
app.add_page(latency, route="/latency", title="Latency · streamchat")
app.add_page(not_found, route="404", title="streamchat")
app.register_lifespan_task(holder.lifespan)
app.register_lifespan_task(grpc_lifespan, holder=holder)
app.register_lifespan_task(wind_down.on_signal)
tab_session.watch(app)
