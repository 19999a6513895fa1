"""Where an adapter's requests go, and with which key.

Knows no vendor. Rules: an address that is not the vendor's needs no key, and never gets the vendor's
from the environment; the vendor's own address without a key is an error with a sentence, before any request.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from streamchat.chat.request import Request
from streamchat.errors import ProviderError
from streamchat.providers.failures import Place
from streamchat.providers.history import largest_attachment

NO_KEY = "none"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``vendor``: its name; ``vendor_url``: its own address; ``base_url`` and ``api_key`` as set, or ``None``."""

    vendor: str
    vendor_url: str
    base_url: str | None
    api_key: str | None

    @property
    def url(self) -> str:
        return self.base_url or self.vendor_url

    @property
    def is_vendor(self) -> bool:
        return urlsplit(self.url).hostname == urlsplit(self.vendor_url).hostname

    @property
    def sdk_key(self) -> str:
        """What the SDK is given: it insists on something, and would look into the environment."""
        return self.api_key or NO_KEY

    def place(self, request: Request) -> Place:
        """What an error may tell of it. Raises ``ProviderError`` where the vendor needs a key and there is none."""
        if self.is_vendor and not self.api_key:
            raise ProviderError(f"There is no key for {self.vendor}. Add it in the settings.", kind="bad-key")
        secrets = (self.api_key,) if self.api_key else ()
        vendor = self.vendor if self.is_vendor else ""
        return Place(self.url, request.model, secrets, largest_attachment(request), vendor)
