"""Two backend workers, Redis, PostgreSQL and nginx in front, on this machine and on free ports; gone at the end.

``scripts/cluster`` (``make cluster``) runs it for a person, ``tests/system/cluster`` for itself.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from devservers import nginx, postgres, redis
from devservers.app import Served
from devservers.ports import free_port
from devservers.postgres import PostgresServer
from devservers.redis import RedisServer


def why_not() -> str | None:
    """Why there can be no such machine here, or ``None``."""
    return redis.why_not() or postgres.why_not() or nginx.why_not()


class Machine:
    """``one`` and ``two`` are the workers; ``settings`` are further environment variables for both."""

    def __init__(self, settings: Mapping[str, str] | None = None, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://localhost:{self.port}"
        self._folder = Path(tempfile.mkdtemp(prefix="streamchat-cluster-"))
        self.redis = RedisServer()
        self.postgres = PostgresServer()
        self._settings = dict(settings or {})
        self._workers: list[Served] = []
        self._nginx: nginx.Nginx | None = None
        self.database = ""

    @property
    def one(self) -> Served:
        return self._workers[0]

    @property
    def two(self) -> Served:
        return self._workers[1]

    def start(self) -> Machine:
        self.redis.start()
        self.postgres.start()
        self.database = self.postgres.new_database()
        shared = self._settings | {
            "STREAMCHAT_REDIS_URL": self.redis.url,
            "STREAMCHAT_DATABASE_URL": self.database,
            "STREAMCHAT_PUBLIC_URL": self.url,
            "STREAMCHAT_WORKERS": "1",
        }
        self._workers = [Served(self._folder / name, shared) for name in ("one", "two")]
        with ThreadPoolExecutor() as pool:
            list(pool.map(Served.start, self._workers))
        self._nginx = nginx.Nginx(self.port, [worker.port for worker in self._workers])
        self._nginx.start()
        return self

    def remove(self) -> None:
        if self._nginx is not None:
            self._nginx.remove()
        for worker in self._workers:
            try:
                worker.stop()
            except AssertionError:
                worker.kill()
        self.postgres.remove()
        self.redis.remove()
        shutil.rmtree(self._folder, ignore_errors=True)
