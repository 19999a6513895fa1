"""Connections to Redis, each used until its first error.

Knows nothing of the commands. Rules:

* A connection is never repaired: after any error it is closed, and ``Link.keep`` opens another one and starts again.
  So its user can rely on all earlier replies, and reads the state of Redis again after a change.
* An outage of Redis is one warning in the log, however many connections are tried.
* No error message contains a password.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.exceptions import AskError, RedisError, ResponseError

from streamchat.backoff import Backoff
from streamchat.errors import StreamchatError

Command: TypeAlias = tuple[str | bytes | int | float, ...]
Reply: TypeAlias = Any
TROUBLE = (RedisError, OSError, TimeoutError)

CONNECT_SECONDS = 3.0
REPLY_SECONDS = 5.0
_FIRST_PAUSE = 0.05
MAX_PAUSE = 1.0
# A connection that lasts this long counts as back: longer than a connection may take to fail.
STEADY_SECONDS = CONNECT_SECONDS + 1
# Options that a URL may set and that would change the shape or the timeout of replies.
REPLIES = {"protocol": 2, "decode_responses": False, "socket_timeout": None}
# The key of the check: it is never created.
_CHECKED = "streamchat:check"
logger = logging.getLogger(__name__)


class RedisUnusable(StreamchatError):
    """Redis cannot be reached or refuses."""

    kind = "redis"


class Line:
    """One connection. Every call may raise one of ``TROUBLE``; afterwards it cannot be used."""

    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection

    async def call(self, *command: str | bytes | float, patience: float = REPLY_SECONDS) -> Reply:
        """Return the reply to one command. Raises ``ResponseError`` if Redis refuses it."""
        (reply,) = await self.calls([command], patience)
        if isinstance(reply, Exception):
            raise reply
        return reply

    async def calls(self, commands: Sequence[Command], patience: float = REPLY_SECONDS) -> list[Reply]:
        """Return the replies to several commands sent at once; a refused one gives a ``ResponseError`` in the list."""
        async with asyncio.timeout(patience):
            await self.send(commands)
            return [await self.read() for _ in commands]

    async def send(self, commands: Iterable[Command]) -> None:
        """Send commands without reading their replies."""
        await self._connection.send_packed_command(self._connection.pack_commands(commands), check_health=False)

    async def read(self, patience: float | None = None) -> Reply:
        """Return the next reply, or ``None`` after ``patience`` seconds without one."""
        try:
            return await self._connection.read_response(timeout=patience)
        except ResponseError as error:
            return error


class Link:
    """Makes connections to one Redis. ``url``: ``redis://``, ``rediss://`` or ``unix://``.

    ``key``, of each call: the node of a cluster that has it is meant (``cluster.ClusterLink``), here the one server.
    """

    def __init__(self, url: str) -> None:
        try:
            self._pool = ConnectionPool.from_url(url, socket_connect_timeout=CONNECT_SECONDS, driver_info=None)
            self._pool.connection_kwargs |= REPLIES
            self._pool.make_connection()
        except (ValueError, TypeError):
            raise RedisUnusable("STREAMCHAT_REDIS_URL cannot be used: it is not the address of a Redis.") from None
        self._away: set[str] = set()

    @property
    def shown(self) -> str:
        """Its address without a password."""
        known = self._pool.connection_kwargs
        return (
            f"Redis at {known.get('path') or '{}:{}'.format(known.get('host', 'localhost'), known.get('port', 6379))}"
        )

    @asynccontextmanager
    async def line(self, key: str = "") -> AsyncIterator[Line]:
        """Open a new connection, closed at the end. Raises one of ``TROUBLE``."""
        connection = await self._connect(key)
        try:
            yield Line(connection)
        finally:
            await connection.disconnect(nowait=True)

    async def _connect(self, key: str) -> AbstractConnection:
        return await connected(self._pool.make_connection())

    async def check(self) -> None:
        """Check that it is reachable, usable as the kind that its URL says, and new enough.

        Raises ``RedisUnusable``.
        """
        try:
            async with self.line(_CHECKED) as line:
                await line.call("PING")
                await self._check_kind(line)
                # Streams that are never begun by accident: Redis 6.2.
                await line.call("XADD", _CHECKED, "NOMKSTREAM", "*", "e", "")
        except ResponseError as error:
            raise RedisUnusable(
                f"{self.shown} cannot be used: {_reason(error)}. Redis 6.2 or newer is needed."
            ) from None
        except TROUBLE as error:
            raise RedisUnusable(f"{self.shown} cannot be reached: {_reason(error)}.") from None

    async def _check_kind(self, line: Line) -> None:
        (information,) = await line.calls([("INFO", "cluster")])
        if isinstance(information, bytes) and b"cluster_enabled:1" in information:
            raise RedisUnusable(
                f"{self.shown} cannot be used: it is a node of a Redis Cluster. STREAMCHAT_REDIS_URL then begins with "
                "redis+cluster:// or rediss+cluster://."
            )

    async def keep(self, name: str, work: Callable[[Line], Awaitable[None]], key: str = "") -> None:
        """Run ``work`` over a connection, and again over a new one after each error. Ends only when cancelled."""
        loop = asyncio.get_running_loop()
        backoff = Backoff(base=_FIRST_PAUSE, cap=MAX_PAUSE, draw=max)
        while True:
            began = loop.time()
            well = loop.call_later(STEADY_SECONDS, self._back, name)
            try:
                async with self.line(key) as line:
                    await work(line)
            except TROUBLE as error:
                self._gone(name, error)
            except Exception:
                logger.exception("Redis: %s failed and begins anew", name)
            finally:
                well.cancel()
            if loop.time() - began > STEADY_SECONDS:
                backoff.reset()
            await asyncio.sleep(backoff.next_pause())

    def _gone(self, name: str, error: Exception) -> None:
        if not self._away:
            logger.warning("%s: %s. Answers go on; other workers see them when it is back", self.shown, _reason(error))
        self._away.add(name)

    def _back(self, name: str) -> None:
        if name in self._away:
            self._away.discard(name)
            if not self._away:
                logger.warning("%s is back", self.shown)


async def connected(connection: AbstractConnection) -> AbstractConnection:
    """Return the connection once it is open; it is closed if that fails. Raises one of ``TROUBLE``."""
    try:
        await connection.connect()
    except BaseException:
        await connection.disconnect(nowait=True)
        raise
    return connection


def _reason(error: Exception) -> str:
    if isinstance(error, AskError):
        return "a part of it has moved to another node"
    return str(error).rstrip(".") or "it does not answer"
