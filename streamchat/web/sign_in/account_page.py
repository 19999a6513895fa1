"""``/account``: sessions, keys, passkeys, password, and for admins people and invitations.

A page of its own that calls ``/api/account``; it holds nothing but the name of the person who opens it.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from streamchat.errors import NotFound
from streamchat.web.dependencies import Context, services_of
from streamchat.web.sign_in import HEADERS, base_of, filled

router = APIRouter(include_in_schema=False)


@router.get("/account")
async def page(request: Request, context: Context) -> Response:
    """Return the page. Raises ``NotFound`` if nobody has to sign in."""
    accounts = services_of(request).accounts
    if accounts is None:
        raise NotFound("There are no accounts here.")
    identity = context.identity
    ways = "accounts" if accounts.ways.accounts else "proxy" if accounts.ways.header else "password"
    values = {
        "base": base_of(request),
        "app": services_of(request).settings.app_name,
        "name": identity.name,
        "role": identity.role,
        "role_text": "You are an admin." if identity.role == "admin" else "",
        "ways": ways,
    }
    parts = {"sign_out_hidden": "hidden" if ways == "proxy" else ""}
    return Response(filled("account.html", values, parts), headers=HEADERS, media_type="text/html")
