"""The address and API key of an adapter.

Knows no vendor. Rules: an address that is not the vendor's needs no key, and never gets the vendor's
from the environment; the vendor's own address without a key is an error, before any request.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from streamchat.chat.request import Request
from streamchat.errors import ProviderError
from streamchat.providers.history import largest_attachment
from streamchat.providers.provider_errors import ErrorContext

NO_KEY = "none"
RUN_HEADER = "X-Client-Request-Id"


def run_headers(request: Request) -> dict[str, str]:
    """Return the header that names the run in the provider's own logs: OpenAI finds a request by it."""
    return {RUN_HEADER: request.run_id} if request.run_id else {}


def as_it_is(body: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return the keywords for ``create`` so that the SDK sends the fields ``names`` of a body without a look at them.

    Otherwise it looks each field of each message up in its types: 0.15 ms a message, in which the event loop
    stands still, and after that it sends the same. The first of ``names`` is one that it requires.
    """
    whole = {name: body[name] for name in names if name in body}
    rest = {name: value for name, value in body.items() if name not in whole}
    return {**rest, names[0]: [], "extra_body": {**whole, **rest.get("extra_body", {})}}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address and key of a vendor's API.

    ``vendor``: its name. ``vendor_url``: its own address. ``base_url`` and ``api_key``: as configured, or ``None``.
    """

    vendor: str
    vendor_url: str
    base_url: str | None
    api_key: str | None

    @property
    def url(self) -> str:
        """The base URL of requests."""
        return self.base_url or self.vendor_url

    @property
    def is_vendor(self) -> bool:
        """Whether requests go to the vendor's own host."""
        return urlsplit(self.url).hostname == urlsplit(self.vendor_url).hostname

    @property
    def sdk_key(self) -> str:
        """The key for the SDK, which needs one and would otherwise read the environment."""
        return self.api_key or NO_KEY

    def error_context(self, request: Request) -> ErrorContext:
        """Return the context of error messages. Raises ``ProviderError`` if the vendor's key is missing."""
        if self.is_vendor and not self.api_key:
            raise ProviderError(f"There is no API key for {self.vendor} on this server.", kind="bad-key")
        secrets = (self.api_key,) if self.api_key else ()
        vendor = self.vendor if self.is_vendor else ""
        return ErrorContext(self.url, request.model, secrets, largest_attachment(request), vendor)
