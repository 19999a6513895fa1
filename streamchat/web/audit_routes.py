"""``/api/audit``: the audit log, in pages, for admins."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel
from starlette.responses import Response

from streamchat.accounts.audit import AuditEvent
from streamchat.web.account_routes import REFUSALS, Admin, row_json
from streamchat.web.run_routes import json_response
from streamchat.web.schemas import PROBLEMS

router = APIRouter(prefix="/api", tags=["accounts"])


class AuditEntryOut(BaseModel):
    """One entry. ``actor``: the id of the account that did it; ``subject``: of what it was done to."""

    id: int
    at: datetime
    event: str
    actor: str | None
    subject: str | None
    address: str | None
    detail: dict[str, Any]


class AuditOut(BaseModel):
    """A page of the audit log, newest first. ``next``: the ``before`` of the next page."""

    entries: list[AuditEntryOut]
    next: int | None


@router.get("/audit", response_model=AuditOut, responses=REFUSALS | PROBLEMS(422))
async def audit(
    admin: Admin,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    before: Annotated[int | None, Query(ge=0, le=2**63 - 1, description="`next` of the previous page.")] = None,
    event: AuditEvent | None = None,
    account: Annotated[str | None, Query(max_length=64, description="Done by this account, or to it.")] = None,
) -> Response:
    """Who came in, and who did what with accounts, keys, links and data; newest first."""
    rows = await admin.accounts.audit.store.page(limit=limit, before=before, event=event, account=account)
    following = rows[-1].id if len(rows) == limit else None
    return json_response({"entries": [row_json(row) for row in rows], "next": following})
