"""``/admin``: people and their limits, use and cost, models, and health, for admins.

A page of its own that calls ``/api/admin``; it holds nothing itself.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from streamchat.web.dependencies import Context, services_of
from streamchat.web.sign_in import HEADERS, base_of, filled

router = APIRouter(include_in_schema=False)


@router.get("/admin")
async def page(request: Request, context: Context) -> Response:
    """Return the page. Raises ``NotAllowed`` for anybody but an admin."""
    context.identity.require_admin()
    values = {
        "base": base_of(request),
        "app": services_of(request).settings.app_name,
        "self": context.owner,
        "accounts": "yes" if services_of(request).accounts is not None else "",
    }
    return Response(filled("admin.html", values, {}), headers=HEADERS, media_type="text/html")
