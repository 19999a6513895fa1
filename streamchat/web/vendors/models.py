"""``/v1/models``: what can be asked for, in the shape of the vendor whose SDK asks.

Which one that is, its own header says (``anthropic-version``); the ids are ours.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query
from starlette.responses import Response

from streamchat.web.encoding import json_bytes
from streamchat.web.vendors.begin import check_model
from streamchat.wiring import services

router = APIRouter(prefix="/v1/models", tags=["vendor-shaped"])
# A model here has no date; clients want one.
_CREATED = 1_700_000_000
_CREATED_AT = "2023-11-14T22:13:20Z"
Version = Annotated[str | None, Header(description="Sent by Anthropic's SDK: the list comes in its shape.")]


@router.get("")
async def listed(
    anthropic_version: Version = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    after_id: Annotated[str | None, Query(max_length=200)] = None,
    before_id: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """The models that can be used now."""
    usable = {model.id: model.label for model in services().models.offered.values() if model.unavailable is None}
    if anthropic_version is None:
        return _json({"object": "list", "data": list(map(_openai, usable))})
    ids = list(usable)
    start = ids.index(after_id) + 1 if after_id in ids else 0
    end = ids.index(before_id) if before_id in ids else len(ids)
    page, more = ids[start:end][:limit], end - start > limit
    edges = {"first_id": page[0], "last_id": page[-1]} if page else {"first_id": None, "last_id": None}
    data = [_anthropic(model_id, usable[model_id]) for model_id in page]
    return _json({"data": data, "has_more": more, **edges})


@router.get("/{model_id:path}")
async def one(model_id: Annotated[str, Path(max_length=200)], anthropic_version: Version = None) -> Response:
    """One of them."""
    served = services()
    check_model(served, model_id)
    label = served.models.info(model_id).label
    return _json(_openai(model_id) if anthropic_version is None else _anthropic(model_id, label))


def _openai(model_id: str) -> dict[str, Any]:
    owner = model_id.partition(":")[0]
    return {"id": model_id, "object": "model", "created": _CREATED, "owned_by": owner}


def _anthropic(model_id: str, label: str) -> dict[str, Any]:
    return {"type": "model", "id": model_id, "display_name": label, "created_at": _CREATED_AT}


def _json(value: Any) -> Response:
    return Response(json_bytes(value), media_type="application/json")
