"""``/look/…``: what the operator's settings make of the look of the page, and what an installed page needs.

Knows settings and files, nothing of the page's code. Rules:

* Everything here is for everybody, also before the sign-in: it holds no prompt and no secret.
* The script and the styles are loaded before the page is painted, so that nothing of the built-in look flashes up.
* Messages of the server are English wherever they are made and stored; who shows them to a person translates them, by
  ``texts/``: a reader's language is known on their page only, and may change.
* A colour of the operator's becomes one that can be read on each theme, or it would not be what is asked of it.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import Response

from streamchat.web.dependencies import services_of
from streamchat.web.look.colours import styles
from streamchat.wiring import Services

HERE = Path(__file__).parent
TREE = "/look/"
OWN_NAME = "streamchat"
PAGE_LIGHT, PAGE_DARK = "#fbfaf8", "#171716"
TYPES = {".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp"}
# Asked again with each load: a change of the settings counts at once.
HEADERS = {"Cache-Control": "no-cache"}
# An SVG may hold scripts; as a document of its own it runs none.
LOGO_HEADERS = {
    "Cache-Control": "max-age=3600",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
}
router = APIRouter(include_in_schema=False)


@cache
def _file(name: str) -> bytes:
    return (HERE / name).read_bytes()


@router.get("/look/look.js")
async def script(request: Request) -> Response:
    """What the page reads of the settings, and the language in which it begins."""
    data = json.dumps(look_of(services_of(request)), ensure_ascii=False).replace("<", "\\u003c")
    return Response(f"window.streamchat={data};\n".encode() + _file("look.js"), 200, HEADERS, "text/javascript")


@router.get("/look/look.css")
async def style(request: Request) -> Response:
    """The accent in both themes."""
    accent = services_of(request).settings.accent
    colours = styles(accent, PAGE_LIGHT, PAGE_DARK) if accent else ""
    return Response(_file("look.css") + colours.encode(), 200, HEADERS, "text/css")


@router.get("/look/{name}.js")
async def module(name: Literal["translate", "page"]) -> Response:
    """The code that puts English texts into the language of the page."""
    return Response(_file(f"{name}.js"), 200, HEADERS, "text/javascript")


@router.get("/look/texts/{name}.{language}.json")
async def texts(name: Literal["server", "pages"], language: Literal["de"]) -> Response:
    """The texts of a language by their English ones: messages of the server, or those of the pages beside the chat."""
    return Response(_file(f"texts/{name}.{language}.json"), 200, HEADERS, "application/json")


@router.get("/look/manifest.webmanifest")
async def manifest(request: Request) -> Response:
    """What a browser needs to install the page as an app. Its addresses are relative to this one."""
    settings = services_of(request).settings
    if settings.logo is None:
        icons = [
            {"src": "logo", "sizes": "any", "type": "image/svg+xml"},
            {"src": "icon-192.png", "sizes": "192x192", "type": "image/png"},
            {"src": "icon-512.png", "sizes": "512x512", "type": "image/png"},
            {"src": "maskable-512.png", "sizes": "512x512", "type": "image/png", "purpose": "maskable"},
        ]
    else:
        icons = [{"src": "logo", "sizes": "any", "type": TYPES[settings.logo.suffix.lower()]}]
    body = {
        "id": "../",
        "name": settings.app_name,
        "short_name": settings.app_name[:12],
        "start_url": "../",
        "scope": "../",
        "display": "standalone",
        "background_color": PAGE_LIGHT,
        "theme_color": PAGE_LIGHT,
        "icons": icons,
    }
    return Response(json.dumps(body), 200, HEADERS, "application/manifest+json")


@router.get("/look/logo")
async def logo(request: Request) -> Response:
    """The operator's logo, or our own."""
    path = services_of(request).settings.logo or HERE / "logo.svg"
    return Response(path.read_bytes(), 200, LOGO_HEADERS, TYPES[path.suffix.lower()])


@router.get("/look/{name}-{size}.png")
async def icon(
    request: Request, name: Literal["icon", "maskable", "touch"], size: Literal["180", "192", "512"]
) -> Response:
    """The icons of the installed page in sizes that some systems need; a logo of the operator's replaces them."""
    path = services_of(request).settings.logo
    if path is not None:
        return Response(path.read_bytes(), 200, LOGO_HEADERS, TYPES[path.suffix.lower()])
    file = HERE / f"{name}-{size}.png"
    if not file.is_file():
        return Response(status_code=404)
    return Response(file.read_bytes(), 200, LOGO_HEADERS, "image/png")


def look_of(services: Services) -> dict[str, object]:
    """Return what the page is told of the settings; what is left out is built in."""
    settings, look = services.settings, dict[str, object]()
    if settings.app_name != OWN_NAME:
        look["name"] = settings.app_name
    if settings.language is not None:
        look["language"] = settings.language
    if settings.suggestions is not None:
        look["suggestions"] = [suggestion.model_dump(exclude_none=True) for suggestion in settings.suggestion_list]
    return look
