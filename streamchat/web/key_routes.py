"""``/api/keys``: keys of vendors that people bring, with which the vendors' models answer them and nobody else.

Knows the shapes; the rules are those of ``PersonalKeys``. Rules: a person in a browser, never an API key of ours; a key
comes in and never goes out.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel, Field, SecretStr
from starlette.responses import Response

from streamchat.identity import ACCOUNT
from streamchat.web.dependencies import Context
from streamchat.web.run_routes import json_response
from streamchat.web.schemas import PROBLEMS, RequestBody
from streamchat.wiring.personal_keys import OFF, KeyInfo
from streamchat.wiring.request_context import RequestContext

router = APIRouter(prefix="/api/keys", tags=["keys"])
REFUSALS = PROBLEMS(401, 403, 429, 503)
Vendor = Annotated[str, Path(description="The id of a vendor, for example `openai`.", max_length=64)]


class ProviderKeyIn(RequestBody):
    """A key. It replaces the one before it."""

    key: Annotated[SecretStr, Field(min_length=1, max_length=600)]


class ProviderKeyOut(BaseModel):
    """What is told of a key: its last characters, when it was set, and when an answer last used it."""

    ending: str
    set_at: datetime
    used_at: datetime | None


class VendorOut(BaseModel):
    """A vendor for which people can bring a key. ``host``: to which it is sent. ``key``: ``null`` if there is none."""

    vendor: str
    name: str
    host: str
    key: ProviderKeyOut | None


class VendorsOut(BaseModel):
    """The vendors. ``off``: why nobody can bring a key here, ``null`` if people can."""

    off: str | None
    vendors: list[VendorOut]


async def _in_browser(context: Context) -> RequestContext:
    context.identity.require(ACCOUNT)
    return context


Person = Annotated[RequestContext, Depends(_in_browser)]


@router.get("", response_model=VendorsOut, responses=REFUSALS)
async def listed(person: Person) -> Response:
    """The vendors for which people can bring a key, with what is told of one's own. If it is off, only these."""
    keys, own = person.services.keys, await person.services.keys.list(person.owner)
    vendors = [
        {"vendor": vendor, "name": one.label, "host": one.host, "key": _told(own.get(vendor))}
        for vendor, one in keys.vendors.items()
        if keys.is_on or vendor in own
    ]
    return json_response({"off": None if keys.is_on else OFF, "vendors": vendors})


@router.put("/{vendor}", response_model=ProviderKeyOut, responses=REFUSALS | PROBLEMS(404, 422))
async def set_key(vendor: Vendor, body: ProviderKeyIn, person: Person) -> Response:
    """Set one's own key for a vendor. It is stored encrypted, and no answer of this server has it."""
    info = await person.services.keys.set(person.owner, vendor, body.key.get_secret_value())
    await person.record("own-key-set", person.owner, vendor=vendor)
    return json_response(_told(info))


@router.delete("/{vendor}", status_code=204, responses=REFUSALS | PROBLEMS(404))
async def remove_key(vendor: Vendor, person: Person) -> Response:
    """Delete one's own key for a vendor. Answers in progress go on with it."""
    await person.services.keys.remove(person.owner, vendor)
    await person.record("own-key-removed", person.owner, vendor=vendor)
    return Response(None, 204)


def _told(info: KeyInfo | None) -> dict[str, Any] | None:
    if info is None:
        return None
    used = None if info.used_at is None else info.used_at.isoformat()
    return {"ending": info.ending, "set_at": info.set_at.isoformat(), "used_at": used}
