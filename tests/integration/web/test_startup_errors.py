"""A start that fails inside the lifespan is one line in the server's log."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette

from streamchat.errors import StorageError
from streamchat.web.startup_errors import StartupErrors


async def start(error: Exception, caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines that uvicorn logs at a start that raises."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        raise error
        yield

    config = uvicorn.Config(StartupErrors(Starlette(lifespan=lifespan)), port=0, lifespan="on", log_config=None)
    server = uvicorn.Server(config)
    with caplog.at_level(logging.ERROR, "uvicorn.error"):
        with pytest.raises(SystemExit):
            await server.serve()
    assert not server.started
    return [record.getMessage() for record in caplog.records]


async def test_our_own_error_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """The message that was written for the user, and what uvicorn says to it."""
    assert await start(StorageError("The database is locked."), caplog) == [
        "The database is locked.",
        "Application startup failed. Exiting.",
    ]


async def test_an_unexpected_error_keeps_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """It is a bug, and the traceback says where."""
    lines = await start(ZeroDivisionError("division by zero"), caplog)
    assert "Traceback" in lines[0]
    assert "ZeroDivisionError" in lines[0]
