"""``/sign-in``, ``/sign-up``, ``/sign-out``: forms that work without a script, and the cookie of a session.

Knows HTML and cookies; who may come in is decided by ``Accounts``. Rules:

* No script or style but its own. What comes from outside is escaped, and ``next`` leads to a path of this server only.
* A session's cookie is ``HttpOnly``, ``SameSite=Lax``, and ``Secure`` where the connection is. Each sign-in makes a new
  token and ends the session that the browser had.
* A sign-in that fails says the same whatever was wrong.
"""

from __future__ import annotations

from functools import cache
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Literal
from urllib.parse import parse_qsl, quote

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from streamchat.accounts.service import Accounts, Client
from streamchat.accounts.sessions import COOKIE
from streamchat.errors import NotFound, StreamchatError, Unauthorized
from streamchat.protocols.http_status import retry_header, status_of
from streamchat.storage.accounts import Account
from streamchat.web.dependencies import credentials_of, services_of

HERE = Path(__file__).parent
PATHS = ("/sign-in", "/sign-up", "/sign-out")
TREE = "/sign-in/"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# A page with the policy "no-referrer" sends its forms with the origin "null", which the access check refuses.
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "publickey-credentials-get=(self), publickey-credentials-create=(self)",
    "Cache-Control": "no-store",
}
TYPES = {"css": "text/css", "js": "text/javascript"}
SESSION_SECONDS = 30 * 86400
router = APIRouter(include_in_schema=False)


@cache
def file(name: str) -> str:
    """Return a file of this folder."""
    return (HERE / name).read_text("utf-8")


@router.get("/sign-in/{name}.{kind}")
async def part(name: Literal["sign_in", "account", "admin", "api", "passkeys"], kind: Literal["css", "js"]) -> Response:
    """Scripts and styles of these pages."""
    try:
        return Response(file(f"{name}.{kind}"), headers=HEADERS, media_type=TYPES[kind])
    except FileNotFoundError:
        raise NotFound("There is nothing at this address.") from None


@router.get("/sign-in")
async def sign_in_page(request: Request) -> Response:
    """The form, or the page behind it for somebody who is signed in."""
    accounts = accounts_of(request)
    back = target(request, request.query_params.get("next"))
    if await _is_signed_in(request):
        return RedirectResponse(back, 303)
    return await _page(request, accounts, invitation=None)


@router.get("/sign-up")
async def sign_up_page(request: Request, invitation: str | None = None) -> Response:
    """The form for a new account."""
    return await _page(request, accounts_of(request), invitation=invitation or "")


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """Take name and password, and begin a session."""
    accounts, fields = accounts_of(request), await _fields(request)
    try:
        account = await accounts.sign_in(fields.get("name"), fields.get("password"), client_of(request))
    except StreamchatError as error:
        return await _page(request, accounts, invitation=None, fields=fields, error=error)
    return await signed_in(request, accounts, account, "password", fields.get("next"))


