"""Security headers of every response: what a page of ours may load, and who may frame it.

Knows the folder of the built page, not its address. Rules:

* The Content-Security-Policy allows our own files, and inline scripts by their hash: exactly those in the HTML files of
  the built page. Nothing is evaluated from text, and nothing is loaded from other servers.
* A response that has one of these headers already keeps it.
* In development Vite serves the page, so these headers are on the backend's responses only: Vite's client needs inline
  scripts that change with every start.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Script elements without an address. Their text is what a browser hashes, byte for byte.
_INLINE = re.compile(rb"<script(?![^>]*\ssrc\s*=)[^>]*>(.*?)</script\s*>", re.DOTALL | re.IGNORECASE)
# Emotion, Reflex's library of styles, adds an empty style element, and fills it through its own interface.
_EMPTY = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
# Features of a browser that the page does not use. The clipboard is for its copy buttons, the microphone for dictation.
_UNUSED_FEATURES = (
    *("accelerometer", "autoplay", "camera", "display-capture", "encrypted-media", "fullscreen", "geolocation"),
    *("gyroscope", "hid", "magnetometer", "midi", "payment", "picture-in-picture"),
    *("publickey-credentials-get", "screen-wake-lock", "serial", "usb", "xr-spatial-tracking"),
)
PERMISSIONS = ", ".join([*(f"{name}=()" for name in _UNUSED_FEATURES), "clipboard-write=(self)", "microphone=(self)"])


def script_hashes(html: Iterable[bytes]) -> tuple[str, ...]:
    """Return the CSP sources of all inline scripts in these documents, without duplicates."""
    scripts = [script for document in html for script in _INLINE.findall(document)]
    digests = (base64.b64encode(hashlib.sha256(script).digest()).decode() for script in scripts)
    return tuple(dict.fromkeys(f"'sha256-{digest}'" for digest in digests))


def content_security_policy(hashes: Iterable[str] = (), host: str = "") -> str:
    """Return the policy. ``host``: with port, for the page's socket: not all browsers take ``'self'`` to include it."""
    sockets = f" ws://{host} wss://{host}" if host else ""
    return "; ".join(
        (
            "default-src 'none'",
            " ".join(("script-src 'self'", *hashes)),
            f"style-src 'self' {_EMPTY}",
            "img-src 'self' data:",
            "font-src 'self' data:",  # the bundler puts small fonts into the styles
            f"connect-src 'self'{sockets}",
            "frame-src 'self'",  # previews and diagrams: of our documents only theirs may be framed
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",  # signing out
            "frame-ancestors 'none'",
        )
    )


class SecurityHeaders:
    """Middleware that adds the headers. ``page``: the folder of the built page; ``None`` if another server has it."""

    def __init__(self, app: ASGIApp, page: Path | None = None) -> None:
        self._app = app
        self._page = page
        self._hashes: tuple[str, ...] = ()
        self._version: tuple[tuple[str, int], ...] = ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the headers to its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                headers.setdefault("X-Content-Type-Options", "nosniff")
                if headers.get("content-type", "").partition(";")[0].strip().lower() in _DOCUMENTS:
                    self._protect(headers, scope)
            await send(message)

        await self._app(scope, receive, with_headers)

    def _protect(self, headers: MutableHeaders, scope: Scope) -> None:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        host = hosts[0].decode("latin-1") if len(hosts) == 1 and _HOST.fullmatch(hosts[0]) else ""
        headers.setdefault("Content-Security-Policy", content_security_policy(self._inline_scripts(), host))
        headers.setdefault("X-Frame-Options", "DENY")  # for browsers without frame-ancestors
        # Our own pages stay recognisable to the access check; other sites learn nothing.
        headers.setdefault("Referrer-Policy", "same-origin")
        headers.setdefault("Permissions-Policy", PERMISSIONS)

    def _inline_scripts(self) -> tuple[str, ...]:
        """Return the hashes of the page as it is built now: under `reflex run` it may be built again meanwhile."""
        files = sorted(self._page.glob("**/*.html")) if self._page else []
        version = tuple((str(file), file.stat().st_mtime_ns) for file in files)
        if version != self._version:
            self._hashes = script_hashes(file.read_bytes() for file in files)
            self._version = version
        return self._hashes


_DOCUMENTS = ("text/html", "application/xhtml+xml")
_HOST = re.compile(rb"[A-Za-z0-9_.:\[\]-]+")
