"""Access check: one ASGI middleware around the whole app, the page's own socket included.

Knows headers, not endpoints. Rules:

* ``Host`` must be a name of this server: a loopback name with the port that was connected to, or the host of the public
  URL. Otherwise a foreign site could point its own name here (DNS rebinding). Health probes may use any name. A server
  that listens on more than loopback also answers to every IP address, and to loopback names with any port: outside of
  a container its port is another one, and no foreign site has an address for a name.
* Requests that change something, GETs that start an answer, and every WebSocket are refused for foreign pages. The
  first of these headers in a request decides: ``Origin`` must be our own or on the list; ``Sec-Fetch-Site`` must not
  name another site; ``Referer`` must have an allowed origin. Programs send none of them.
* Over plain HTTP a browser sends only the last one to names other than loopback, and a foreign page can suppress it.
  There a GET starts an answer only for a page that is known to be our own, or if a setting allows it.
* Pages of the listed origins may read the API, without credentials. No other part of the app sets CORS headers there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamchat.web.error_responses import error_response
from streamchat.web.host import Host, host_of, is_loopback, parse_host, parse_origin, plain_origin, reached_at

SAFE = ("GET", "HEAD", "OPTIONS")
PROBES = ("/healthz", "/readyz")
METHODS = "GET, POST, PATCH, DELETE"
EXPOSED = "X-Run-Id, X-Conversation-Id, Retry-After, Content-Disposition"
FOREIGN_PAGE = "Pages of other sites are not allowed to make this request."
PLAIN_START = (
    "Over plain HTTP this address starts no answers: use HTTPS or POST /api/runs, or set STREAMCHAT_HTTP_GET_STARTS."
)


@dataclass(frozen=True)
class Policy:
    """Hosts and origins that may call.

    ``origins``: the page's own; ``listed``: those of other pages that may call; ``public_https``: the public URL is
    encrypted; ``plain_starts``: any client may start answers by GET over plain HTTP; ``address``: the IP address that
    the server listens on.
    """

    origins: frozenset[str]
    listed: frozenset[str]
    public_host: Host | None
    public_https: bool = False
    plain_starts: bool = False
    address: str = "127.0.0.1"

    @classmethod
    def of(
        cls,
        origins: Iterable[str],
        listed: Iterable[str],
        public_url: str | None,
        *,
        plain_starts: bool = False,
        address: str = "127.0.0.1",
    ) -> Policy:
        """Return the policy for these settings. Origins and URL may be written in any case, with a default port."""
        own = frozenset(map(plain_origin, origins))
        public = plain_origin(public_url or "")
        encrypted = public.startswith("https:")
        return cls(own, frozenset(map(plain_origin, listed)), host_of(public), encrypted, plain_starts, address)

    def names(self, host: Host | None, scope: Scope) -> bool:
        """Return whether ``host`` is a name of this server, given the port of the connection."""
        if host is None:
            return False
        public = self.public_host
        if host.plain == public:
            return True
        if not is_loopback(self.address):
            return host.is_loopback or host.is_address
        if host.name == self.address and reached_at(scope, host.port):
            return True
        # A proxy on this machine has all of the machine's names.
        at_proxy = public is not None and public.is_loopback and (host.port or 80) == (public.port or 80)
        return host.is_loopback and (at_proxy or reached_at(scope, host.port))


class Access:
    """The middleware. ``api`` tells whether a path belongs to the API; ``starts``: GET paths that start an answer.

    ``modules``: scripts that pages of any origin may load.
    """

    def __init__(
        self,
        app: ASGIApp,
        policy: Callable[[], Policy],
        api: Callable[[str], bool],
        starts: Iterable[str] = (),
        modules: Iterable[str] = (),
    ) -> None:
        self._app = app
        self._policy = policy
        self._api = api
        self._starts = frozenset(starts)
        self._modules = frozenset(modules)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse the request (403, 421, close code 1008) or pass it on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        request = _Headers(scope)
        policy = self._policy()
        api = self._api(scope["path"])
        if refusal := self._refusal(request, policy):
            await _refuse(refusal, scope, receive, send)
        elif scope["type"] == "http" and api:
            await self._call_api(request, policy, receive, send)
        elif request.websocket and request.origin not in policy.origins:
            # Reflex checks the origin against a fixed list of its own. It accepts a request without one.
            await self._app(request.without_origin(), receive, send)
        elif scope["type"] == "http" and scope["path"] in self._modules:

            async def readable(message: Message) -> None:
                if message["type"] == "http.response.start":
                    MutableHeaders(raw=message["headers"])["Access-Control-Allow-Origin"] = "*"
                await send(message)

            await self._app(scope, receive, readable)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, request: _Headers, policy: Policy) -> Response | None:
        if not policy.names(request.host, request.scope):
            if request.path in PROBES and request.method in SAFE:
                return None
            message = "This server does not serve this host name. Its own name is set with STREAMCHAT_PUBLIC_URL."
            return error_response(421, message, "unknown-host")
        starts = request.path in self._starts
        if request.websocket or request.method not in SAFE or starts:
            page = request.is_from_own_page(policy)
            if page is False:
                return error_response(403, FOREIGN_PAGE, "foreign-origin")
            if page is None and starts and not policy.plain_starts and request.is_plain(policy):
                return error_response(403, PLAIN_START, "foreign-origin")
        return None

    async def _call_api(self, request: _Headers, policy: Policy, receive: Receive, send: Send) -> None:
        readable = request.origin if request.origin and request.origin in policy.listed | policy.origins else ""
        if request.method == "OPTIONS" and request.get("access-control-request-method"):
            await _preflight(request, readable)(request.scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                _mark(MutableHeaders(raw=message["headers"]), readable)
            await send(message)

        await self._app(request.scope, receive, marked)


class _Headers:
    """The headers of a request that tell its origin and its destination."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.path: str = scope["path"]
        self.method: str = scope.get("method", "GET")
        self.websocket = scope["type"] == "websocket"
        self._headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            self._headers.setdefault(name.lower(), []).append(value)
        self.host = parse_host(self._headers.get(b"host", []))
        self.origin = parse_origin(self.get("origin"))

    def get(self, name: str) -> str:
        """Return a header's value: ``""`` if it is missing, and a value that matches nothing if it was sent twice."""
        values = self._headers.get(name.encode(), [])
        return "" if not values else values[0].decode("latin-1") if len(values) == 1 else "twice"

    def without_origin(self) -> Scope:
        """Return the scope as if the client had sent no origin."""
        headers = [header for header in self.scope["headers"] if header[0].lower() != b"origin"]
        return {**self.scope, "headers": headers}

    def is_from_own_page(self, policy: Policy) -> bool | None:
        """Return whether the request comes from an allowed page; ``None`` if it has no header that says so."""
        if self.origin:
            return self._is_own(self.origin, policy)
        if site := self.get("sec-fetch-site"):
            return site in ("none", "same-origin")
        if referer := self.get("referer"):
            return self._is_own(parse_origin(referer), policy)
        return None

    def is_plain(self, policy: Policy) -> bool:
        """Return whether a browser would regard the connection as insecure: plain HTTP, and not to loopback."""
        if self.host is not None and self.host.is_loopback:
            return False
        # A proxy that does not forward the scheme has the one of the public URL.
        forwarded = self.get("x-forwarded-proto").partition(",")[0].strip().lower()
        scheme = forwarded or ("https" if policy.public_https else self.scope.get("scheme"))
        return scheme not in ("https", "wss")

    def _is_own(self, origin: str, policy: Policy) -> bool:
        # Host was checked, so an origin that is the same host is this server's own page.
        own = self.host is not None and host_of(origin) == self.host.plain
        return origin != "null" and (own or origin in policy.origins | policy.listed)


def _preflight(request: _Headers, readable: str) -> Response:
    if not readable:
        return error_response(403, FOREIGN_PAGE, "foreign-origin", {"Vary": "Origin"})
    headers = {
        "Access-Control-Allow-Origin": readable,
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Max-Age": "600",
        "Vary": "Origin",
    }
    if names := request.get("access-control-request-headers"):
        headers["Access-Control-Allow-Headers"] = names
    return Response(None, 204, headers)


def _mark(headers: MutableHeaders, readable: str) -> None:
    """Replace CORS headers, so that only our own list decides who may read the API."""
    for name in [name for name in headers.keys() if name.startswith("access-control-")]:
        del headers[name]
    headers.setdefault("Cache-Control", "no-store")
    headers.add_vary_header("Origin")
    if readable:
        headers["Access-Control-Allow-Origin"] = readable
        headers["Access-Control-Expose-Headers"] = EXPOSED


async def _refuse(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await response(scope, receive, send)
    else:
        await send({"type": "websocket.close", "code": 1008})
