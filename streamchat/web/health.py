"""Health probes. ``/healthz``: the process responds. ``/readyz``: it can serve, that is, its database responds too."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel

from streamchat.web.dependencies import services_of
from streamchat.web.schemas import PROBLEMS

PATHS = ("/healthz", "/readyz")
router = APIRouter(tags=["health"])


class Health(BaseModel):
    """The body of a successful probe."""

    status: Literal["ok"] = "ok"


@router.get("/healthz")
async def healthz() -> Health:
    """The process responds."""
    return Health()


@router.get("/readyz", responses=PROBLEMS(503))
async def readyz(request: Request) -> Health:
    """The process can serve: its database responds."""
    await services_of(request).store.ping()
    return Health()
