"""Host names and ports of a request in comparable form: ``Host``, ``Origin``, the scope's ``server``.

Knows nothing of who may call. Rules:

* A malformed value equals nothing, whatever it resembles: no userinfo, no trailing dot, no second header, no port
  that does not exist.
* An ASGI server may give its port as a number or as text. A Unix socket has none (``None`` or ``0``); some servers do
  not report the port at all.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.types import Scope

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_HOST = re.compile(rb"([a-z0-9_.-]*[a-z0-9_-]|\[[0-9a-f:.]+\])(?::([1-9][0-9]{0,4}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NO_PORT = ("", "0")


@dataclass(frozen=True, slots=True)
class Host:
    """A name in lower case, IPv6 in brackets; ``port`` is ``None`` if none was given."""

    name: str
    port: int | None = None

    @property
    def is_loopback(self) -> bool:
        """True if the name always means this machine, whatever a name server says."""
        return self.name in LOOPBACK

    @property
    def is_address(self) -> bool:
        """Whether the name is an IP address."""
        return _is_address(self.name.removeprefix("[").removesuffix("]"))

    @property
    def plain(self) -> Host:
        """The host without the port if that is a scheme's default, as in a plain origin."""
        return Host(self.name) if self.port in _DEFAULT_PORTS.values() else self


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches this IP address."""
    return ip_address(address).is_loopback


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def parse_host(values: Sequence[bytes]) -> Host | None:
    """Parse the ``Host`` headers of a request. Returns ``None`` unless there is exactly one valid one."""
    match = _HOST.fullmatch(values[0].lower()) if len(values) == 1 else None
    if match is None:
        return None
    port = int(match[2]) if match[2] else None
    return None if port is not None and port > 65535 else Host(match[1].decode("ascii"), port)


def reached_at(scope: Scope, port: int | None) -> bool:
    """Return whether the connection came to this port (``None``: 80), or the server has or reports no port."""
    server = scope.get("server")
    own = server[1] if isinstance(server, tuple | list) and len(server) > 1 else None
    return own is None or str(own) in _NO_PORT or str(own) == str(port or 80)


def plain_origin(url: str) -> str:
    """Return ``scheme://host`` in lower case, with the port unless it is the default, and without a path."""
    parts = urlsplit(url.strip())
    if not parts.scheme:
        return ""
    host = parts.netloc.rpartition("@")[2].lower().removesuffix(f":{_DEFAULT_PORTS.get(parts.scheme)}")
    return f"{parts.scheme}://{host}"


def parse_origin(value: str) -> str:
    """Return the plain origin, ``""`` for an empty value, and ``"null"`` (always foreign) if it cannot be parsed."""
    try:
        return value and (plain_origin(value) or "null")
    except ValueError:
        return "null"


def host_of(origin: str) -> Host | None:
    """Return the host of a plain origin."""
    return parse_host([origin.partition("://")[2].encode()])
