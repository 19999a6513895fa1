"""Who may call: one ASGI middleware around everything, the page's own socket included.

Knows headers, not endpoints. Rules:

* ``Host`` must be a name of this server: a loopback name at the port that was connected to, or that of the public
  address. Otherwise a foreign site could point its own name here. Probes of health may use any name.
* Calls that change something, the GETs that start an answer, and every WebSocket are refused from foreign pages: an
  ``Origin`` must be our own or on the list; without one, ``Sec-Fetch-Site`` must not name another site. Programs send
  neither.
* Pages of the listed origins may read the API, without credentials. Nothing else that answers there says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamchat.web.problems import told

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
SAFE = ("GET", "HEAD", "OPTIONS")
PROBES = ("/healthz", "/readyz")
METHODS = "GET, POST, DELETE"
EXPOSED = "X-Run-Id, X-Conversation-Id, Retry-After, Content-Disposition"
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Policy:
    """``origins`` are the page's own, ``listed`` those of other pages that may call; ``public_host`` may be empty."""

    origins: frozenset[str]
    listed: frozenset[str]
    public_host: str

    @property
    def loopback_port(self) -> int | None:
        """The port of a public address that is on this machine: a proxy there has all of its names."""
        name, port = _split(self.public_host)
        return port if name in LOOPBACK else None

    @classmethod
    def of(cls, origins: Iterable[str], listed: Iterable[str], public_url: str | None) -> Policy:
        own = frozenset(map(plain_origin, origins))
        return cls(own, frozenset(map(plain_origin, listed)), plain_origin(public_url or "").partition("://")[2])


def plain_origin(url: str) -> str:
    """``scheme://host`` in lower case, with its port unless it is the scheme's own; of a path nothing is left."""
    parts = urlsplit(url.strip())
    if not parts.scheme:
        return ""
    host = parts.netloc.rpartition("@")[2].lower().removesuffix(f":{_DEFAULT_PORTS.get(parts.scheme)}")
    return f"{parts.scheme}://{host}"


class Access:
    """``api``: whether a path belongs to the API. ``starts``: GET paths that start something."""

    def __init__(
        self, app: ASGIApp, policy: Callable[[], Policy], api: Callable[[str], bool], starts: Iterable[str] = ()
    ) -> None:
        self._app = app
        self._policy = policy
        self._api = api
        self._starts = frozenset(starts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        asked = _Asked(scope)
        policy = self._policy()
        api = self._api(scope["path"])
        if refusal := self._refusal(asked, policy):
            await _refuse(refusal, scope, receive, send)
        elif scope["type"] == "http" and api:
            await self._call_api(asked, policy, receive, send)
        else:
            await self._app(scope, receive, send)

    def _refusal(self, asked: _Asked, policy: Policy) -> Response | None:
        if not asked.named(policy):
            if asked.path in PROBES and asked.method in SAFE:
                return None
            sentence = "This server does not answer to this name. Its own is set with STREAMCHAT_PUBLIC_URL."
            return told(421, sentence, "unknown-host")
        if asked.websocket or asked.method not in SAFE or asked.path in self._starts:
            if not asked.from_ours(policy):
                return told(403, "Pages of other sites may not do this here.", "foreign-origin")
        return None

    async def _call_api(self, asked: _Asked, policy: Policy, receive: Receive, send: Send) -> None:
        readable = asked.origin if asked.origin and asked.origin in policy.listed | policy.origins else ""
        if asked.method == "OPTIONS" and asked.get("access-control-request-method"):
            await _preflight(asked, readable)(asked.scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                _mark(MutableHeaders(raw=message["headers"]), readable)
            await send(message)

        await self._app(asked.scope, receive, marked)


class _Asked:
    """What a request says of where it comes from and whom it means."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.path: str = scope["path"]
        self.method: str = scope.get("method", "GET")
        self.websocket = scope["type"] == "websocket"
        self._headers: dict[bytes, list[bytes]] = {}
        for name, value in scope["headers"]:
            self._headers.setdefault(name, []).append(value)
        self.host = self.get("host").lower()
        self.origin = _origin(self.get("origin"))

    def get(self, name: str) -> str:
        """The header, or ``""``; of one that came twice, something that fits nothing."""
        values = self._headers.get(name.encode(), [])
        return "" if not values else values[0].decode("latin-1") if len(values) == 1 else "twice"

    def named(self, policy: Policy) -> bool:
        if policy.public_host and self.host.removesuffix(":80").removesuffix(":443") == policy.public_host:
            return True
        name, port = _split(self.host)
        server = self.scope.get("server") or ("", None)
        return name in LOOPBACK and (server[1] is None or port in (server[1], policy.loopback_port))

    def from_ours(self, policy: Policy) -> bool:
        if self.origin:
            # Host was checked, so an origin that is the same host is this server's own page.
            own = self.origin.partition("://")[2] == self.host.removesuffix(":80").removesuffix(":443")
            return self.origin != "null" and (own or self.origin in policy.origins | policy.listed)
        return self.get("sec-fetch-site") in ("", "none", "same-origin")


def _origin(said: str) -> str:
    """What is no address at all is as foreign as ``null``."""
    try:
        return said and (plain_origin(said) or "null")
    except ValueError:
        return "null"


def _split(host: str) -> tuple[str, int]:
    name, colon, port = host.rpartition(":")
    if not colon or host.endswith("]"):
        return host, 80
    return name, int(port) if port.isascii() and port.isdigit() and len(port) <= 5 else -1


def _preflight(asked: _Asked, readable: str) -> Response:
    if not readable:
        return told(403, "Pages of other sites may not do this here.", "foreign-origin", {"Vary": "Origin"})
    headers = {
        "Access-Control-Allow-Origin": readable,
        "Access-Control-Allow-Methods": METHODS,
        "Access-Control-Max-Age": "600",
        "Vary": "Origin",
    }
    if wanted := asked.get("access-control-request-headers"):
        headers["Access-Control-Allow-Headers"] = wanted
    return Response(None, 204, headers)


def _mark(headers: MutableHeaders, readable: str) -> None:
    """Only our own list says who may read the API."""
    for name in [name for name in headers.keys() if name.startswith("access-control-")]:
        del headers[name]
    headers["X-Content-Type-Options"] = "nosniff"
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
