"""All MCP servers of the settings, in a daemon thread with its own event loop.

Knows nothing of settings. Rules:

* ``start`` returns at once: servers connect in the background, independently of each other.
* Reading states and tools never blocks.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from streamchat.tools.definition import Tool
from streamchat.tools.mcp.spec import ServerSpec
from streamchat.tools.toolbox import ServerState

if TYPE_CHECKING:
    from streamchat.tools.mcp.server import Patience, Server

CLOSING = 8.0
logger = logging.getLogger(__name__)


class McpServers:
    """All servers. ``changed`` is called in their thread after each change of a state or a list of tools."""

    def __init__(
        self,
        specs: Sequence[ServerSpec],
        *,
        patience: Patience | None = None,
        changed: Callable[[], object] = lambda: None,
    ) -> None:
        self._specs = tuple(specs)
        self._patience = patience
        self._changed = changed
        self._servers: tuple[Server, ...] = ()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        self._closed = threading.Event()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the servers, in the order of the settings."""
        return tuple(spec.name for spec in self._specs)

    def tools(self) -> tuple[Tool, ...]:
        """Return the tools of the servers that are connected now."""
        return tuple(tool for server in self._servers for tool in server.tools)

    def states(self) -> tuple[ServerState, ...]:
        """Return the state of each server; ``connecting`` before the thread has started."""
        if not self._servers:
            return tuple(ServerState(name, "connecting") for name in self.names)
        return tuple(server.state for server in self._servers)

    def start(self) -> None:
        """Start the thread that connects the servers. Returns at once."""
        if self._specs and self._thread is None:
            self._thread = threading.Thread(target=self._work, name="mcp", daemon=True)
            self._thread.start()

    async def close(self) -> None:
        """Close the connections and end the servers that were started. Waits at most ``CLOSING`` seconds."""
        self._closed.set()
        if self._thread is not None:
            if self._loop is not None and self._ending is not None:
                with suppress(RuntimeError):  # its loop is closed
                    self._loop.call_soon_threadsafe(self._ending.set)
            await asyncio.to_thread(self._thread.join, CLOSING)

    def _work(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException:
            logger.exception("the MCP servers failed")

    async def _serve(self) -> None:
        from streamchat.tools.mcp.server import Patience, Server  # the SDK takes a second to load

        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        self._servers = tuple(Server(spec, self._patience or Patience(), self._changed) for spec in self._specs)
        if self._closed.is_set():
            return
        tasks = [asyncio.create_task(server.keep(), name="mcp server") for server in self._servers]
        await self._ending.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
