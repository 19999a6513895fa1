"""One MCP server: connected, listed, watched, and connected again when it is lost.

Knows nothing of runs or settings. Rules:

* Every wait on the server is bounded. It is looked at regularly, and at once when a call failed or timed out.
* Whatever is wrong is its state, in one sentence; the other servers and the chat do not notice.
* A lost server is tried again after 1 s, 2 s, 4 s … at most ``MAX_PAUSE``.
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

from streamchat.chat.events import Json
from streamchat.tools.definition import Tool
from streamchat.tools.mcp.offer import Refused, Tell, offered
from streamchat.tools.mcp.spec import ServerSpec
from streamchat.tools.toolbox import ServerState
from streamchat.tools.values import ToolError

MAX_TOOLS = 128
MAX_PAGES = 20
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds: to connect and list, to answer a look, between two looks, first and longest pause after a loss."""

    connect: float = 20
    answer: float = 10
    look: float = 15
    pause: float = 1
    longest: float = 60


class Server:
    """``keep`` runs on the servers' loop until it is cancelled; ``state`` and ``tools`` may be read from anywhere."""

    def __init__(self, spec: ServerSpec, patience: Patience, changed: Callable[[], None]) -> None:
        self._spec = spec
        self._patience = patience
        self._changed = changed
        self._client: Client | None = None
        self._look = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.state = ServerState(spec.name, "connecting")
        self.tools: tuple[Tool, ...] = ()

    async def keep(self) -> None:
        pause = self._patience.pause
        while True:
            was_ready = False
            try:
                async with self._connected() as client:
                    was_ready = True
                    await self._watch(client)
            except Exception as error:
                logger.warning("MCP server %s: %s", self._spec.name, _why(error, self._spec, was_ready))
                self._say("failed", _why(error, self._spec, was_ready))
            pause = self._patience.pause if was_ready else min(pause * 2, self._patience.longest)
            await asyncio.sleep(pause)

    async def call(self, name: str, arguments: dict[str, Json], tell: Tell) -> types.CallToolResult:
        """Raises ``ToolError``. ``tell`` gets progress lines."""
        client = self._client
        if client is None:
            raise ToolError(f"The server {self._spec.name} is not there now: {self.state.sentence or 'it connects'}")

        async def tell_progress(progress: float, total: float | None, message: str | None) -> None:
            tell(message or (f"{progress:g}" if total is None else f"{progress:g} of {total:g}"))

        try:
            return await client.call_tool(name, arguments, progress_callback=tell_progress)
        except MCPError as error:
            self._look.set()
            raise ToolError(f"The server {self._spec.name} says: {_line(str(error))}") from None
        except asyncio.CancelledError:
            self._look.set()  # stopped by a person, or too slow
            raise
        except Exception as error:
            logger.warning("MCP server %s: a call failed", self._spec.name, exc_info=error)
            self._look.set()
            raise ToolError(f"The server {self._spec.name} did not answer as it should.") from None

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Client]:
        self._say("connecting", self.state.sentence)
        client = Client(_transport(self._spec), cache=None, message_handler=self._heard)
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
                    await self._look.wait()
            except TimeoutError:
                pass
            self._look.clear()
            async with asyncio.timeout(self._patience.answer):
                await self._list(client)

    async def _heard(self, message: Any) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self._look.set()

    async def _list(self, client: Client) -> None:
        described: list[types.Tool] = []
        cursor = None
        for _ in range(MAX_PAGES):
            page = await client.list_tools(cursor=cursor)
            described += page.tools
            cursor = page.next_cursor
            if cursor is None or len(described) >= MAX_TOOLS:
                break
        tools: dict[str, Tool] = {}
        left_out = [f"only the first {MAX_TOOLS} are used"] if len(described) > MAX_TOOLS else []
        for one in described[:MAX_TOOLS]:
            try:
                tool = offered(self._spec.name, one, self)
                if tool.name in tools:
                    raise Refused(f"{tool.name!r} is there twice")
                tools[tool.name] = tool
            except Refused as error:
                left_out.append(error.user_message)
        self.tools = tuple(tools.values())
        self._say("ready", f"Left out: {'; '.join(left_out[:3])}." if left_out else "")

    def _say(self, state: Any, sentence: str) -> None:
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
    started = StdioServerParameters(command=command, args=arguments, env=dict(spec.environment))
    return stdio_client(started, errlog=_stderr())


@cache
def _stderr() -> TextIO:
    """What a server says beside the protocol goes where our own log goes."""
    try:
        sys.stderr.fileno()
        return sys.stderr
    except (AttributeError, OSError, ValueError):
        return open(os.devnull, "w")


def _why(error: BaseException, spec: ServerSpec, was_ready: bool) -> str:
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
