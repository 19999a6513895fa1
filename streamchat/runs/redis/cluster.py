"""Connections to the nodes of a Redis Cluster: which node has a key is asked of redis-py's client.

Rules:

* Its runs are divided into ``SHARDS``. What is done with one shard goes to the node that has it, over connections that
  are used until their first error, as those to one server. So a shard that moves, and a node that fails over, are
  outages of a part: its answers go on, and Redis has them when the next connection finds their node.
* The nodes are asked for again whenever a connection fails or the node says that it does not have the key.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import urlsplit

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisClusterException

from streamchat.runs.redis.connection import (
    CONNECT_SECONDS,
    REPLIES,
    REPLY_SECONDS,
    TROUBLE,
    Line,
    Link,
    RedisUnusable,
    connected,
)

# More nodes than these have nothing to do. Each worker has two connections for each of them.
SHARDS = 32
# The least time between two questions for the nodes.
_PAUSE = 0.25


def is_cluster(url: str) -> bool:
    """Return whether an address names a Redis Cluster: ``redis+cluster://`` or ``rediss+cluster://``."""
    return url.partition("://")[0].endswith("+cluster")


def read_address(url: str) -> tuple[str, list[tuple[str, int]]]:
    """Return the address of the first node that a cluster's address names, as redis-py has it, and the others.

    They are separated by commas: ``redis+cluster://user:password@one:6379,two:6379``. Raises ``ValueError``.
    """
    scheme, separator, rest = url.replace("+cluster", "", 1).partition("://")
    place, *path = re.split(r"(?=[/?#])", rest, maxsplit=1)
    login, at, hosts = place.rpartition("@")
    first, *others = hosts.split(",")
    more = [urlsplit(f"//{other}") for other in others]
    nodes = [(one.hostname or "localhost", one.port or 6379) for one in more]
    return urlsplit(f"{scheme}{separator}{login}{at}{first}{''.join(path)}").geturl(), nodes


class _NoCommands:
    """In place of redis-py's parser of what the server says of its commands, which it would read each time that it asks
    for the nodes, for a tenth of a second of CPU. Here its client sends no command."""

    async def initialize(self, node: ClusterNode | None = None) -> None:
        pass


class ClusterLink(Link):
    """Makes connections to the nodes of one cluster. ``url``: that of one or more of its nodes, with ``+cluster``."""

    def __init__(self, url: str) -> None:
        try:
            self._url, self._more = read_address(url)
        except ValueError:
            raise RedisUnusable("STREAMCHAT_REDIS_URL cannot be used: it is not the address of a Redis.") from None
        super().__init__(self._url)
        self._nodes: RedisCluster | None = None
        self._asked_at = float("-inf")
        self._asking = asyncio.Lock()
        try:
            self._client()
        except (RedisClusterException, TypeError) as error:
            raise RedisUnusable(f"STREAMCHAT_REDIS_URL cannot be used for a Redis Cluster: {error}.") from None

    @property
    def shown(self) -> str:
        """See ``Link``."""
        return f"Redis Cluster{super().shown.removeprefix('Redis')}"

    async def _check_kind(self, line: Line) -> None:
        """Nothing to check: only a node of a cluster knows the others."""

    async def _connect(self, key: str) -> AbstractConnection:
        nodes = await self._known_nodes()
        try:
            return await self._connect_to(nodes, key)
        except TROUBLE:
            return await self._connect_to(await self._known_nodes(beside=nodes), key)

    async def _connect_to(self, nodes: RedisCluster, key: str) -> AbstractConnection:
        try:
            node = nodes.get_node_from_key(key) if key else nodes.get_random_node()
        except RedisClusterException as error:
            raise RedisConnectionError(str(error)) from None
        assert node is not None
        options: dict[str, Any] = node.connection_kwargs | REPLIES
        connection = await connected(node.connection_class(**options))
        try:
            if key:  # whether it is there
                await Line(connection).call("EXISTS", key)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return connection

    async def _known_nodes(self, beside: RedisCluster | None = None) -> RedisCluster:
        """Return what is known, asked for anew if that is nothing or ``beside``. Raises one of ``TROUBLE``."""
        async with self._asking:
            if self._nodes is None or self._nodes is beside:
                loop = asyncio.get_running_loop()
                await asyncio.sleep(self._asked_at + _PAUSE - loop.time())
                self._asked_at = loop.time()
                self._nodes = await self._ask()
            return self._nodes

    async def _ask(self) -> RedisCluster:
        try:
            async with self._client() as nodes:
                return nodes  # what it found stays known when its connections are closed
        except RedisClusterException as error:
            raise RedisConnectionError(str(error.__cause__ or error)) from None

    def _client(self) -> RedisCluster:
        known = [ClusterNode(node.host, node.port) for node in self._nodes.get_nodes()] if self._nodes else []
        known += [ClusterNode(host, port) for host, port in self._more]
        nodes = RedisCluster.from_url(
            self._url,
            startup_nodes=known,
            require_full_coverage=False,  # the shards of the other nodes go on
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=REPLY_SECONDS,
            driver_info=None,
        )
        nodes.commands_parser = _NoCommands()  # pyrefly: ignore[bad-assignment]
        return nodes
