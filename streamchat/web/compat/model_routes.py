"""``/v1/models``: the available models, in the shape of the vendor whose SDK calls.

Anthropic's SDK is recognised by its header ``anthropic-version``. Identifiers are ours.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query
from starlette.responses import Response

from streamchat.errors import NotFound
from streamchat.protocols.encoding import json_bytes
from streamchat.protocols.vendor_errors import anthropic_failure, openai_failure
from streamchat.web.compat.respond import failure_response
from streamchat.web.compat.start import check_model
from streamchat.web.dependencies import Context

router = APIRouter(prefix="/v1/models", tags=["vendor-shaped"])
# Our models have no date; clients expect one.
_CREATED = 1_700_000_000
_CREATED_AT = "2023-11-14T22:13:20Z"
Version = Annotated[str | None, Header(description="Sent by Anthropic's SDK: the list comes in its shape.")]


@router.get("")
async def listed(
    context: Context,
    anthropic_version: Version = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    after_id: Annotated[str | None, Query(max_length=200)] = None,
    before_id: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """The models that are available now."""
    offered = (await context.models()).offered
    usable = {model.id: model.label for model in offered.values() if model.unavailable is None}
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
async def one(
    context: Context, model_id: Annotated[str, Path(max_length=200)], anthropic_version: Version = None
) -> Response:
    """One model."""
    models = await context.models()
    try:
        check_model(models, model_id)
    except NotFound as error:
        return failure_response((openai_failure if anthropic_version is None else anthropic_failure)(error))
    label = models.info(model_id).label
    return _json(_openai(model_id) if anthropic_version is None else _anthropic(model_id, label))


def _openai(model_id: str) -> dict[str, Any]:
    owner = model_id.partition(":")[0]
    return {"id": model_id, "object": "model", "created": _CREATED, "owned_by": owner}


def _anthropic(model_id: str, label: str) -> dict[str, Any]:
    return {"type": "model", "id": model_id, "display_name": label, "created_at": _CREATED_AT}


def _json(value: Any) -> Response:
    return Response(json_bytes(value), media_type="application/json")
