"""Lazy construction of an SDK's client.

Knows no vendor. Importing a vendor's SDK takes half a second to a second, which the start of the program should not
wait for: most people use one vendor of several. Rules:

* The import runs in a thread, so that answers of other models continue meanwhile.
* ``build`` runs once. It touches the resource that will be called, because the SDKs import those late.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar


class _Closable(Protocol):
    def close(self) -> Awaitable[None]: ...


ClientT = TypeVar("ClientT", bound=_Closable)


class SdkClient(Generic[ClientT]):
    """Holds the client. ``build`` imports the SDK and returns its client; it is called in a thread."""

    def __init__(self, build: Callable[[], ClientT], *, is_shared: bool = False) -> None:
        self._build = build
        self._is_shared = is_shared
        self._lock = threading.Lock()
        self._client: ClientT | None = None

    async def get(self) -> ClientT:
        """Return the client, the same one each time."""
        return self._client or await asyncio.to_thread(self._ensure)

    async def close(self) -> None:
        """Close the client's connections. Does nothing if there was no client yet; may be called twice."""
        if self._client is not None and not self._is_shared:
            await self._client.close()

    def derived(self, change: Callable[[ClientT], ClientT]) -> SdkClient[ClientT]:
        """Return one whose client is made of this one's, over the same connections. To close it closes nothing."""
        return SdkClient(lambda: change(self._ensure()), is_shared=True)

    def _ensure(self) -> ClientT:
        with self._lock:
            if self._client is None:
                self._client = self._build()
            return self._client
