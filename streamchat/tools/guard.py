"""Connections that go only where they may: the address is looked up, checked, and then that very address is connected.

Knows nothing of HTTP or of tools. Rules:

* What counts is the address that is connected, whatever the name looked like: ``localhost.``, ``0x7f000001`` and a name
  that points at a private address are all the same. There is one look-up per connection, so that a name server that
  answers differently the second time has no second time.
* Where one of a name's addresses is not allowed, none of them is used.
* No proxy and no socket file: they would connect somewhere else.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, TypeAlias

import httpcore2
import httpx2

from streamchat.tools.values import ToolError

Address: TypeAlias = IPv4Address | IPv6Address
Policy: TypeAlias = Callable[[Address], bool]
Resolver: TypeAlias = Callable[[str, int], Awaitable[list[str]]]

_SHARED = ip_network("100.64.0.0/10")  # between a provider and its customers
# Ways to write an IPv4 address as another one: what is behind them is not looked at, nobody needs them.
_EMBEDDING = tuple(IPv6Network(net) for net in ("2002::/16", "2001::/32", "64:ff9b::/96", "64:ff9b:1::/48", "::/96"))


class Forbidden(ToolError):
    """This address is not to be connected."""


def is_public(address: Address) -> bool:
    """Whether everybody on the internet may reach it."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address.is_site_local or address.scope_id or any(address in net for net in _EMBEDDING):
            return False
    elif address in _SHARED:
        return False
    closed = (address.is_private, address.is_loopback, address.is_link_local, address.is_multicast)
    return address.is_global and not any((*closed, address.is_reserved, address.is_unspecified))


async def look_up(host: str, port: int) -> list[str]:
    """The addresses of a host, in the order in which the system would try them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Guarded(httpcore2.AsyncNetworkBackend):
    """The network as the HTTP client sees it."""

    def __init__(self, allowed: Policy, resolve: Resolver = look_up) -> None:
        self._allowed = allowed
        self._resolve = resolve
        self._network: Any = httpcore2.AnyIOBackend()  # typed as absent where AnyIO is

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 the base class has it
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Raises ``Forbidden``, and what a client expects of a network."""
        address = await self._checked(host, port, timeout)
        stream = await self._network.connect_tcp(str(address), port, timeout, local_address, socket_options)
        peer = stream.get_extra_info("server_addr")
        if not isinstance(peer, tuple) or ip_address(str(peer[0])) != address:
            await stream.aclose()
            raise Forbidden("The connection ended up at another address.")
        return stream

    async def connect_unix_socket(self, path: str, *_args: Any, **_kwargs: Any) -> httpcore2.AsyncNetworkStream:
        raise Forbidden("Socket files are not connected.")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def _checked(self, host: str, port: int, seconds: float | None) -> Address:
        try:
            async with asyncio.timeout(seconds):
                found = [ip_address(one) for one in await self._resolve(host, port)]
        except TimeoutError:
            raise httpcore2.ConnectTimeout(f"{host} was not found in time") from None
        except (OSError, ValueError):  # also names that are none (UnicodeError)
            raise httpcore2.ConnectError(f"there is no host {host}") from None
        if not found:
            raise httpcore2.ConnectError(f"there is no host {host}")
        if not all(self._allowed(address) for address in found):
            raise Forbidden(f"{host} is not a public address; only those are fetched.")
        return found[0]


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """An HTTP transport over that network; each request has a connection of its own."""

    def __init__(self, allowed: Policy, resolve: Resolver = look_up) -> None:
        super().__init__(trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(trust_env=False),
            max_keepalive_connections=0,
            network_backend=Guarded(allowed, resolve),
        )
