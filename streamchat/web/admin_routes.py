"""``/api/admin``: for admins: people, their limits and use, cost by day, models on or off, and the health of a worker.

Knows the shapes; the decisions are kept by ``Administration``. Roles, disabling and invitations are in
``account_routes``. Rule: an admin in a browser, never a key; where nobody signs in, that is whoever reaches the server.
"""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from pydantic import BaseModel, Field, StringConstraints
from starlette.responses import Response

from streamchat import __version__
from streamchat.errors import NotFound
from streamchat.storage.accounts import Account
from streamchat.storage.usage import Counts, Limits, today
from streamchat.web.dependencies import Context
from streamchat.web.run_routes import json_response
from streamchat.web.schemas import PROBLEMS, RequestBody
from streamchat.wiring.request_context import RequestContext

router = APIRouter(prefix="/api/admin", tags=["admin"])
REFUSALS = PROBLEMS(401, 403, 503)
MAX_DAYS = 366

Count = Annotated[int, Field(ge=0, le=1_000_000_000)]


class LimitsBody(RequestBody):
    """Limits of a person or a key; ``null``, or left out: none of its own.

    ``requests``, ``tokens`` (read and written) and ``cost`` (US dollars) are of a day of UTC; ``running``: answers at
    the same time.
    """

    requests: Count | None = None
    running: Count | None = None
    tokens: Annotated[int, Field(ge=0, le=10**12)] | None = None
    cost: Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)] | None = None

    def limits(self) -> Limits:
        """Return the limits as a value of ours."""
        return Limits(self.requests, self.running, self.tokens, self.cost)


class UsedOut(BaseModel):
    """What was used today (UTC). ``requests``: answers that ended; ``running``: those in progress."""

    requests: int
    running: int
    tokens: int
    cost: float


class PersonOut(BaseModel):
    """A person. ``seen_at``: last use of a session or a key. ``limits``: those of their own."""

    id: str
    name: str
    role: str
    disabled: bool
    created_at: str | None
    seen_at: str | None
    limits: LimitsBody
    today: UsedOut


class PeopleOut(BaseModel):
    """All people, oldest account first. ``defaults``: limits of those who have none of their own."""

    people: list[PersonOut]
    defaults: LimitsBody


class UsageRow(BaseModel):
    """Answers of a day by one person, one API key (its id; empty without one) and one model.

    ``cost``: US dollars of those whose cost is known; ``unpriced``: how many have none. ``own_key_requests``,
    ``own_key_cost``: what of ``requests`` and ``cost`` was made with keys of vendors that people brought.
    """

    day: str
    owner: str
    name: str
    credential: str
    model: str
    requests: int
    input: int
    output: int
    cost: float
    unpriced: int
    own_key_requests: int
    own_key_cost: float


class UsageReport(BaseModel):
    """Use since a day, the newest first."""

    usage: list[UsageRow]


class ModelOut(BaseModel):
    """A model. ``unavailable``: why it cannot be used, apart from being off."""

    id: str
    label: str
    unavailable: str | None
    off: bool


class ModelsOut(BaseModel):
    """The models, those that are off included."""

    models: list[ModelOut]


