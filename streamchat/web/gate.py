"""Nobody comes in unasked: an ASGI middleware behind the access check and around API and page.

Knows paths and what a request shows, nothing of what is behind a path. Rules:

* What is not listed here as open to everybody needs an identity, so a new route is closed until somebody opens it. The
  API's WebSocket alone answers for itself, because it refuses in words after it was accepted.
* A page that somebody opens leads to the sign-in; everything else is 401, a socket's handshake too.
* A key is for the API. Page, page's socket and account are for people in a browser.
* Reflex keeps the state of a tab by the tab's token, which anybody might learn. What it is given instead is made of
  token and owner: with another person's token one gets a state of one's own.
* Where nobody has to say who they are, this is one comparison.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from urllib.parse import parse_qsl, quote, urlencode

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from streamchat.errors import StreamchatError, Unauthorized
from streamchat.identity import ACCOUNT, CHAT, READ, identify_local
from streamchat.web.dependencies import CONTEXT, credentials_of
from streamchat.web.error_responses import response_at
from streamchat.wiring import ServiceHolder
from streamchat.wiring.request_context import context_for

SAFE = ("GET", "HEAD", "OPTIONS")
# Our own code for pages of other people, which has no secrets: any page may load it.
MODULES = frozenset({"/streamchat-client.js", "/stream-chat.js"})
# Probes, the way in, and what the page is made of: the same for everybody, and published.
OPEN = frozenset({"/healthz", "/readyz", "/ping", "/favicon.svg", "/favicon.ico", *MODULES})
OPEN_TREES = ("/assets/", "/sign-in/", "/look/")
SIGN_IN = ("/sign-in", "/sign-up", "/sign-out")


class Gate:
    """``api``: whether a path belongs to the API. ``starts``: GET paths that start an answer."""

    def __init__(
        self, app: ASGIApp, holder: ServiceHolder, api: Callable[[str], bool], starts: Iterable[str] = ()
    ) -> None:
        self._app = app
        self._holder = holder
        self._api = api
        self._starts = frozenset(starts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Identify the caller of a request or a socket, or refuse it."""
        if scope["type"] in ("http", "websocket") and not self._is_open(scope):
            services = self._holder.services
            if services.identify is not identify_local:
                try:
                    scope = await self._identified(scope)
                except StreamchatError as error:
                    await self._refuse(error, scope, receive, send)
                    return
        await self._app(scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        path: str = scope["path"]
        if scope["type"] == "websocket":
            return self._api(path)
        return path in OPEN or path in SIGN_IN or path.startswith(OPEN_TREES)

    async def _identified(self, scope: Scope) -> Scope:
        context = await context_for(self._holder.services, credentials_of(HTTPConnection(scope)))
        path: str = scope["path"]
        if not self._api(path) or path.startswith("/account"):
            context.identity.require(ACCOUNT)
        else:
            changes = scope["method"] not in SAFE or path in self._starts
            context.identity.require(CHAT if changes else READ)
        scope = {**scope, CONTEXT: context}
        if scope["type"] == "websocket":
            scope["query_string"] = bind_token(scope["query_string"], context.owner)
        return scope

    async def _refuse(self, error: StreamchatError, scope: Scope, receive: Receive, send: Send) -> None:
        response = response_at(scope["path"], error)
        if scope["type"] == "websocket":
            if "websocket.http.response" in scope.get("extensions", {}):
                start = {"type": "websocket.http.response.start", "status": response.status_code}
                await send({**start, "headers": response.raw_headers})
                await send({"type": "websocket.http.response.body", "body": response.body})
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        await (self._sign_in(error, scope) or response)(scope, receive, send)

    def _sign_in(self, error: StreamchatError, scope: Scope) -> Response | None:
        """Where somebody who opens a page signs in, if that is what is missing."""
        accounts = self._holder.services.accounts
        if not isinstance(error, Unauthorized) or accounts is None or accounts.ways.header is not None:
            return None
        path: str = scope["path"]
        is_data = path.startswith(("/api/", "/v1/", "/ag-ui/"))
        accepts = HTTPConnection(scope).headers.get("accept", "")
        if scope["method"] != "GET" or is_data or "text/html" not in accepts:
            return None
        query = scope["query_string"].decode("latin-1")
        back = path + (f"?{query}" if query else "")
        base = self._holder.services.settings.public_path
        return RedirectResponse(f"{base}/sign-in?next={quote(back, safe='')}", 303, {"Cache-Control": "no-store"})


def bind_token(query: bytes, owner: str) -> bytes:
    """Return the query of a page's socket with a token that is this owner's alone."""
    fields = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return urlencode([(name, _bound(value, owner) if name == "token" else value) for name, value in fields]).encode()


def _bound(token: str, owner: str) -> str:
    return f"{token}.{hashlib.sha256(f'{owner} {token}'.encode()).hexdigest()[:32]}"
