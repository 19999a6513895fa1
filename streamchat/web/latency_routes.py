"""``/api/latency``: how fast the caller's answers came, by model and day; failures by kind; the slowest answers.

Knows the shapes; the store computes. Rule: of the caller's own answers only, also for an admin.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from streamchat.web.dependencies import Context
from streamchat.web.read_limits import Turn
from streamchat.web.run_routes import json_response
from streamchat.web.schemas import PROBLEMS

router = APIRouter(prefix="/api", tags=["runs"])
MAX_DAYS = 366


class DistributionOut(BaseModel):
    """A figure of several answers, in ms or in tokens per second. Percentiles are values that an answer had."""

    answers: int
    min: float
    p50: float
    p95: float
    max: float
    counts: list[int] = Field(description="Answers in each bucket; empty for a single day.")


Figures = Annotated[
    dict[str, DistributionOut],
    Field(description="By `ttfb_ms`, `ttft_ms`, `ttlt_ms`, `ttc_ms` and `tokens_per_second`."),
]


class GroupOut(BaseModel):
    """The answers of a model, on one day or, with the day `""`, on all. `failed`: failed or interrupted."""

    day: str
    model: str
    answers: int
    failed: int
    figures: Figures


class FailuresOut(BaseModel):
    """Answers of a model that failed or were interrupted for one kind of reason."""

    model: str
    kind: str
    answers: int


class SlowAnswerOut(BaseModel):
    """One of the slowest answers. `value`: of the figure by which it is slow."""

    message_id: str
    conversation_id: str
    title: str
    model: str
    status: str
    created_at: str
    value: float


class LatencyOut(BaseModel):
    """The caller's answers since a day. `complete`: whether these are surely all."""

    since: str
    answers: int
    complete: bool
    bounds: Annotated[dict[str, list[float]], Field(description="Upper ends of the buckets of each figure.")]
    models: list[GroupOut]
    days: list[GroupOut]
    failures: list[FailuresOut]
    slowest: Annotated[dict[str, list[SlowAnswerOut]], Field(description="By figure, the slowest first.")]


@router.get("/latency", response_model=LatencyOut, responses=PROBLEMS(422, 429, 503))
async def latency(
    context: Context,
    turn: Turn,
    days: Annotated[int, Query(ge=1, le=MAX_DAYS, description="How many, today included.")] = 30,
) -> Response:
    """Latency of the caller's answers by model and day, failures by kind, and the slowest answers. Days are of UTC."""
    since = datetime.now(UTC).date() - timedelta(days=days - 1)
    report = await context.store.latency.report(context.owner, since)
    body = {"since": since.isoformat(), "bounds": context.store.latency.bounds, **asdict(report)}
    for answers in body["slowest"].values():
        for answer in answers:
            answer["created_at"] = answer["created_at"].isoformat()
    return json_response(body)