@router.post("/sign-up")
async def sign_up(request: Request) -> Response:
    """Create an account, and begin its first session."""
    accounts, fields = accounts_of(request), await _fields(request)
    invitation = fields.get("invitation")
    try:
        account = await accounts.sign_up(fields.get("name"), fields.get("password"), invitation, client_of(request))
    except StreamchatError as error:
        return await _page(request, accounts, invitation=invitation, fields=fields, error=error)
    return await signed_in(request, accounts, account, "password", fields.get("next"))


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End the session, and forget its cookie."""
    await end_session(request, accounts_of(request))
    base = base_of(request)
    response = RedirectResponse(f"{base}/sign-in", 303, {"Cache-Control": "no-store"})
    response.delete_cookie(COOKIE, path=base or "/")
    return response


def accounts_of(request: Request) -> Accounts:
    """Return the accounts. Raises ``NotFound`` if nobody signs in here."""
    accounts = services_of(request).accounts
    if accounts is None or accounts.ways.header is not None:
        raise NotFound("Nobody signs in here.")
    return accounts


def client_of(request: Request) -> Client:
    """Return from where somebody signs in."""
    return Client(request.client.host if request.client else "", request.headers.get("user-agent", ""))


def base_of(request: Request) -> str:
    """Return the path of the public address."""
    return services_of(request).settings.public_path


def target(request: Request, after: str | None) -> str:
    """Return where a sign-in leads: a path of this server, whatever was asked for."""
    is_path = after is not None and after.startswith("/") and after[1:2] not in ("/", "\\")
    clean = is_path and after is not None and all(" " < letter < "\x7f" and letter != "\\" for letter in after)
    return base_of(request) + (after if clean and after is not None and not after.startswith(PATHS) else "/")


async def signed_in(
    request: Request,
    accounts: Accounts,
    account: Account,
    method: Literal["password", "passkey", "provider"],
    after: str | None,
) -> Response:
    """Begin a session of this account in this browser, and go on."""
    await end_session(request, accounts)
    response = RedirectResponse(target(request, after), 303, {"Cache-Control": "no-store"})
    set_cookie(request, response, COOKIE, await accounts.open_session(account, method, client_of(request)))
    return response


def set_cookie(request: Request, response: Response, name: str, value: str, seconds: int = SESSION_SECONDS) -> None:
    """Have the browser keep a secret that no script reads."""
    is_secure = request.url.scheme == "https" or (services_of(request).settings.public_url or "").startswith("https:")
    response.set_cookie(
        name, value, max_age=seconds, path=base_of(request) or "/", secure=is_secure, httponly=True, samesite="lax"
    )


async def end_session(request: Request, accounts: Accounts) -> None:
    """End the session that this browser has, if it has one."""
    try:
        identity = await accounts.sessions.identify(credentials_of(request))
        if identity.shown == "session":
            await accounts.end_session(identity, identity.credential)
    except (Unauthorized, NotFound):
        pass


async def sign_in_error(request: Request, accounts: Accounts, error: StreamchatError) -> Response:
    """Return the form with an error message."""
    return await _page(request, accounts, invitation=None, error=error)


async def _is_signed_in(request: Request) -> bool:
    try:
        await services_of(request).identify(credentials_of(request))
    except StreamchatError:
        return False
    return True


async def _fields(request: Request) -> dict[str, str]:
    try:
        return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=20))
    except ValueError:
        return {}


async def _page(
    request: Request,
    accounts: Accounts,
    *,
    invitation: str | None,
    fields: dict[str, str] | None = None,
    error: StreamchatError | None = None,
) -> Response:
    """The form. ``invitation``: of a page that signs up, ``""`` for none; ``None``: of one that signs in."""
    settings, fields = services_of(request).settings, fields or {}
    may_sign_up = await accounts.may_sign_up(invitation)
    is_first = may_sign_up and not await accounts.store.count()
    signs_up = may_sign_up and (invitation is not None or is_first)
    if invitation and not may_sign_up and error is None:
        error = NotFound("This invitation was used, was withdrawn or has expired.")
    values = {
        "base": base_of(request),
        "app": settings.app_name,
        "title": "Create your account" if signs_up else "Sign in",
        "lead": "You are the first one here, and will be the admin." if is_first else "",
        "name": fields.get("name", ""),
        "next": fields.get("next", request.query_params.get("next", "")),
        "invitation": invitation or "",
        "error": error.user_message if error is not None else "",
    }
    parts = {
        "lead_hidden": "" if is_first else "hidden",
        "error_hidden": "" if error is not None else "hidden",
        "name_hidden": "" if accounts.ways.accounts else "hidden",
        "name_required": "required" if accounts.ways.accounts else "",
        "autocomplete": "new-password" if signs_up else "current-password",
        "sign_in_class": "" if signs_up else "primary",
        "sign_up_class": "primary" if signs_up else "",
        "sign_in_hidden": "hidden" if signs_up and is_first else "",
        "sign_up_hidden": "" if may_sign_up else "hidden",
        "passkey_hidden": "" if accounts.ways.accounts and not is_first else "hidden",
        "provider_hidden": "" if settings.oidc_issuer else "hidden",
        "provider": f"{base_of(request)}/sign-in/provider?next={quote(values['next'], safe='')}"
        + (f"&amp;invitation={quote(invitation)}" if invitation else ""),
        "form": f"{base_of(request)}/{'sign-up' if signs_up else 'sign-in'}",
    }
    status = 200 if error is None else status_of(error)
    headers: dict[str, str] = HEADERS | ({} if error is None else retry_header(error, status))
    headers.pop("WWW-Authenticate", None)  # a browser would ask for a password by itself
    return Response(filled("sign_in.html", values, parts), status, headers, "text/html")


def filled(name: str, values: dict[str, Any], parts: dict[str, str]) -> str:
    """Return a page of this folder with these values, escaped, and these parts, as they are."""
    return Template(file(name)).substitute({key: escape(str(value)) for key, value in values.items()} | parts)
