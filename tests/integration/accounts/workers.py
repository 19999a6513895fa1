"""Whole workers in one process: the services as the program builds them, and the API on them, over loopback."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from streamchat.settings import Settings
from streamchat.web.app import guard, mount
from streamchat.wiring import ServiceHolder, Services, running_services
from tests.integration.web.conftest import PAGE, serving


@dataclass
class Worker:
    """One worker. ``url``: its own address; a person who signed up at another one is known here too."""

    url: str
    services: Services


@asynccontextmanager
async def worker(data: Path, **settings: str) -> AsyncIterator[Worker]:
    """``async with worker(folder, STREAMCHAT_REDIS_URL=…) as one``: accounts are open, no model is started."""
    with socket.socket(proto=socket.IPPROTO_TCP) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        defaults = {"STREAMCHAT_ACCOUNTS": "open", "STREAMCHAT_DATA_DIR": str(data), "PORT": str(port)}
        async with running_services(Settings.model_validate(defaults | settings), worker=str(port)) as services:
            holder = ServiceHolder(services)
            async with serving(guard(mount(PAGE, holder), holder), sock):
                yield Worker(f"http://127.0.0.1:{port}", services)
