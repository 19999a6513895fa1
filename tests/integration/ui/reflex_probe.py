"""A small Reflex app, served from a built page (first argument) with a project's configuration (second).

Says as JSON what it found.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path
from typing import Any

from streamchat import reflex_internals


def load() -> Any:
    import reflex as rx

    class State(rx.State):
        value: int = 0

    app = rx.App(toaster=None)
    app.add_page(lambda: rx.text(State.value), route="/")
    return app


async def get(asgi: Any, path: str) -> str:
    sent: list[dict[str, Any]] = []
    requests = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        return requests.pop() if requests else await asyncio.Future()

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "root_path": "", "headers": []}
    scope |= {"query_string": b"", "http_version": "1.1", "scheme": "http", "asgi": {"version": "3.0"}}
    await asgi(scope, receive, send)
    return b"".join(message.get("body", b"") for message in sent).decode()


class Lines(logging.Handler):
    """Counts what is logged."""

    count = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1


async def main() -> None:
    apps: list[Any] = []

    def loaded() -> Any:
        apps.append(load())
        return apps[0]

    asgi = reflex_internals.import_app(Path(sys.argv[1]), Path(sys.argv[2]), loaded)
    app = apps[0]
    result: dict[str, Any] = {"page": await get(asgi, "/")}

    result["banner"] = [(5, "Overlay") in app.app_wraps]
    reflex_internals.remove_connection_banner(app)
    result["banner"].append((5, "Overlay") in app.app_wraps)

    await app.event_namespace._token_manager.link_token_to_sid("tab", "socket")
    result["connected"] = [reflex_internals.is_connected(app, name) for name in ("tab", "another")]

    lines = Lines()
    logging.getLogger("reflex.app").addHandler(lines)
    await app.event_namespace.emit_update(None, "SECRET")
    result["log"] = [lines.count]
    reflex_internals.keep_tokens_out_of_the_log()
    await app.event_namespace.emit_update(None, "SECRET")
    result["log"].append(lines.count)
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    asyncio.run(main())
