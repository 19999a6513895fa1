"""How long a browser keeps the files of the page.

Without a rule browsers take a tenth of a file's age: after an update they would show the page as it was, also to
somebody who is not signed in any more, and ask for forty files with each visit soon after it. Rules:

* What is below ``/assets/`` has its content in its name, and is kept for a week. Not for ever: the addresses in it may
  be rewritten (``reflex_internals.copy_page``) under the same name. A name that is not there gets a document.
* Everything else is asked for with each visit; mostly the answer is that it is the same still (``ETag``).
* A response that says it itself keeps that.
"""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

NAMED_BY_CONTENT = "/assets/"
KEPT = "public, max-age=604800"
ASKED_FOR = "no-cache"


def with_caching(page: ASGIApp) -> ASGIApp:
    """Return an app that says it with each file of ``page``."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await page(scope, receive, send)
            return

        async def with_header(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message.setdefault("headers", []))
                is_document = headers.get("content-type", "").startswith("text/html")
                kept = scope["path"].startswith(NAMED_BY_CONTENT) and message["status"] < 400 and not is_document
                headers.setdefault("Cache-Control", KEPT if kept else ASKED_FOR)
            await send(message)

        await page(scope, receive, with_header)

    return app
