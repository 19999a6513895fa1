"""``/api/frames/…``: the documents in which the page shows and draws what a model wrote, in frames without an origin.

The same for everybody; what is shown comes from the page, by message. Rules:

* A frame has an opaque origin (``sandbox`` without ``allow-same-origin``): it reaches neither the page nor its storage.
* Its policy is stricter than the page's but for inline scripts and styles: no request leaves it. The page's own policy
  (``frame-src``) keeps it from going elsewhere, and only pages of this server can frame it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from fastapi import APIRouter
from starlette.responses import Response

from streamchat.web.security_headers import script_hashes

HERE = Path(__file__).parent
router = APIRouter(prefix="/api/frames")
_COMMON = (
    "sandbox allow-scripts",
    "default-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'self'",
)


@router.get("/{name}", include_in_schema=False)
async def frame(name: Literal["preview", "diagram"]) -> Response:
    """The document of a frame."""
    headers = {
        "Content-Security-Policy": _policy(name),
        "X-Frame-Options": "SAMEORIGIN",
        "Cache-Control": "no-cache",
        "X-DNS-Prefetch-Control": "off",
    }
    return Response(_file(name), headers=headers, media_type="text/html")


@cache
def _file(name: str) -> bytes:
    return (HERE / f"{name}.html").read_bytes()


@cache
def _policy(name: str) -> str:
    if name == "preview":
        own = ("script-src 'unsafe-inline'", "img-src data: blob:", "media-src data: blob:", "font-src data:")
    else:
        # The library is one of the page's own files.
        own = (" ".join(("script-src 'self'", *script_hashes([_file(name)]))), "img-src data:")
    return "; ".join((*_COMMON, *own, "style-src 'unsafe-inline'"))
