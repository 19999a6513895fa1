"""A start that fails says why in one line, instead of a traceback.

Knows the lifespan protocol, nothing of what is started. Rule: only our own errors are shortened; their message was
written for the user. Of any other the traceback stays.
"""

from __future__ import annotations

import sys

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamchat.errors import StreamchatError


class StartupErrors:
    """Middleware for the lifespan: passes everything else on."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the lifespan. One that failed for a known reason ends here, after the server was told."""
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        failed = False

        async def shortened(message: Message) -> None:
            nonlocal failed
            if message["type"] == "lifespan.startup.failed":
                failed = True
                # Starlette sends this while it handles the exception.
                if isinstance(error := sys.exc_info()[1], StreamchatError):
                    message = {**message, "message": error.user_message}
            await send(message)

        try:
            await self._app(scope, receive, shortened)
        except StreamchatError:
            if not failed:
                raise
