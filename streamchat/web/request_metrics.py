"""Measurement of the API's requests, if somebody wants them: an ASGI middleware around the API.

Knows ``Services.telemetry``, nothing of where measurements go. A request has the pattern of its path as its name, so
that no id is in a metric.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streamchat.wiring import ServiceHolder


class RequestMetrics:
    """Costs one comparison if there is no telemetry."""

    def __init__(self, app: ASGIApp, holder: ServiceHolder) -> None:
        self._app = app
        self._holder = holder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Measure a request from its arrival to the end of its response."""
        if scope["type"] != "http" or (telemetry := self._holder.services.telemetry) is None:
            await self._app(scope, receive, send)
            return
        with telemetry.request(scope["method"], dict(Headers(scope=scope))) as request:

            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    request.status = message["status"]
                await send(message)

            try:
                await self._app(scope, receive, noting)
            finally:
                request.route = getattr(scope.get("route"), "path", "")
