"""Connection to one MCP server: connects, lists its tools, checks that it responds, and reconnects after a loss.

Knows nothing of runs or settings. Rules:

* Every wait for the server is bounded. It is checked regularly, and at once after a call that failed or timed out.
* A failure becomes the server's state with an error message; other servers and the chat are not affected.
* Reconnects use exponential back-off: 1 s, 2 s, 4 s … up to ``Patience.longest``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, TextIO

import mcp_types as types
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from streamchat.backoff import Backoff
from streamchat.chat.events import Json
from streamchat.environment import child_environment
from streamchat.tools.definition import Tool
from streamchat.tools.mcp.spec import ServerSpec
from streamchat.tools.mcp.tool_adapter import Refused, Tell, offered
from streamchat.tools.toolbox import ServerState
from streamchat.tools.values import ToolError

MAX_TOOLS = 128
MAX_PAGES = 20
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """Timing of a connection, in seconds.

    ``connect``: limit to connect and list the tools. ``answer``: limit to respond to a check. ``look``: interval
    between checks. ``pause`` and ``longest``: first and longest pause before a reconnect.
    """

    connect: float = 20
    answer: float = 10
    look: float = 15
    pause: float = 1
    longest: float = 60


class Server:
    """One server. ``keep`` runs on the servers' event loop; ``state`` and ``tools`` may be read from any thread."""

    def __init__(self, spec: ServerSpec, patience: Patience, changed: Callable[[], object]) -> None:
        self._spec = spec
        self._patience = patience
        self._changed = changed
        self._client: Client | None = None
        self._check_due = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.state = ServerState(spec.name, "connecting")
        self.tools: tuple[Tool, ...] = ()

    async def keep(self) -> None:
        """Keep the server connected until cancelled: connect, check, and reconnect after a loss."""
        backoff = Backoff(base=self._patience.pause, cap=self._patience.longest, draw=max)
        while True:
            was_ready = False
            try:
                async with self._connected() as client:
                    was_ready = True
                    await self._watch(client)
            except Exception as error:
                logger.warning("MCP server %s: %s", self._spec.name, _failure(error, self._spec, was_ready))
                self._set_state("failed", _failure(error, self._spec, was_ready))
            if was_ready:
                backoff.reset()
            await asyncio.sleep(backoff.next_pause())

    async def call(self, name: str, arguments: dict[str, Json], tell: Tell) -> types.CallToolResult:
        """Call a tool of the server; ``tell`` receives progress lines.

        Raises ``ToolError`` if the server is not connected, returns a protocol error or does not respond properly.
        """
        client = self._client
        if client is None:
            raise ToolError(f"The server {self._spec.name} is not there now: {self.state.sentence or 'it connects'}")

        async def tell_progress(progress: float, total: float | None, message: str | None) -> None:
            tell(message or (f"{progress:g}" if total is None else f"{progress:g} of {total:g}"))

        try:
            return await client.call_tool(name, arguments, progress_callback=tell_progress)
        except MCPError as error:
            self._check_due.set()
            raise ToolError(f"The server {self._spec.name} says: {_line(str(error))}") from None
        except asyncio.CancelledError:
            self._check_due.set()  # stopped by the user, or timed out
            raise
        except Exception as error:
            logger.warning("MCP server %s: a call failed", self._spec.name, exc_info=error)
            self._check_due.set()
            raise ToolError(f"The server {self._spec.name} did not answer as it should.") from None

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        self._set_state("connecting", self.state.sentence)
        client = Client(_transport(self._spec), cache=None, message_handler=self._on_message)
        try:
            async with asyncio.timeout(self._patience.connect):
                await client.__aenter__()
                await self._list(client)
            self._client = client
            yield client
        finally:
            self._client = None
            await client.__aexit__(*sys.exc_info())

    async def _watch(self, client: Client) -> None:
        while True:
            try:
                async with asyncio.timeout(self._patience.look):
                    await self._check_due.wait()
            except TimeoutError:
                pass
            self._check_due.clear()
            async with asyncio.timeout(self._patience.answer):
                await self._list(client)

    async def _on_message(self, message: Any) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self._check_due.set()

    async def _list(self, client: Client) -> None:
        declarations: list[types.Tool] = []
        cursor = None
        for _ in range(MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            declarations += page.tools
            cursor = page.next_cursor
            if cursor is None or len(declarations) >= MAX_TOOLS:
                break
        tools: dict[str, Tool] = {}
        left_out = [f"only the first {MAX_TOOLS} are used"] if len(declarations) > MAX_TOOLS else []
        for declaration in declarations[:MAX_TOOLS]:
            try:
                tool = offered(self._spec.name, declaration, self)
                if tool.name in tools:
                    raise Refused(f"{tool.name!r} is there twice")
                tools[tool.name] = tool
            except Refused as error:
                left_out.append(error.user_message)
        self.tools = tuple(tools.values())
        self._set_state("ready", f"Left out: {'; '.join(left_out[:3])}." if left_out else "")

    def _set_state(self, state: Any, sentence: str) -> None:
        if state == "failed":
            self.tools = ()
        new = ServerState(self._spec.name, state, sentence, tuple(tool.name for tool in self.tools))
        if new != self.state:
            self.state = new
            self._changed()


def _transport(spec: ServerSpec) -> Any:
    if spec.url:
        return streamable_http_client(spec.url)
    command, *arguments = spec.command
    # The SDK adds its own, shorter list of inherited variables.
    environment = child_environment() | dict(spec.environment)
    parameters = StdioServerParameters(command=command, args=arguments, env=environment)
    return stdio_client(parameters, errlog=_stderr())


@cache
def _stderr() -> TextIO:
    """Return the stream for the stderr of servers: our own, or the null device if that has no file descriptor."""
    try:
        sys.stderr.fileno()
        return sys.stderr
    except (AttributeError, OSError, ValueError):
        return open(os.devnull, "w")


def _failure(error: BaseException, spec: ServerSpec, was_ready: bool) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case TimeoutError():
            return "It does not answer any more." if was_ready else "It did not answer in time."
        case FileNotFoundError() | PermissionError() if spec.command:
            return f"The command {spec.command[0]!r} cannot be run."
    if was_ready:
        return "The connection was lost."
    return f"It cannot be connected: {_line(str(error)) or type(error).__name__}"


def _line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0][:200] if lines else ""
