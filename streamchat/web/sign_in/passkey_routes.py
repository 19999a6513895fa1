"""Passkeys over HTTP: two steps to add one (``/api/account/passkeys``), two to sign in with one."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import StringConstraints
from starlette.responses import Response

from streamchat.accounts import passkeys
from streamchat.accounts.service import Accounts
from streamchat.errors import NotFound, Unauthorized
from streamchat.web.account_routes import REFUSALS, Name, Person, row_json
from streamchat.web.run_routes import json_response
from streamchat.web.schemas import PROBLEMS, RequestBody
from streamchat.web.sign_in import accounts_of, client_of, signed_in

router = APIRouter(tags=["accounts"])
Secret = Annotated[str, StringConstraints(max_length=200)]


class Nothing(RequestBody):
    """An empty object."""


class PasskeyIn(RequestBody):
    """The credential that the browser made. ``ceremony``: of the first step."""

    ceremony: Secret
    name: Name
    credential: dict[str, Any]


class PasskeySignIn(RequestBody):
    """The credential with which the browser signed. ``ceremony``: of the first step; ``next``: where to go on."""

    ceremony: Secret
    credential: dict[str, Any]
    next: str = ""


@router.get("/api/account/passkeys", responses=REFUSALS)
async def list_passkeys(person: Person) -> Response:
    """Return the passkeys, newest first."""
    rows = await person.store.passkeys(person.id)
    return json_response({"passkeys": [row_json(row, "account_id", "public_key", "sign_count") for row in rows]})


@router.post("/api/account/passkeys/options", responses=REFUSALS | PROBLEMS(422))
async def add_options(request: Request, body: Nothing, person: Person) -> Response:
    """Begin to add a passkey: what to ask the browser for."""
    _accounts(request)
    ceremony, options = await passkeys.begin_registration(person.accounts, person.identity, _host(request))
    return json_response({"ceremony": ceremony, "options": options})


@router.post("/api/account/passkeys", status_code=201, responses=REFUSALS | PROBLEMS(422))
async def add(request: Request, body: PasskeyIn, person: Person) -> Response:
    """Store the passkey that the browser made."""
    row = await passkeys.finish_registration(
        person.accounts, person.identity, body.ceremony, body.name, body.credential, _host(request)
    )
    return json_response(row_json(row, "account_id", "public_key", "sign_count"), 201)


@router.delete("/api/account/passkeys/{passkey_id}", status_code=204, responses=REFUSALS)
async def remove(passkey_id: str, person: Person) -> Response:
    """Remove a passkey."""
    await person.accounts.remove_passkey(person.identity, passkey_id)
    return Response(None, 204)


@router.post("/sign-in/passkey/options", include_in_schema=False)
async def sign_in_options(request: Request, body: Nothing) -> Response:
    """Begin to sign in: what to ask the browser for."""
    ceremony, options = await passkeys.begin_sign_in(_accounts(request), _host(request))
    return json_response({"ceremony": ceremony, "options": options})


@router.post("/sign-in/passkey", include_in_schema=False)
async def sign_in(request: Request, body: PasskeySignIn) -> Response:
    """Begin a session of the passkey's account; ``to``: where to go on."""
    accounts = _accounts(request)
    try:
        account = await passkeys.finish_sign_in(accounts, body.ceremony, body.credential, _host(request))
    except Unauthorized:
        await accounts.sign_in_failed("passkey", client_of(request))
        raise
    redirect = await signed_in(request, accounts, account, "passkey", body.next)
    response = json_response({"to": redirect.headers["location"]})
    response.headers["set-cookie"] = redirect.headers["set-cookie"]
    return response


def _accounts(request: Request) -> Accounts:
    accounts = accounts_of(request)
    if not accounts.ways.accounts:
        raise NotFound("There are no accounts here.")
    accounts.count_attempt(client_of(request))
    return accounts


def _host(request: Request) -> str:
    return request.headers.get("host", "").lower()
