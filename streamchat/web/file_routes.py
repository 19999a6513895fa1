"""``/api/files``: upload, read and delete files; those of a shared conversation for whoever has its link.

Knows the store; what a file is and whether it may be stored is decided by ``RequestContext.upload``. Rules:

* A file is sent as what it is by its content. Only pictures are shown by a browser; everything else is downloaded, and
  nothing in it can run.
* It belongs to its owner: for everybody else it does not exist.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel
from python_multipart.exceptions import FormParserError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import Response

from streamchat.chat.files import FileInfo
from streamchat.errors import InvalidInput
from streamchat.web.dependencies import Context, services_of
from streamchat.web.error_responses import BadRequest
from streamchat.web.export import file_headers
from streamchat.web.read_limits import CHECKED, not_modified
from streamchat.web.run_routes import json_response
from streamchat.web.schemas import PROBLEMS
from streamchat.wiring import Services

router = APIRouter(prefix="/api", tags=["files"])
FileId = Annotated[str, Path(description="The id of a file.")]
ONE_FILE = "Send one file: a form with one part that has a file name."
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    **CHECKED,
}
FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}
CONTENT = {200: {"description": "The file.", "content": {"application/octet-stream": {}}}, 304: {
    "description": "It is the file with this `ETag`."
}}  # fmt: skip


class FileOut(BaseModel):
    """An uploaded file. ``media_type``: by its content. ``width``, ``height``: of a picture. ``pages``: of a PDF.

    ``tokens``: an estimate for its text.
    """

    id: str
    name: str
    media_type: str
    bytes: int
    width: int | None = None
    height: int | None = None
    pages: int | None = None
    tokens: int | None = None


class FilesOut(BaseModel):
    """The files of a person, in bytes: all of them, the most they may take, and the most that one may have."""

    bytes: int
    quota: int
    largest: int


class _InMemory(MultiPartParser):
    """A parser that writes no temporary files: the body is in memory, within the budget of all bodies."""

    spool_max_size = 2**31


@router.post("/files", status_code=201, response_model=FileOut, openapi_extra=FORM, responses=PROBLEMS(
    400, 403, 408, 413, 415, 422, 429, 503
))  # fmt: skip
async def upload(
    request: Request,
    context: Context,
    temporary: Annotated[bool, Query(description="For a temporary chat: it is never stored.")] = False,
) -> Response:
    """Upload a file, to be named in messages. One that is in no message is deleted after a day."""
    name, content = await _read_form(request)
    return json_response(file_json(await context.upload(content, name, temporary=temporary)), 201)


@router.get("/files", response_model=FilesOut, responses=PROBLEMS(422, 503))
async def files(context: Context) -> Response:
    """How many bytes the files of the caller take, and how many they and a single one may take."""
    settings = context.settings
    used = await context.store.file_bytes(context.owner)
    return json_response({"bytes": used, "quota": settings.files_per_owner, "largest": settings.file_bytes})


@router.get("/files/{file_id}", response_class=Response, responses=CONTENT | PROBLEMS(404, 422, 503))
async def file(file_id: FileId, context: Context, request: Request) -> Response:
    """The content of a file. Everything but a picture is sent as a download."""
    return await _content(context.services, request, await context.store.file(context.owner, file_id))


@router.delete("/files/{file_id}", response_model=FileOut, responses=PROBLEMS(403, 404, 422, 503))
async def delete(file_id: FileId, context: Context) -> Response:
    """Delete a file. Messages that have it keep its name only."""
    info = await context.store.file(context.owner, file_id)
    await context.store.delete_file(context.owner, file_id)
    return json_response(file_json(info))


@router.get("/shares/{share_id}/files/{file_id}", response_class=Response, responses=CONTENT | PROBLEMS(404, 422, 503))
async def shared_file(
    share_id: Annotated[str, Path(description="The id of a link.")], file_id: FileId, request: Request
) -> Response:
    """A file of the conversation that a link shows."""
    services = services_of(request)
    return await _content(services, request, await services.store.shared_file(share_id, file_id))


def file_json(info: FileInfo) -> dict[str, Any]:
    """Return a file in the form of ``FileOut``: what it does not have is left out."""
    fields: dict[str, Any] = {"id": info.id, "name": info.name, "media_type": info.media_type, "bytes": info.bytes}
    more = {"width": info.width, "height": info.height, "pages": info.pages, "tokens": info.tokens}
    return fields | {name: value for name, value in more.items() if value}


async def _read_form(request: Request) -> tuple[str, bytes]:
    """Return name and content of the file in a form. Raises ``InvalidInput``, ``BadRequest``."""
    parser = _InMemory(request.headers, request.stream(), max_files=2, max_fields=10, max_part_size=64 * 1024)
    try:
        form = await parser.parse()
    except (MultiPartException, FormParserError, KeyError) as error:
        if "Too many files" in str(error):
            raise InvalidInput(ONE_FILE) from None
        raise BadRequest("The form cannot be read.") from None
    try:
        uploaded = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
        if len(uploaded) != 1:
            raise InvalidInput(ONE_FILE)
        return uploaded[0].filename or "", await uploaded[0].read()
    finally:
        await form.close()


async def _content(services: Services, request: Request, info: FileInfo) -> Response:
    etag = f'"{info.id}"'  # its content never changes
    if response := not_modified(request, etag):
        return response
    headers = SAFE | {"ETag": etag}
    if not info.is_picture:
        stem, _, suffix = info.name.rpartition(".")
        headers |= file_headers(stem or suffix, suffix if stem else "txt")
    return Response(await services.store.file_content(info), 200, headers, info.media_type)
