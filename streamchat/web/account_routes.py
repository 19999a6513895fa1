"""``/api/account``: what a person has (sessions, keys), ``/api/accounts``: what an admin does about people.

Knows the shapes; the rules are those of ``Accounts``. Rules: a key manages nothing here, and a secret is in the answer
that created it and in no other.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import Field, StringConstraints
from starlette.responses import Response

from streamchat.accounts.service import Accounts
from streamchat.errors import NotFound
from streamchat.identity import ACCOUNT, Identity
from streamchat.storage.accounts import Account, AccountStore
from streamchat.storage.usage import Limits
from streamchat.web.admin_routes import LimitsBody
from streamchat.web.dependencies import Context, services_of
from streamchat.web.run_routes import json_response
from streamchat.web.schemas import PROBLEMS, RequestBody

router = APIRouter(tags=["accounts"])
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
REFUSALS = PROBLEMS(401, 403, 404, 503)


class PasswordIn(RequestBody):
    """A new password. ``old``: the one so far, empty if there is none."""

    old: str = ""
    new: str


class KeyIn(RequestBody):
    """A new API key. ``per_minute``: limit of requests; ``days``: until it expires.

    ``limits``: what it may use of what its owner may; see ``LimitsBody``.
    """

    name: Name
    scopes: Annotated[list[Literal["read", "chat"]], Field(min_length=1, max_length=2)] = ["read", "chat"]
    per_minute: Annotated[int, Field(ge=1, le=100_000)] | None = None
    days: Annotated[int, Field(ge=1, le=3650)] | None = None
    limits: LimitsBody = LimitsBody()


class InvitationIn(RequestBody):
    """A new invitation. ``role``: of the account that is made with it."""

    role: Literal["admin", "user"] = "user"


class AccountChange(RequestBody):
    """What to change of an account; what is left out stays."""

    role: Literal["admin", "user"] | None = None
    disabled: bool | None = None


class Caller:
    """Somebody in a browser who manages their account."""

    def __init__(self, accounts: Accounts, identity: Identity) -> None:
        self.accounts = accounts
        self.store: AccountStore = accounts.store
        self.identity = identity
        self.id = identity.owner


async def _caller(request: Request, context: Context) -> Caller:
    accounts = services_of(request).accounts
    if accounts is None:
        raise NotFound("There are no accounts here.")
    context.identity.require(ACCOUNT)
    return Caller(accounts, context.identity)


async def _admin(caller: Annotated[Caller, Depends(_caller)]) -> Caller:
    caller.identity.require_admin()
    return caller


Person = Annotated[Caller, Depends(_caller)]
Admin = Annotated[Caller, Depends(_admin)]


@router.get("/api/account", responses=PROBLEMS(401, 503))
async def account(request: Request, context: Context) -> Response:
    """Who is asking, and how that is known."""
    identity = context.identity
    accounts = services_of(request).accounts
    body = {"id": identity.owner, "name": identity.name, "role": identity.role, "shown": identity.shown}
    return json_response(body | {"scopes": sorted(identity.scopes), "accounts": accounts is not None})


@router.post("/api/account/password", status_code=204, responses=REFUSALS | PROBLEMS(422, 429))
async def change_password(body: PasswordIn, person: Person) -> Response:
    """Set another password; all other sessions end."""
    await person.accounts.change_password(person.identity, body.old, body.new)
    return Response(None, 204)


@router.get("/api/account/sessions", responses=REFUSALS)
async def sessions(person: Person) -> Response:
    """The sessions, the last one used first."""
    rows = [
        row_json(row, "account_id") | {"current": row.id == person.identity.credential}
        for row in await person.store.sessions(person.id)
    ]
    return json_response({"sessions": rows})


@router.delete("/api/account/sessions/{session_id}", status_code=204, responses=REFUSALS)
async def end_session(session_id: str, person: Person) -> Response:
    """End a session."""
    await person.accounts.end_session(person.identity, session_id)
    return Response(None, 204)


@router.get("/api/account/keys", responses=REFUSALS)
async def keys(person: Person) -> Response:
    """The keys, newest first, without their secrets."""
    return json_response({"keys": [row_json(row, "account_id") for row in await person.store.keys(person.id)]})


@router.post("/api/account/keys", status_code=201, responses=REFUSALS | PROBLEMS(422))
async def create_key(request: Request, body: KeyIn, person: Person) -> Response:
    """A new key. ``key`` is its secret, which is shown here and never again."""
    secret, key = await person.accounts.create_key(person.identity, body.name, body.scopes, body.per_minute, body.days)
    if (limits := body.limits.limits()) != Limits():
        await services_of(request).administration.set_limits(person.id, limits, key=key.id)
        await person.accounts.audit.record("limits-changed", person.id, person.id, id=key.id, **asdict(limits))
    return json_response(row_json(key, "account_id") | {"key": secret}, 201)


@router.delete("/api/account/keys/{key_id}", status_code=204, responses=REFUSALS)
async def revoke_key(key_id: str, person: Person) -> Response:
    """Revoke a key."""
    await person.accounts.revoke_key(person.identity, key_id)
    return Response(None, 204)


@router.get("/api/account/invitations", responses=REFUSALS)
async def invitations(admin: Admin) -> Response:
    """The invitations of one's own that nobody has used."""
    return json_response(
        {"invitations": [row_json(row, "account_id") for row in await admin.store.invitations(admin.id)]}
    )


@router.post("/api/account/invitations", status_code=201, responses=REFUSALS | PROBLEMS(422))
async def invite(request: Request, body: InvitationIn, admin: Admin) -> Response:
    """A new invitation, for one account. ``path`` leads to the page that takes it, and is shown here only."""
    secret, invitation = await admin.accounts.invite(admin.identity, body.role)
    path = f"{services_of(request).settings.public_path}/sign-up?invitation={secret}"
    return json_response(row_json(invitation, "account_id") | {"invitation": secret, "path": path}, 201)


@router.delete("/api/account/invitations/{invitation_id}", status_code=204, responses=REFUSALS)
async def withdraw(invitation_id: str, admin: Admin) -> Response:
    """Withdraw an invitation."""
    await admin.accounts.withdraw(admin.identity, invitation_id)
    return Response(None, 204)


@router.get("/api/accounts", responses=REFUSALS)
async def accounts(admin: Admin) -> Response:
    """All people, oldest account first."""
    return json_response({"accounts": [_account(row) for row in await admin.store.accounts()]})


@router.patch("/api/accounts/{account_id}", responses=REFUSALS | PROBLEMS(422))
async def change_account(account_id: str, body: AccountChange, admin: Admin) -> Response:
    """Give somebody another role, or keep them out: all their sessions and keys count no more."""
    await admin.accounts.change_account(admin.identity, account_id, role=body.role, disabled=body.disabled)
    return json_response(_account(await admin.store.by_id(account_id)))


def _account(row: Account) -> dict[str, Any]:
    return row_json(row, "password_hash")


def row_json(row: Any, *leave_out: str) -> dict[str, Any]:
    """Return a row as JSON without these columns; times are ISO 8601."""
    values = {name: value for name, value in asdict(row).items() if name not in leave_out}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()}
