"""The chat as a component of somebody's own Reflex app.

    import reflex as rx
    from streamchat.reflex import chat, serve

    app = serve(rx.App())
    app.add_page(lambda: chat(height="100vh"), route="/")

``serve`` adds the API to the backend of the app, below ``/streamchat``, in its process; ``chat`` is the element
``<stream-chat>`` (``assets/stream-chat.js``) as a component. Knows no state of the app: the element speaks HTTP. Rules:

* Nothing of the app changes but the paths below ``/streamchat``.
* Pages of other origins than the app's may not read anything there, whatever CORS headers Reflex sends: with its
  default it allows every origin.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

import reflex as rx
from starlette.responses import FileResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from streamchat import build
from streamchat.identity import Identify, identify_local
from streamchat.settings import Settings, load_settings
from streamchat.web.app import guard, mount
from streamchat.web.error_responses import error_response
from streamchat.web.gate import MODULES
from streamchat.wiring import ServiceHolder
from streamchat.wiring.user_modules import UserModules

__all__ = ["chat", "serve"]

PREFIX = "/streamchat"


def serve(
    app: rx.App,
    *,
    models: Iterable[Any] = (),
    tools: Iterable[Any] = (),
    identify: Identify = identify_local,
) -> rx.App:
    """Have the backend of ``app`` serve the chat, and return the app.

    ``models``, ``tools``: functions with ``@model`` and ``@tool``; those of ``STREAMCHAT_MODULES`` are there as well.
    ``identify``: says who calls, from the headers and cookies of a request (``streamchat.identity.Credentials``), and
    raises ``streamchat.errors.Unauthorized`` to refuse. Without it everybody is one person, so that an app which others
    can reach needs one. All settings are those of the environment (``docs/settings.md``).
    """
    own = UserModules(tuple(tools), tuple(models))
    holder = ServiceHolder(identify=identify, settings=_settings, modules=own)
    added = app.api_transformer

    def mounted(backend: ASGIApp) -> ASGIApp:
        return _Mounted(backend, holder)

    if added is None:
        app.api_transformer = mounted
    else:
        before = list(added) if isinstance(added, Sequence) else [added]
        app.api_transformer = [*before, mounted]
    app.register_lifespan_task(holder.lifespan)
    return app


def _settings() -> Settings:
    """Return the settings of the environment, with the addresses of the app's pages as origins."""
    settings = load_settings()
    return settings.model_copy(update={"cors_origins": (*settings.cors_origins, *_origins())})


def _origins() -> list[str]:
    config = rx.config.get_config()
    port = config.frontend_port or 3000
    pages = [f"http://localhost:{port}", f"http://127.0.0.1:{port}", str(config.deploy_url or "")]
    allowed = [origin for origin in config.cors_allowed_origins if "*" not in origin]
    return [f"{parts.scheme}://{parts.netloc}" for one in (*pages, *allowed) if (parts := urlsplit(one)).netloc]


class _Mounted:
    """The API below ``PREFIX``, and ``backend`` everywhere else."""

    def __init__(self, backend: ASGIApp, holder: ServiceHolder) -> None:
        self._backend = backend
        self._holder = holder
        self._api = guard(mount(_files, holder), holder)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request or a socket on, to where its path belongs."""
        path: str = scope.get("path", "")
        if scope["type"] not in ("http", "websocket") or not path.startswith(PREFIX + "/"):
            await self._backend(scope, receive, send)
            return
        inner = {**scope, "path": path.removeprefix(PREFIX), "raw_path": b""}
        if scope["type"] == "http" and inner["path"] not in MODULES and not self._is_own(scope):
            message = "Pages of other sites are not allowed to make this request."
            await error_response(403, message, "foreign-origin")(scope, receive, send)
            return
        await self._api(inner, receive, send)

    def _is_own(self, scope: Scope) -> bool:
        """Return whether a request comes from a page of the app, or from no page."""
        origins = [value.decode("latin-1") for name, value in scope["headers"] if name == b"origin"]
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        settings = self._holder.services.settings
        own = {*settings.cors_origins, *settings.origins, *(f"{scope['scheme']}://{host}" for host in hosts)}
        return all(origin in own for origin in origins)


async def _files(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve the scripts of the element."""
    path: str = scope["path"]
    if scope["type"] == "http" and path in MODULES and scope["method"] in ("GET", "HEAD"):
        response = FileResponse(build.published(path.removeprefix("/")), media_type="text/javascript")
        await response(scope, receive, send)
    elif scope["type"] == "http":
        await error_response(404, "There is nothing here.", "not-found")(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1008})


class _StreamChat(rx.el.Div):
    """The element. ``url``: of the API."""

    tag = "stream-chat"

    url: rx.Var[str]
    conversation: rx.Var[str]
    model: rx.Var[str]
    token: rx.Var[str]
    heading: rx.Var[str]
    placeholder: rx.Var[str]
    history: rx.Var[bool]

    def add_imports(self) -> dict[str, Any]:
        """Return what the hook needs."""
        return {"react": [rx.ImportVar(tag="useEffect")]}

    def add_hooks(self) -> list[str | rx.Var[Any]]:
        """Load the element once the page is there: it is no part of the app's bundle."""
        source = json.dumps(f"{_api_url()}/stream-chat.js")
        return [f"useEffect(() => {{ import(/* @vite-ignore */ {source}); }}, []);"]


def _api_url() -> str:
    return rx.config.get_config().api_url.rstrip("/") + PREFIX


def chat(
    *,
    conversation: str | rx.Var[str] | None = None,
    model: str | rx.Var[str] | None = None,
    token: str | rx.Var[str] | None = None,
    heading: str | rx.Var[str] | None = None,
    placeholder: str | rx.Var[str] | None = None,
    history: bool | rx.Var[bool] = True,
    **style: Any,
) -> rx.Component:
    """Return the chat. It is as high as its container, unless ``style`` (``height="100vh"``) says otherwise.

    ``conversation``: the one that is shown, ``None``: a new one. ``token``: sent as a bearer token, for ``identify``.
    ``history``: whether it has a list of conversations.
    """
    props = {"conversation": conversation, "model": model, "token": token, "heading": heading}
    props |= {"placeholder": placeholder}
    given: dict[str, Any] = {name: value for name, value in props.items() if value is not None}
    return _StreamChat.create(url=_api_url(), history=history, **given, **style)
