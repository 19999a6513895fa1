"""``/healthz``: the process answers. ``/readyz``: it can serve, that is, its database answers too."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from streamchat.web.shapes import PROBLEMS
from streamchat.wiring import LOCAL_OWNER, services

PATHS = ("/healthz", "/readyz")
router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: Literal["ok"] = "ok"


@router.get("/healthz")
async def healthz() -> Health:
    """The process answers."""
    return Health()


@router.get("/readyz", responses=PROBLEMS(503))
async def readyz() -> Health:
    """The process can serve: its database answers."""
    await services().store.answering(LOCAL_OWNER)
    return Health()
