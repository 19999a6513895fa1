"""``…/export`` and ``…/delete``: everything of one person, for that person and for an admin.

Knows the shape of the file; what belongs to a person is known by ``storage.personal``. Rules:

* The file is written while it is read: one conversation at a time is in memory.
* It holds no secret: of keys and sessions it says what the person sees of them.
* A deletion is confirmed by the name of the account.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from starlette.responses import Response, StreamingResponse

from streamchat.chat.wire import message_to_wire
from streamchat.identity import ACCOUNT
from streamchat.protocols.encoding import json_bytes
from streamchat.runs.attachments import FileStore
from streamchat.storage.personal import PersonalConversation, PersonalStore
from streamchat.web.account_routes import REFUSALS, Admin, Person
from streamchat.web.carried_files import with_data
from streamchat.web.dependencies import Context, services_of
from streamchat.web.export import file_headers
from streamchat.web.read_limits import Turn
from streamchat.web.schemas import PROBLEMS, RequestBody
from streamchat.wiring.erasure import erase_person

FORMAT = "streamchat-person"
router = APIRouter(prefix="/api", tags=["accounts"])
AccountId = Annotated[str, Path(description="The id of an account.")]
FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A file with everything of this person.",
        "content": {"application/json": {"schema": {"type": "object"}}},
    }
}


class DeletionIn(RequestBody):
    """The confirmation of a deletion. ``name``: of the account."""

    name: str


async def _in_browser(context: Context) -> Context:
    context.identity.require(ACCOUNT)
    return context


@router.get("/account/export", responses=FILE | PROBLEMS(401, 403, 429, 503))
async def export(context: Annotated[Context, Depends(_in_browser)], turn: Turn) -> Response:
    """Everything of the person who asks, as one file of JSON. It can be imported."""
    await context.record("exported", context.owner)
    return _file(context.store.personal, context.store, context.owner)


@router.get("/accounts/{account_id}/export", responses=FILE | REFUSALS | PROBLEMS(429))
async def export_of(account_id: AccountId, admin: Admin, context: Context, turn: Turn) -> Response:
    """Everything of another person, for an admin."""
    await admin.store.by_id(account_id)
    await context.record("exported", account_id)
    return _file(context.store.personal, context.store, account_id)


@router.post("/account/delete", status_code=204, responses=REFUSALS | PROBLEMS(422))
async def delete(request: Request, body: DeletionIn, person: Person) -> Response:
    """Delete everything of the person who asks, for good. The last admin cannot."""
    await person.accounts.close_account(person.id, body.name)
    gone = await erase_person(services_of(request), person.id)
    person.accounts.sessions.revoked(person.id)
    await person.accounts.audit.record("deleted", gone, gone)
    return Response(None, 204)


@router.post("/accounts/{account_id}/delete", status_code=204, responses=REFUSALS | PROBLEMS(422))
async def delete_other(request: Request, account_id: AccountId, body: DeletionIn, admin: Admin) -> Response:
    """Delete everything of another person, for good."""
    await admin.accounts.close_account(account_id, body.name)
    gone = await erase_person(services_of(request), account_id)
    admin.accounts.sessions.revoked(account_id)
    await admin.accounts.audit.record("deleted", admin.id, gone)
    return Response(None, 204)


def _file(store: PersonalStore, files: FileStore, owner: str) -> Response:
    headers = file_headers(f"streamchat {datetime.now(UTC):%Y-%m-%d}", "json") | {"Cache-Control": "no-store"}
    return StreamingResponse(person_json(store, files, owner), headers=headers, media_type="application/json")


async def person_json(store: PersonalStore, files: FileStore, owner: str) -> AsyncIterator[bytes]:
    """Yield the pieces of the file. Messages carry the bytes of their files."""
    head = {"format": FORMAT, "version": 1, "exported_at": datetime.now(UTC), "id": owner}
    yield json_bytes(head | await store.rows(owner))[:-1] + b',"conversations":['
    separator = b""
    async for conversation in store.conversations(owner):
        written = conversation_json(conversation)
        await with_data(files, owner, [*written["messages"], *written["other_messages"]])
        yield separator + json_bytes(written)
        separator = b","
    yield b"]}"


def conversation_json(conversation: PersonalConversation) -> Mapping[str, Any]:
    """Return a conversation. ``messages``: the active branch, which an import takes; ``other_messages``: all others."""
    messages = [({**message_to_wire(one.message), **one.about}, one.shown) for one in conversation.messages]
    return {
        **{name: value for name, value in conversation.row.items() if name != "owner"},
        "share": conversation.share,
        "messages": [message for message, shown in messages if shown],
        "other_messages": [message for message, shown in messages if not shown],
    }
