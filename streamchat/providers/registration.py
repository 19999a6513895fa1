"""``@provider``: declares a function that makes providers of the settings. All providers are registered by it.

Knows no vendor. Rule: the function only builds; nothing is connected, started or read from the network by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

from streamchat.providers.catalog import Source


class ProviderSettings(Protocol):
    """The settings that providers read. Their meaning is in ``docs/settings.md``; durations are seconds."""

    @property
    def openai_api_key(self) -> SecretStr | None: ...  # noqa: D102
    @property
    def openai_base_url(self) -> str | None: ...  # noqa: D102
    @property
    def openai_background(self) -> bool: ...  # noqa: D102
    @property
    def anthropic_api_key(self) -> SecretStr | None: ...  # noqa: D102
    @property
    def anthropic_base_url(self) -> str | None: ...  # noqa: D102
    @property
    def servers(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def agents(self) -> tuple[str, ...]: ...  # noqa: D102
    @property
    def local_gguf(self) -> Path | None: ...  # noqa: D102
    @property
    def connect_timeout(self) -> float: ...  # noqa: D102
    @property
    def record(self) -> Path | None: ...  # noqa: D102
    @property
    def children(self) -> Path | None: ...  # noqa: D102


@dataclass(frozen=True, eq=False)
class Registration:
    """A registered function. ``sources`` returns its providers with their models, in the order of offering."""

    name: str
    sources: Callable[[ProviderSettings], Iterable[Source]]


def provider(function: Callable[[ProviderSettings], Source | Iterable[Source]]) -> Registration:
    """Register a function that returns one ``Source`` or several.

    Raises ``TypeError`` for anything that cannot be called.
    """
    if not callable(function):
        raise TypeError(f"@provider belongs on a function, not on {function!r}")

    def sources(settings: ProviderSettings) -> Iterable[Source]:
        made = function(settings)
        return [made] if isinstance(made, Source) else list(made)

    return Registration(getattr(function, "__name__", "provider"), sources)


def is_foreign(url: str | None, host: str) -> bool:
    """Return whether a base URL is not the vendor's own: such a server needs no key."""
    return url is not None and urlsplit(url).hostname != host


def host_of(url: str | None, vendor: str) -> str:
    """Return the host of a base URL, with its port if it has one; ``None`` is the vendor's own."""
    return urlsplit(url).netloc.rpartition("@")[2] if url else vendor


def is_remote(url: str | None) -> bool:
    """Return whether a server is outside of this machine and its network; ``None`` is the vendor's own address."""
    host = (urlsplit(url).hostname if url else None) or ""
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return False
    try:
        return not ip_address(host).is_private
    except ValueError:
        return True


def secret(value: SecretStr | None) -> str | None:
    """Return the text of a secret."""
    return value.get_secret_value() if value is not None else None


def missing_key(variable: str, ready: bool) -> str | None:
    """Return why a vendor's models cannot be used without its key; ``None`` if they can."""
    return None if ready else f"set {variable} and start again."