class ModelSwitch(RequestBody):
    """A model to switch."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    off: bool


class HealthOut(BaseModel):
    """The health of the process that answers. Pauses: of its event loop, of more than 50 ms.

    ``waiting``: answers in line for one of the ``max_answers``.
    """

    version: str
    process: int
    database: str
    writing: int
    waiting: int
    max_answers: int | None
    models: int
    pauses: int
    longest_pause_ms: int


async def _admin(context: Context) -> RequestContext:
    context.identity.require_admin()
    return context


Admin = Annotated[RequestContext, Depends(_admin)]
PersonId = Annotated[str, Path(description="The id of an account.", max_length=64)]


@router.get("/people", response_model=PeopleOut, responses=REFUSALS)
async def people(admin: Admin) -> Response:
    """All people, with their limits and what they used today."""
    store, limits = admin.store.usage, await admin.services.administration.limits()
    seen, shown = await store.seen(), []
    for person in await _people(admin):
        used = sum((await store.used(person.id, today())).values(), Counts())
        at = seen.get(person.id)
        shown.append(
            {
                **{"id": person.id, "name": person.name, "role": person.role, "disabled": person.disabled},
                "created_at": person.created_at.isoformat() if admin.services.accounts else None,
                "seen_at": None if at is None else at.isoformat(),
                "limits": asdict(limits.get(person.id, Limits())),
                "today": asdict(used),
            }
        )
    return json_response({"people": shown, "defaults": asdict(admin.services.administration.defaults)})


@router.put("/people/{account_id}/limits", response_model=LimitsBody, responses=REFUSALS | PROBLEMS(404, 422))
async def set_limits(account_id: PersonId, body: LimitsBody, admin: Admin) -> Response:
    """Replace the limits of a person. They hold for the next answer, in every worker."""
    if account_id not in {person.id for person in await _people(admin)}:
        raise NotFound("There is no such account.")
    await admin.services.administration.set_limits(account_id, body.limits())
    await admin.record("limits-changed", account_id, **asdict(body.limits()))
    return json_response(asdict(body.limits()))


@router.get("/usage", response_model=UsageReport, responses=REFUSALS | PROBLEMS(422))
async def usage(
    admin: Admin, days: Annotated[int, Query(ge=1, le=MAX_DAYS, description="How many, today included.")] = 30
) -> Response:
    """Answers, tokens and cost by day, person, key and model. Days are those of UTC."""
    names = {person.id: person.name for person in await _people(admin)}
    since = datetime.now(UTC).date() - timedelta(days=days - 1)
    rows = [asdict(row) | {"name": names.get(row.owner, "")} for row in await admin.store.usage.report(since)]
    return json_response({"usage": rows})


@router.get("/models", response_model=ModelsOut, responses=REFUSALS)
async def models(admin: Admin) -> Response:
    """The models, and which are switched off."""
    return json_response(_models(admin))


@router.put("/models", response_model=ModelsOut, responses=REFUSALS | PROBLEMS(404, 422))
async def switch_model(body: ModelSwitch, admin: Admin) -> Response:
    """Switch a model off, or on again, in the picker of every tab. Answers in progress go on."""
    if body.model not in admin.services.models.listed:
        raise NotFound("There is no such model.")
    await admin.services.administration.switch_model(body.model, off=body.off)
    await admin.record("model-switched", None, model=body.model, off=body.off)
    return json_response(_models(admin))


@router.get("/health", response_model=HealthOut, responses=REFUSALS)
async def health(admin: Admin) -> Response:
    """How the process is that answers this. The database has responded if this does."""
    await admin.store.ping()
    queue, pauses = admin.runs.queue, admin.services.watchdog.pauses
    usable = [model for model in admin.services.models.offered.values() if model.unavailable is None]
    return json_response(
        {
            **{"version": __version__, "process": os.getpid(), "database": admin.store.shown},
            **{"writing": queue.writing, "waiting": queue.waiting, "max_answers": admin.settings.max_answers},
            "models": len(usable),
            **{"pauses": pauses.count, "longest_pause_ms": round(pauses.longest * 1000)},
        }
    )


def _models(admin: RequestContext) -> dict[str, Any]:
    catalog = admin.services.models
    rows = [
        {"id": model.id, "label": model.label, "unavailable": model.unavailable, "off": model.id in catalog.off}
        for model in catalog.listed.values()
    ]
    return {"models": rows}


async def _people(admin: RequestContext) -> list[Account]:
    """Return all accounts; where there are none, the one owner."""
    if (accounts := admin.services.accounts) is not None:
        return await accounts.store.accounts()
    identity = admin.identity
    return [Account(identity.owner, identity.name, identity.role, None, False, datetime.now(UTC))]
