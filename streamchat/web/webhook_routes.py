"""``/api/webhooks``: who wants to be told of the caller's answers, and the log of deliveries.

Rule: a secret is in the response that creates a webhook, and in no other.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field, StringConstraints
from starlette.responses import Response

from streamchat.web.dependencies import Context, services_of
from streamchat.web.read_limits import Turn
from streamchat.web.run_routes import json_response
from streamchat.web.schemas import PROBLEMS, RequestBody

router = APIRouter(prefix="/api/webhooks", tags=["webhooks"])
WebhookId = Annotated[str, Path(description="The id of a webhook.")]
DeliveryId = Annotated[str, Path(description="The id of a delivery.")]
EventName = Literal["run.ended", "run.waiting"]
CHANGES = PROBLEMS(400, 403, 404, 408, 413, 415, 422, 429, 503)


class WebhookIn(RequestBody):
    """A receiver. ``url``: ``https://…``; ``events``: what it is told of."""

    url: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    events: Annotated[list[EventName], Field(min_length=1, max_length=10)] = ["run.ended", "run.waiting"]


class WebhookOut(BaseModel):
    """A receiver. ``disabled_at``: nothing is sent since then, because it said that it is gone."""

    id: str
    url: str
    events: list[EventName]
    created_at: datetime
    disabled_at: datetime | None


class CreatedWebhook(WebhookOut):
    """A receiver that was just created. ``secret``: what its deliveries are signed with."""

    secret: str


class WebhookList(BaseModel):
    """All receivers, oldest first."""

    webhooks: list[WebhookOut]


class DeliveryOut(BaseModel):
    """One delivery. ``id``: the header ``webhook-id``; ``next_at``: of the next attempt, if there is one."""

    id: str
    type: EventName
    run_id: str
    conversation_id: str
    status: Literal["pending", "delivered", "failed"]
    attempts: int
    response_status: int | None
    error: str | None
    created_at: datetime
    attempted_at: datetime | None
    next_at: datetime | None


class DeliveryList(BaseModel):
    """A page of deliveries, newest first. ``next``: the ``before`` of the next page."""

    deliveries: list[DeliveryOut]
    next: str | None


def _json(value: Any) -> dict[str, Any]:
    """Return a webhook or a delivery as JSON."""
    return {name: field.isoformat() if isinstance(field, datetime) else field for name, field in asdict(value).items()}


@router.get("", response_model=WebhookList, responses=PROBLEMS(429, 503))
async def webhooks(context: Context, request: Request) -> Response:
    """All receivers, oldest first."""
    found = await services_of(request).webhooks.list(context.owner)
    return json_response({"webhooks": [_json(one) for one in found]})


@router.post("", status_code=201, response_model=CreatedWebhook, responses=CHANGES)
async def create(body: WebhookIn, context: Context, request: Request) -> Response:
    """Add a receiver. Its secret is in this response only."""
    stored, secret = await services_of(request).webhooks.add(context.owner, body.url, body.events)
    return json_response({**_json(stored), "secret": secret}, 201)


@router.delete("/{webhook_id}", status_code=204, responses=CHANGES)
async def delete(webhook_id: WebhookId, context: Context, request: Request) -> Response:
    """Remove a receiver, with what is still to be delivered to it and its log."""
    await services_of(request).webhooks.delete(context.owner, webhook_id)
    return Response(None, 204)


@router.get("/{webhook_id}/deliveries", response_model=DeliveryList, responses=PROBLEMS(404, 422, 429, 503))
async def deliveries(
    webhook_id: WebhookId,
    context: Context,
    request: Request,
    turn: Turn,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    before: Annotated[str | None, Query(max_length=200, description="`next` of the previous page.")] = None,
) -> Response:
    """The log of deliveries to a receiver, newest first."""
    found = await services_of(request).webhooks.deliveries(context.owner, webhook_id, limit=limit, before=before)
    following = found[-1].id if len(found) == limit else None
    return json_response({"deliveries": [_json(one) for one in found], "next": following})


@router.post("/{webhook_id}/deliveries/{delivery_id}/retry", response_model=DeliveryOut, responses=CHANGES)
async def retry(webhook_id: WebhookId, delivery_id: DeliveryId, context: Context, request: Request) -> Response:
    """Deliver once more, whatever came of it before. A receiver that had said that it is gone is used again."""
    return json_response(_json(await services_of(request).webhooks.again(context.owner, webhook_id, delivery_id)))
