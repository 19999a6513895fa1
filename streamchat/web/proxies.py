"""Where a request really comes from, and below which path: the outermost ASGI middleware.

Knows proxies and the path of the public address, nothing of who may call. Rules:

* ``X-Forwarded-For`` and ``X-Forwarded-Proto`` count only from a proxy that is trusted: one on this machine, or one of
  ``STREAMCHAT_TRUSTED_PROXIES``.
* The header that names a person is removed unless a proxy of ``STREAMCHAT_TRUSTED_PROXIES`` sent it. So everything
  below, the page's socket included, may believe it.
* A path of the public address (``/chat``) is taken away, so that everything below lives at the root. A proxy may take
  it away as well: both forms are answered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from starlette.types import ASGIApp, Receive, Scope, Send

Network: TypeAlias = IPv4Network | IPv6Network
Headers: TypeAlias = list[tuple[bytes, bytes]]
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@dataclass(frozen=True)
class ProxyRules:
    """What the settings say about proxies. ``user_header`` is in lower case, ``""`` for none."""

    trusted: tuple[Network, ...] = ()
    user_header: str = ""
    base: str = ""

    @classmethod
    def of(cls, trusted: Iterable[str], user_header: str | None, base: str) -> ProxyRules:
        """Return the rules of these settings; ``trusted``: addresses and networks."""
        return cls(tuple(map(ip_network, trusted)), (user_header or "").lower(), base)

    def names_people(self, peer: str) -> bool:
        """Return whether this peer may say who is asking."""
        return _is_in(peer, self.trusted)

    def forwards(self, peer: str) -> bool:
        """Return whether this peer may say for whom it asks."""
        return _is_in(peer, self._forwarding)

    @cached_property
    def _forwarding(self) -> tuple[Network, ...]:
        return (*LOOPBACK, *self.trusted)

    def client_of(self, chain: Iterable[bytes], peer: str) -> str:
        """Return the address of the client: the last of the chain that is no proxy of ours."""
        client = peer
        for hop in reversed(b",".join(chain).decode("latin-1").split(",")):
            if not self.forwards(client) or (address := _parse(hop)) is None:
                break
            client = str(address)
        return client


class Proxies:
    """``rules`` is called with the first request, when the settings are there."""

    def __init__(self, app: ASGIApp, rules: Callable[[], ProxyRules]) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Correct the scope of a request or a socket, and pass it on."""
        if scope["type"] in ("http", "websocket"):
            scope = _as_the_client_sent_it(scope, self._rules())
        await self._app(scope, receive, send)


def _as_the_client_sent_it(scope: Scope, rules: ProxyRules) -> Scope:
    changed = dict(scope)
    peer = scope["client"][0] if scope.get("client") else ""
    headers: Headers = scope["headers"]
    if rules.user_header and not rules.names_people(peer):
        name = rules.user_header.encode()
        changed["headers"] = [header for header in headers if header[0].lower() != name]
    if rules.forwards(peer):
        if chain := [value for name, value in headers if name.lower() == b"x-forwarded-for"]:
            changed["client"] = (rules.client_of(chain, peer), 0)
        scheme = [value for name, value in headers if name.lower() == b"x-forwarded-proto"]
        if scheme and (plain := scheme[-1].strip().decode("latin-1")) in ("http", "https"):
            changed["scheme"] = plain.replace("http", "ws") if scope["type"] == "websocket" else plain
    base, path = rules.base, scope["path"]
    if base and (path == base or path.startswith(base + "/")):
        changed["path"] = path.removeprefix(base) or "/"
        raw = (scope.get("raw_path") or b"").partition(b"?")[0]
        changed["raw_path"] = raw.removeprefix(base.encode()) or b"/"
    return changed


def _is_in(peer: str, networks: Iterable[Network]) -> bool:
    address = _parse(peer)
    return address is not None and any(address in network for network in networks)


def _parse(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address; one of IPv4 that came over IPv6 is that of IPv4. A port behind it is dropped."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
