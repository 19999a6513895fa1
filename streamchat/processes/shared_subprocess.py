"""One subprocess shared by several workers: the supervisor starts it on the first request and serves its address.

Knows nothing of what is served. Rules:

* Workers and supervisor talk over a Unix socket in a folder that only this user can open. A request is one JSON line
  with the name, module and arguments of a child. The response is one JSON line with its address and key, or an error.
* A worker sends a request for each use, so a child that died is started again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeAlias

from streamchat.errors import ProviderError
from streamchat.processes.subprocess_server import Address, SubprocessServer

_LINE = 100_000


class SharedSubprocess:
    """Worker-side proxy of a ``SubprocessServer`` that runs in the supervisor.

    ``socket_path`` is the path of the supervisor's Unix socket; ``timeout`` is in seconds.
    """

    pid = None

    def __init__(self, socket_path: Path, name: str, module: str, *args: str, timeout: float = 30.0) -> None:
        self._socket_path = socket_path
        self._name = name
        self._request = {"name": name, "module": module, "args": args, "timeout": timeout}
        self._timeout = timeout

    async def start(self) -> Address:
        """Return the address of the shared child, which the supervisor starts if needed.

        Raises ``ProviderError`` if the supervisor cannot be reached or the child cannot be started.
        """
        try:
            async with asyncio.timeout(self._timeout + 5):
                reader, writer = await asyncio.open_unix_connection(str(self._socket_path), limit=_LINE)
                try:
                    writer.write(json.dumps(self._request).encode() + b"\n")
                    response = json.loads(await reader.readline())
                finally:
                    writer.close()
        except (OSError, ValueError):  # a TimeoutError is an OSError
            text = f"The {self._name} cannot be reached: the server is being restarted."
            raise ProviderError(text, kind="unavailable", retryable=True) from None
        if "error" in response:
            raise ProviderError(response["error"], kind="unavailable", retryable=response["retryable"])
        return Address(response["url"], response["api_key"])

    async def close(self) -> None:
        """Do nothing: the supervisor owns the child."""


MakeChild: TypeAlias = Callable[..., SubprocessServer | SharedSubprocess]
"""Constructor with the parameters of ``SubprocessServer``."""


def child_factory(socket_path: Path | None) -> MakeChild:
    """Return the constructor of subprocesses: our own, or those that the supervisor of several workers shares."""
    return partial(SharedSubprocess, socket_path) if socket_path else SubprocessServer


@asynccontextmanager
async def lending(socket_path: Path) -> AsyncIterator[None]:
    """Supervisor side: serve children to workers on the Unix socket ``socket_path``.

    Starts each child on the first request for it, and stops all of them when the context exits.
    """
    children: dict[tuple[str, ...], SubprocessServer] = {}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, ValueError, KeyError, TypeError):  # the worker is gone, or its request is invalid
            request = json.loads(await reader.readline())
            key = (request["module"], *request["args"])
            if key not in children:
                children[key] = SubprocessServer(request["name"], *key, timeout=request["timeout"])
            try:
                address = await children[key].start()
                response = {"url": address.url, "api_key": address.api_key}
            except ProviderError as error:
                response = {"error": error.user_message, "retryable": error.retryable}
            writer.write(json.dumps(response).encode() + b"\n")
        writer.close()

    server = await asyncio.start_unix_server(answer, str(socket_path), limit=_LINE)
    try:
        yield
    finally:
        server.close()
        await asyncio.gather(*(child.close() for child in children.values()), return_exceptions=True)
