"""One helper process for several workers: their supervisor starts it when the first asks, and lends it to all.

Knows nothing of what is served. Rules:

* They meet at a Unix socket in a folder that only this user can open. A question is one JSON line, the name, module
  and arguments of a child; the answer is one, its address and key or the sentence that it cannot be had.
* A worker asks anew for each use, so a child that died is there again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from streamchat.errors import ProviderError
from streamchat.providers.child import Address, Child

_LINE = 100_000


class SharedChild:
    """In a worker: stands for a ``Child`` of the supervisor that listens at ``place``."""

    pid = None

    def __init__(self, place: Path, name: str, module: str, *args: str, timeout: float = 30.0) -> None:
        self._place = place
        self._name = name
        self._asked = {"name": name, "module": module, "args": args, "timeout": timeout}
        self._timeout = timeout

    async def start(self) -> Address:
        """See ``Child.start``."""
        try:
            async with asyncio.timeout(self._timeout + 5):
                reader, writer = await asyncio.open_unix_connection(str(self._place), limit=_LINE)
                try:
                    writer.write(json.dumps(self._asked).encode() + b"\n")
                    told = json.loads(await reader.readline())
                finally:
                    writer.close()
        except (OSError, ValueError, TimeoutError):
            text = f"The {self._name} cannot be reached: the server is being restarted."
            raise ProviderError(text, kind="unavailable", retryable=True) from None
        if "error" in told:
            raise ProviderError(told["error"], kind="unavailable", retryable=told["retryable"])
        return Address(told["url"], told["api_key"])

    async def close(self) -> None:
        """Nothing: the child is not ours."""


MakeChild: TypeAlias = Callable[..., Child | SharedChild]
"""Takes what ``Child`` takes."""


@asynccontextmanager
async def lending(place: Path) -> AsyncIterator[None]:
    """In the supervisor: lend children to whoever asks at ``place``; ends them all."""
    children: dict[tuple[str, ...], Child] = {}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError, KeyError, TypeError):  # whoever asked is gone, or did not ask
            asked = json.loads(await reader.readline())
            key = (asked["module"], *asked["args"])
            if key not in children:
                children[key] = Child(asked["name"], *key, timeout=asked["timeout"])
            try:
                address = await children[key].start()
                told = {"url": address.url, "api_key": address.api_key}
            except ProviderError as error:
                told = {"error": error.user_message, "retryable": error.retryable}
            writer.write(json.dumps(told).encode() + b"\n")
        writer.close()

    server = await asyncio.start_unix_server(answer, str(place), limit=_LINE)
    try:
        yield
    finally:
        server.close()
        await asyncio.gather(*(child.close() for child in children.values()), return_exceptions=True)
