"""Single sign-on over HTTP: ``/sign-in/provider`` leads to the provider, ``…/callback`` is where it leads back."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from streamchat.accounts.provider import Provider
from streamchat.errors import NotFound, StreamchatError, TooManyRequests
from streamchat.web.dependencies import services_of
from streamchat.web.sign_in import accounts_of, base_of, client_of, set_cookie, sign_in_error, signed_in

COOKIE = "streamchat-provider"
COOKIE_SECONDS = 600
router = APIRouter(include_in_schema=False)


@router.get("/sign-in/provider")
async def leave(request: Request, next: str = "", invitation: str = "") -> Response:
    """Lead to the provider."""
    accounts, provider = accounts_of(request), _provider(request)
    try:
        accounts.count_attempt(client_of(request))
        keep = {"next": next[:2000], "invitation": invitation[:200]}
        secret, address = await provider.begin(accounts, _callback(request), keep)
    except StreamchatError as error:
        return await sign_in_error(request, accounts, error)
    response = RedirectResponse(address, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
    set_cookie(request, response, COOKIE, secret, COOKIE_SECONDS)
    return response


@router.get("/sign-in/provider/callback")
async def come_back(request: Request) -> Response:
    """Begin a session of the person whom the provider names."""
    accounts, provider = accounts_of(request), _provider(request)
    try:
        accounts.count_attempt(client_of(request))
        answer = dict(request.query_params)
        account, keep = await provider.finish(accounts, request.cookies.get(COOKIE), _callback(request), answer)
    except StreamchatError as error:
        if not isinstance(error, TooManyRequests):
            await accounts.sign_in_failed("provider", client_of(request))
        return await sign_in_error(request, accounts, error)
    response = await signed_in(request, accounts, account, "provider", keep.get("next"))
    response.delete_cookie(COOKIE, path=base_of(request) or "/")
    return response


def _provider(request: Request) -> Provider:
    accounts = services_of(request).accounts
    if accounts is None or accounts.provider is None:
        raise NotFound("There is no single sign-on here.")
    return accounts.provider


def _callback(request: Request) -> str:
    public = services_of(request).settings.public_url
    address = public.rstrip("/") if public else f"{request.url.scheme}://{request.headers.get('host', '')}"
    return f"{address}/sign-in/provider/callback"
