"""SSRF guard: resolves a host, checks its addresses against a policy, and connects to exactly the checked address.

Knows nothing of HTTP or of tools. Rules:

* The policy applies to the address, not to the spelling of the host: ``localhost.``, ``0x7f000001`` and a name that
  resolves to a private address are treated alike. There is one look-up per connection, so a name server cannot return a
  different address after the check (DNS rebinding).
* If one of a host's addresses is not allowed, none of them is used.
* Names of the local network and of cloud metadata services are refused before the look-up, because some of them resolve
  to addresses that look public.
* The list of addresses is our own, beside that of ``ipaddress``, which differs between versions of Python.
* No proxies and no Unix sockets: they would bypass the check.

Sources: IANA's special-purpose address registries; the clouds' documentation of their metadata services.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import unicodedata
from collections.abc import Awaitable, Callable, Iterable
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, TypeAlias

import httpcore2
import httpx2

from streamchat.tools.values import ToolError

Address: TypeAlias = IPv4Address | IPv6Address
Policy: TypeAlias = Callable[[Address], bool]
Resolver: TypeAlias = Callable[[str, int], Awaitable[list[str]]]

# Not globally reachable, or with a special meaning, in IANA's registries; and addresses of clouds' own services.
_DENIED_V4 = tuple(
    IPv4Network(net)
    for net in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT (RFC 6598); Alibaba's metadata service is in it
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local, with the metadata services of AWS, Azure, Google and others
        "172.16.0.0/12",
        "192.0.0.0/24",  # IETF protocols, with Oracle's metadata service
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # automatic multicast tunnelling
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "168.63.129.16/32",  # Azure's platform service
    )
)
# Public IPv6 addresses are in 2000::/3; these parts of it are not.
_GLOBAL_V6 = IPv6Network("2000::/3")
_DENIED_V6 = tuple(
    IPv6Network(net)
    for net in (
        "2001::/23",  # IETF protocols: Teredo, which embeds IPv4, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which embeds IPv4
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # the former 6bone
        "3fff::/20",  # documentation
    )
)
_ISATAP = (0x00005EFE, 0x02005EFE)  # the first half of an interface identifier that embeds IPv4 (RFC 5214)
# Names of this machine, of the local network, and of metadata services.
_DENIED_NAMES = frozenset(
    """
    localhost ip6-localhost ip6-loopback broadcasthost metadata instance-data metadata.google.internal metadata.goog
    metadata.tencentyun.com metadata.platformequinix.com metadata.packet.net
    """.split()
)
_DENIED_SUFFIXES = (
    *(".localhost", ".localdomain", ".local", ".internal", ".intranet", ".lan", ".home", ".corp", ".private"),
    *(".home.arpa", ".metadata.goog"),
)


_REFUSED = "{} is not a public address; only those are fetched."


class Forbidden(ToolError):
    """The policy does not allow a connection to this address."""


def is_public(address: Address) -> bool:
    """Return True if the address is globally reachable: not private, local, shared, multicast or reserved.

    IPv6 addresses that embed an IPv4 address (mapped, NAT64, 6to4, Teredo, ISATAP) are refused as a whole, because no
    public page needs them; only a mapped address (``::ffff:a.b.c.d``) is judged by the address in it.
    """
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        isatap = (int(address) >> 32) & 0xFFFFFFFF in _ISATAP
        if address not in _GLOBAL_V6 or address.scope_id or isatap or any(address in net for net in _DENIED_V6):
            return False
    elif any(address in net for net in _DENIED_V4):
        return False
    closed = (address.is_private, address.is_loopback, address.is_link_local, address.is_multicast)
    return address.is_global and not any((*closed, address.is_reserved, address.is_unspecified))


def is_public_name(host: str) -> bool:
    """Return False for names of this machine, of the local network and of metadata services, in any case.

    An address is a public name here: ``is_public`` judges it.
    """
    name = unicodedata.normalize("NFKC", host).lower().rstrip(".")
    return name not in _DENIED_NAMES and not f".{name}".endswith(_DENIED_SUFFIXES)


async def look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a host in the order of the system's resolver. Raises ``OSError`` if there are none."""
    entries = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in entries))


class Guarded(httpcore2.AsyncNetworkBackend):
    """Network backend for httpcore that connects only to addresses that the policy allows."""

    def __init__(self, allowed: Policy, resolve: Resolver = look_up) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._network: Any = httpcore2.AnyIOBackend()  # Any: its type is missing if AnyIO is not installed

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 part of the base class's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the host's first address. ``timeout`` is in seconds.

        Raises ``Forbidden`` if an address is not allowed, and httpcore's ``ConnectError`` or ``ConnectTimeout``.
        """
        address = await self._checked(host, port, timeout)
        stream = await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
        peer = stream.get_extra_info("server_addr")
        if not isinstance(peer, tuple) or ip_address(str(peer[0])) != address:
            await stream.aclose()
            raise Forbidden("The connection ended up at another address.")
        return stream

    async def connect_unix_socket(self, path: str, *_args: Any, **_kwargs: Any) -> httpcore2.AsyncNetworkStream:
        """Refuse: raises ``Forbidden``."""
        raise Forbidden("Socket files are not connected.")

    async def sleep(self, seconds: float) -> None:
        """Wait this many seconds, as httpcore does between retries."""
        await asyncio.sleep(seconds)

    async def _checked(self, host: str, port: int, seconds: float | None) -> Address:
        if not is_public_name(host):
            raise Forbidden(_REFUSED.format(host))
        try:
            async with asyncio.timeout(seconds):
                addresses = [ip_address(text) for text in await self._resolve(host, port)]
        except TimeoutError:
            raise httpcore2.ConnectTimeout(f"{host} was not found in time") from None
        except (OSError, ValueError):  # includes UnicodeError for invalid host names
            raise httpcore2.ConnectError(f"there is no host {host}") from None
        if not addresses:
            raise httpcore2.ConnectError(f"there is no host {host}")
        if not all(self._allowed(address) for address in addresses):
            raise Forbidden(_REFUSED.format(host))
        return addresses[0]


@cache
def tls() -> ssl.SSLContext:
    """Return the shared TLS context without settings of the environment: it takes 20 ms to read the certificates."""
    return httpx2.create_ssl_context(trust_env=False)


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """HTTP transport over ``Guarded``. Each request opens its own connection."""

    def __init__(self, allowed: Policy, resolve: Resolver = look_up) -> None:
        super().__init__(verify=tls(), trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls(),
            max_keepalive_connections=0,
            network_backend=Guarded(allowed, resolve),
        )
